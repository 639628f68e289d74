// The table of a trace: one line a span, or spans added up by operation or service. In: the columns, what to add up by, the order. Out:
// lines as arrays, sorted. No object is made per span.
import { FLAG_ERROR, type Trace } from './columns';

export const BYS = ['operation', 'service', 'span'] as const;
export type By = (typeof BYS)[number];
export const SORTS = ['self', 'name', 'spans', 'errors', 'duration', 'average', 'p95', 'longest', 'critical', 'start'] as const;
export type TableSort = (typeof SORTS)[number];

export interface Lines {
  count: number;
  /** The row itself, or the first row of those added up. */
  row: Uint32Array;
  /** The row with the longest duration. */
  slowest: Uint32Array;
  spans: Uint32Array;
  errors: Uint32Array;
  duration: Float64Array;
  self: Float64Array;
  critical: Float64Array;
  p95: Float64Array;
  longest: Float64Array;
}

export function tableLines(trace: Trace, by: By, matches: Uint8Array | undefined): Lines {
  const lineOf = new Int32Array(trace.spanCount).fill(-1);
  const rows: number[] = [];
  const byKey = new Map<number, number>();
  for (let row = 0; row < trace.spanCount; row++) {
    if (matches && matches[row] !== 1) continue;
    if (by === 'span') {
      lineOf[row] = rows.push(row) - 1;
      continue;
    }
    const key = by === 'service' ? trace.service[row]! : trace.service[row]! * trace.names.length + trace.name[row]!;
    let line = byKey.get(key);
    if (line === undefined) byKey.set(key, (line = rows.push(row) - 1));
    lineOf[row] = line;
  }
  return figures(trace, rows, lineOf, by);
}

function figures(trace: Trace, rows: readonly number[], lineOf: Int32Array, by: By): Lines {
  const count = rows.length;
  const number = () => new Float64Array(count);
  const lines: Lines = { count, row: Uint32Array.from(rows), slowest: Uint32Array.from(rows), spans: new Uint32Array(count), errors: new Uint32Array(count), duration: number(), self: number(), critical: number(), p95: number(), longest: number() };
  for (let row = 0; row < trace.spanCount; row++) {
    const line = lineOf[row]!;
    if (line < 0) continue;
    lines.spans[line]!++;
    lines.errors[line]! += trace.flags[row]! & FLAG_ERROR;
    lines.duration[line]! += trace.duration[row]!;
    lines.self[line]! += trace.self[row]!;
    lines.critical[line]! += trace.critical.share[row]!;
    if (trace.duration[row]! <= lines.longest[line]!) continue;
    lines.longest[line] = trace.duration[row]!;
    lines.slowest[line] = row;
  }
  if (by === 'span') lines.p95.set(lines.longest);
  else percentiles(trace, lines, lineOf);
  return lines;
}

function percentiles(trace: Trace, lines: Lines, lineOf: Int32Array): void {
  const at = new Uint32Array(lines.count + 1);
  for (let line = 0; line < lines.count; line++) at[line + 1] = at[line]! + lines.spans[line]!;
  const next = at.slice();
  const durations = new Float64Array(at[lines.count]!);
  for (let row = 0; row < trace.spanCount; row++) if (lineOf[row]! >= 0) durations[next[lineOf[row]!]!++] = trace.duration[row]!;
  for (let line = 0; line < lines.count; line++) {
    const own = durations.subarray(at[line]!, at[line + 1]!).sort();
    lines.p95[line] = own[Math.ceil(own.length * 0.95) - 1]!;
  }
}

/** `-self` descends, `name` ascends; what is not known is self time, the most first. */
export function readTableSort(text: string): { sort: TableSort; down: boolean } {
  const name = text.replace(/^-/, '');
  const sort = SORTS.find((known) => known === name);
  return sort ? { sort, down: text.startsWith('-') } : { sort: 'self', down: true };
}

export function sortedLines(trace: Trace, lines: Lines, sort: TableSort, down: boolean): Uint32Array {
  const of: Record<Exclude<TableSort, 'name'>, (line: number) => number> = {
    self: (line) => lines.self[line]!,
    spans: (line) => lines.spans[line]!,
    errors: (line) => lines.errors[line]!,
    duration: (line) => lines.duration[line]!,
    average: (line) => lines.duration[line]! / lines.spans[line]!,
    p95: (line) => lines.p95[line]!,
    longest: (line) => lines.longest[line]!,
    critical: (line) => lines.critical[line]!,
    start: (line) => trace.start[lines.row[line]!]!,
  };
  const rank = rankOf(trace.names);
  const value = sort === 'name' ? (line: number) => rank[trace.name[lines.row[line]!]!]! : of[sort];
  const sign = down ? -1 : 1;
  return Uint32Array.from({ length: lines.count }, (_, line) => line).sort((a, b) => sign * (value(a) - value(b)) || a - b);
}

function rankOf(names: readonly string[]): Uint32Array {
  const rank = new Uint32Array(names.length);
  [...names.keys()].sort((a, b) => (names[a]! < names[b]! ? -1 : 1)).forEach((name, at) => (rank[name] = at));
  return rank;
}
