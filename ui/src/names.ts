// Names known to the server, for completion. In: what is asked for. Out: lists, fetched once a minute at most and kept; a failing
// list is an empty one, because completion must never stand in the way of a search.
import { api } from './api';

const FRESH_MS = 60_000;
const kept = new Map<string, { at: number; list: Promise<string[]> }>();

export const names = {
  services: () => fresh('services', () => api.services()),
  spans: (service: string) => fresh(`spans ${service}`, () => api.spans(service)),
  remotes: (service: string) => fresh(`remotes ${service}`, () => api.remotes(service)),
  tagKeys: () => fresh('keys', () => api.tagKeys()),
  tagValues: (key: string) => fresh(`values ${key}`, () => api.tagValues(key)),
};

function fresh(key: string, load: () => Promise<string[]>): Promise<string[]> {
  const known = kept.get(key);
  if (known && Date.now() - known.at < FRESH_MS) return known.list;
  const list = load().catch(() => []);
  // Nothing is not kept: on a new server the first names are about to come.
  void list.then((names) => names.length === 0 && kept.delete(key));
  kept.set(key, { at: Date.now(), list });
  return list;
}
