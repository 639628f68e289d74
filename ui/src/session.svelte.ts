// What outlives a page: the server's configuration, the last search, and the summaries seen, so that a trace's header stands before
// the trace has arrived.
import { api, type Config, type Summary } from './api';
import { readQuery, type SearchQuery } from './search/query';

const LIMIT = 100;
const SEEN_MAX = 2_000;

class Session {
  config: Config = $state.raw({ environment: '', defaultLookback: 900_000, searchEnabled: true, dependency: { enabled: true } });
  /** True once `config` is the server's (or could not be had). */
  ready = $state(false);
  defaults = $derived({ lookback_ms: this.config.defaultLookback, limit: LIMIT });
  /** The search in force, or the last one. */
  query: SearchQuery = $state.raw(readQuery(new URLSearchParams(), { lookback_ms: 900_000, limit: LIMIT }));
  /** Counts up when the same search should run again. */
  again = $state(0);
}

export const session = new Session();
const seen = new Map<string, Summary>();

export async function startSession(): Promise<void> {
  try {
    session.config = await api.config();
  } catch {
    // The defaults serve; what is really wrong shows when something is asked for.
  }
  session.ready = true;
}

export function rememberSummaries(list: readonly Summary[]): void {
  if (seen.size > SEEN_MAX) seen.clear();
  for (const summary of list) seen.set(summary.traceId, summary);
}

export function seenSummary(traceId: string): Summary | undefined {
  return seen.get(traceId);
}
