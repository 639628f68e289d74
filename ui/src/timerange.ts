// The time range of a search. In: an address, ours or Zipkin's. Out: a `TimeRange`, and back as the parameters of an address or of
// Zipkin's API.

export type TimeRange = { kind: 'last'; ms: number } | { kind: 'between'; start_ms: number; end_ms: number };

export const PRESETS: readonly { text: string; ms: number }[] = [
  { text: '5m', ms: 300_000 },
  { text: '15m', ms: 900_000 },
  { text: '1h', ms: 3_600_000 },
  { text: '6h', ms: 21_600_000 },
  { text: '1d', ms: 86_400_000 },
  { text: '2d', ms: 172_800_000 },
  { text: '7d', ms: 604_800_000 },
];

const UNITS_MS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3, w: 604_800e3 };

/** Takes `lookback=15m`, `lookback=900000`, `lookback=millis&millis=…`, each with or without `endTs`, and `range`/`custom` with `startTs`/`endTs`. */
export function readTimeRange(params: URLSearchParams, default_ms: number): TimeRange {
  const start_ms = moment(params.get('startTs') ?? params.get('startTime'));
  const end_ms = moment(params.get('endTs') ?? params.get('endTime'));
  const lookback = params.get('lookback');
  const ms = lookback === null ? undefined : parseLookback(lookback === 'millis' ? (params.get('millis') ?? '') : lookback);
  if (ms !== undefined) return end_ms === undefined ? { kind: 'last', ms } : { kind: 'between', start_ms: end_ms - ms, end_ms };
  if (start_ms !== undefined && end_ms !== undefined && start_ms < end_ms) return { kind: 'between', start_ms, end_ms };
  if (start_ms !== undefined && end_ms === undefined) return { kind: 'between', start_ms, end_ms: Date.now() };
  return { kind: 'last', ms: default_ms };
}

export function writeTimeRange(params: URLSearchParams, range: TimeRange): void {
  if (range.kind === 'last') {
    params.set('lookback', writeLookback(range.ms));
    return;
  }
  params.set('lookback', 'range');
  params.set('startTs', String(Math.floor(range.start_ms)));
  params.set('endTs', String(Math.ceil(range.end_ms)));
}

/** The range in microseconds, as of now. */
export function rangeUs(range: TimeRange): { start_us: number; end_us: number } {
  if (range.kind === 'between') return { start_us: Math.floor(range.start_ms * 1000), end_us: Math.ceil(range.end_ms * 1000) };
  const end_us = Date.now() * 1000;
  return { start_us: end_us - range.ms * 1000, end_us };
}

/** Parameters of the page's own API: a query and a range. */
export function rangeParams(q: string, { start_us, end_us }: { start_us: number; end_us: number }): URLSearchParams {
  return new URLSearchParams({ ...(q === '' ? {} : { q }), start: String(start_us), end: String(end_us) });
}

/** A range `factor` times as long with the same end. */
export function widen(range: TimeRange, factor: number): TimeRange {
  if (range.kind === 'last') return { kind: 'last', ms: range.ms * factor };
  return { ...range, start_ms: range.end_ms - (range.end_ms - range.start_ms) * factor };
}

export function parseLookback(text: string): number | undefined {
  const match = /^(\d+)([smhdw]?)$/.exec(text);
  if (!match) return undefined;
  const ms = Number(match[1]) * (match[2] === '' ? 1 : UNITS_MS[match[2]!]!);
  return ms > 0 ? ms : undefined;
}

export function writeLookback(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's']) if (ms % UNITS_MS[unit]! === 0) return `${ms / UNITS_MS[unit]!}${unit}`;
  return String(ms);
}

/** What `<input type="datetime-local">` wants, in local time. */
export function toLocalInput(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function fromLocalInput(text: string): number | undefined {
  return moment(text === '' ? null : String(new Date(text).getTime()));
}

function moment(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  const ms = Number(text);
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
