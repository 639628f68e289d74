// Numbers, durations and times as text. In: microseconds (durations, offsets) and milliseconds (points in time). Out: short text
// with a unit. A column of durations takes one formatter for all its rows, so that they can be compared by eye.

const COUNT = new Intl.NumberFormat('en-US');

export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** One duration by itself: three significant digits in the unit that fits. */
export function formatDuration(us: number): string {
  if (us < 1) return '0 µs';
  if (us < 1_000) return `${Math.round(us)} µs`;
  if (us < 999_500) return `${significant(us / 1_000)} ms`;
  if (us < 60_000_000) return `${significant(us / 1_000_000)} s`;
  return formatLong(Math.round(us / 1_000_000));
}

/** A formatter with one unit and one number of decimals for a whole column; the middle one of its durations decides which. */
export function durationColumn(durations_us: readonly number[]): (us: number) => string {
  const middle_us = [...durations_us].sort((a, b) => a - b)[durations_us.length >> 1] ?? 0;
  if (middle_us < 1_000) return (us) => `${COUNT.format(Math.round(us))} µs`;
  if (middle_us >= 10_000_000) return (us) => `${fixed(us / 1_000_000, 2)} s`;
  const decimals = middle_us < 10_000 ? 2 : middle_us < 100_000 ? 1 : 0;
  return (us) => `${fixed(us / 1_000, decimals)} ms`;
}

const UNITS_US: Record<string, number> = { us: 1, 'µs': 1, 'μs': 1, ms: 1_000, s: 1e6, m: 60e6, min: 60e6, h: 3600e6 };

/** `200ms`, `1.5s`, `10us`, `2m` as microseconds; a bare number counts microseconds, as in Zipkin's addresses. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-zµμ]*)$/i.exec(text.trim());
  if (!match) return undefined;
  const factor = match[2] === '' ? 1 : UNITS_US[match[2]!.toLowerCase()];
  return factor === undefined ? undefined : Math.round(Number(match[1]) * factor);
}

/** A duration in the shortest form `parseDuration` reads back exactly. */
export function writeDuration(us: number): string {
  if (us % 1_000_000 === 0 && us > 0) return `${us / 1_000_000}s`;
  if (us % 1_000 === 0 && us > 0) return `${us / 1_000}ms`;
  return `${us}us`;
}

export function formatClock(ms: number, withMillis = true): string {
  const at = new Date(ms);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return withMillis ? `${clock}.${String(at.getMilliseconds()).padStart(3, '0')}` : clock;
}

export function formatDay(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export function formatMoment(ms: number): string {
  return `${formatDay(ms)} ${formatClock(ms)}`;
}

/** Share of a whole as percent: `0%`, `<0.1%`, `3.4%`, `25%`. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return '0%';
  const percent = (part / whole) * 100;
  if (percent < 0.1) return '<0.1%';
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)}%`;
}

/** Events a second: `0.02/s`, `4.1/s`, `1,200/s`. */
export function formatRate(perSecond: number): string {
  if (perSecond <= 0) return '0/s';
  if (perSecond < 0.01) return '<0.01/s';
  return `${perSecond < 1 ? perSecond.toFixed(2) : perSecond < 100 ? perSecond.toFixed(1) : COUNT.format(Math.round(perSecond))}/s`;
}

/** Bytes: `512 B`, `4.1 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : significant(value)} ${units[unit]!}`;
}

/** Distance between ticks on a time axis: 1, 2 or 5 times a power of ten, so that about `count` fit into `span_us`. */
export function tickStep(span_us: number, count: number): number {
  const rough = Math.max(span_us / Math.max(count, 1), 1e-3);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = rough / power;
  return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
}

/** A tick's label in the unit of the axis. */
export function formatTick(us: number, step_us: number): string {
  if (us === 0) return '0';
  const [unit, size] = step_us >= 1e6 ? ['s', 1e6] : step_us >= 1e3 ? ['ms', 1e3] : ['µs', 1];
  const decimals = Math.max(0, -Math.floor(Math.log10(step_us / size) + 1e-9));
  return `${fixed(us / size, decimals)} ${unit}`;
}

function significant(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  const dot = text.indexOf('.');
  return value < 1_000 ? text : COUNT.format(Math.trunc(Number(text))) + (dot < 0 ? '' : text.slice(dot));
}

function formatLong(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours} h ${two(minutes)} m` : `${minutes} m ${two(seconds % 60)} s`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
