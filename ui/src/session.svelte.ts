// What outlives a page: the server's configuration, the last search, and the summaries seen, so that a trace's header stands before
// the trace has arrived.
import { api, type Config, type QueryProblem, type Summary } from './api';
import { names } from './names';
import { readQuery, type SearchQuery } from './search/query';

const SEEN_MAX = 2_000;

class Session {
  config: Config = $state.raw({ environment: '', defaultLookback: 900_000, searchEnabled: true, dependency: { enabled: true } });
  /** Services the server knows: they share out the colours. */
  services: readonly string[] = $state.raw([]);
  /** True once `config` and `services` are the server's (or could not be had). */
  ready = $state(false);
  defaults = $derived({ lookback_ms: this.config.defaultLookback });
  /** The search in force, or the last one. */
  query: SearchQuery = $state.raw(readQuery(new URLSearchParams(), { lookback_ms: 900_000 }));
  /** What the server found wrong with the text of the search in force. */
  problem: QueryProblem | undefined = $state.raw();
  /** Ids of the traces marked to be compared, two at most. */
  marked: readonly string[] = $state.raw([]);
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

/** Marks a trace to be compared, or takes its mark away; of three the oldest mark goes. */
export function toggleMark(traceId: string): void {
  session.marked = session.marked.includes(traceId) ? session.marked.filter((id) => id !== traceId) : [...session.marked, traceId].slice(-2);
}

export function rememberSummaries(list: readonly Summary[]): void {
  if (seen.size > SEEN_MAX) seen.clear();
  for (const summary of list) seen.set(summary.traceId, summary);
}

export function seenSummary(traceId: string): Summary | undefined {
  return seen.get(traceId);
}
