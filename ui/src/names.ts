// Names known to the server, for completion. In: what is asked for. Out: lists, fetched once a minute at most and kept; a failing
// list is an empty one, because completion must never stand in the way of a search.
import { api } from './api';

const FRESH_MS = 60_000;
const KEPT_MAX = 500;
const kept = new Map<string, { at: number; list: Promise<string[]> }>();

export const names = {
  services: () => fresh('services', () => api.services()),
  /** `key`: empty for keys of tags, `service`, `name`, `remote`, or the key of a tag. `prefix` narrows what the server looks for. */
  complete: (key: string, prefix: string, service = '') =>
    fresh(`${key}\n${prefix}\n${service}`, async () => (await api.complete({ key, prefix, service, limit: '100' })).map(({ value }) => value)),
};

function fresh(key: string, load: () => Promise<string[]>): Promise<string[]> {
  const known = kept.get(key);
  if (known && Date.now() - known.at < FRESH_MS) return known.list;
  if (kept.size > KEPT_MAX) kept.clear();
  const list = load().catch(() => []);
  // Nothing is not kept: on a new server the first names are about to come.
  void list.then((names) => names.length === 0 && kept.delete(key));
  kept.set(key, { at: Date.now(), list });
  return list;
}
