// What outlives a page: the server's configuration, the last search, and the summaries seen, so that a trace's header stands before
// the trace has arrived.
import { api, type Config, type Summary } from './api';
import { names } from './names';
import { readQuery, type SearchQuery } from './search/query';

const LIMIT = 100;
const SEEN_MAX = 2_000;

class Session {
  config: Config = $state.raw({ environment: '', defaultLookback: 900_000, searchEnabled: true, dependency: { enabled: true } });
  /** Services the server knows: they share out the colours. */
  services: readonly string[] = $state.raw([]);
  /** True once `config` and `services` are the server's (or could not be had). */
  ready = $state(false);
  defaults = $derived({ lookback_ms: this.config.defaultLookback, limit: LIMIT });
  /** The search in force, or the last one. */
  query: SearchQuery = $state.raw(readQuery(new URLSearchParams(), { lookback_ms: 900_000, limit: LIMIT }));
  /** Counts up when the same search should run again. */
  again = $state(0);
}

export const session = new Session();
let started: Promise<void> | undefined;
const seen = new Map<string, Summary>();

/** Asks for what all pages need. Failing is no reason to stop: defaults serve, and what is really wrong shows when something is asked for. */
export function startSession(): Promise<void> {
  started ??= Promise.allSettled([api.config().then((config) => (session.config = config)), learnServices()]).then(
    () => void (session.ready = true),
  );
  return started;
}

/** Takes over the server's list of services where it has changed. */
export async function learnServices(): Promise<void> {
  const list = await names.services();
  if (list.join('\n') !== session.services.join('\n')) session.services = list;
}

export function rememberSummaries(list: readonly Summary[]): void {
  if (seen.size > SEEN_MAX) seen.clear();
  for (const summary of list) seen.set(summary.traceId, summary);
}

export function seenSummary(traceId: string): Summary | undefined {
  return seen.get(traceId);
}
