// Which rows of a trace are visible. In: the trace, what is folded, which subtree is in focus. Out: a `Uint32Array` of rows. A fold is
// written as a depth from which everything is folded plus the rows that differ, so that an address stays short at any size.
import { FLAG_ERROR, type Trace } from './columns';

/** Rows with children are folded where their depth is at least `depth`, except that `toggled` rows are the other way round. */
export interface Folds {
  depth: number;
  toggled: ReadonlySet<number>;
}

export const NOTHING_FOLDED: Folds = { depth: Infinity, toggled: new Set() };

/** Above this many spans a trace opens folded: the first screen shows its shape instead of its first millisecond. */
export const OPEN_FOLDED_ABOVE = 2_000;
const OPEN_DEPTH = 2;
const TOGGLED_MAX = 400;

export function initialFolds(trace: Trace): Folds {
  return trace.spanCount > OPEN_FOLDED_ABOVE ? { depth: OPEN_DEPTH, toggled: new Set() } : NOTHING_FOLDED;
}

export function isFolded(trace: Trace, folds: Folds, row: number): boolean {
  return trace.subtree[row]! > 1 && trace.depth[row]! >= folds.depth !== folds.toggled.has(row);
}

export function toggle(folds: Folds, row: number): Folds {
  const toggled = new Set(folds.toggled);
  if (!toggled.delete(row)) toggled.add(row);
  return { depth: folds.depth, toggled };
}

/** All rows to draw, top to bottom, below `focus` (-1: the whole trace). */
export function visibleRows(trace: Trace, folds: Folds, focus = -1): Uint32Array {
  const { subtree, depth, spanCount } = trace;
  const first = Math.max(focus, 0);
  const end = focus < 0 ? spanCount : focus + subtree[focus]!;
  const rows = new Uint32Array(end - first);
  const none = folds.toggled.size === 0;
  let count = 0;
  for (let row = first; row < end; ) {
    rows[count++] = row;
    const folded = depth[row]! >= folds.depth !== (none ? false : folds.toggled.has(row));
    row += folded ? subtree[row]! : 1;
  }
  return rows.slice(0, count);
}

/** Where a row stands among the visible ones; a hidden row is found where its folded ancestor stands. */
export function indexOf(rows: Uint32Array, row: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows[middle]! <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Opens every ancestor of a row. */
export function reveal(trace: Trace, folds: Folds, row: number): Folds {
  let toggled: Set<number> | undefined;
  for (let above = trace.parent[row]!; above >= 0; above = trace.parent[above]!) {
    if (!isFolded(trace, folds, above)) continue;
    toggled ??= new Set(folds.toggled);
    if (!toggled.delete(above)) toggled.add(above);
  }
  return toggled ? { depth: folds.depth, toggled } : folds;
}

/** The next (`step` 1) or previous (-1) row after `from` that has an error, around the end. */
export function nextError(trace: Trace, from: number, step: 1 | -1): number {
  return nextWhere(trace.spanCount, from, step, (row) => (trace.flags[row]! & FLAG_ERROR) !== 0);
}

export function nextWhere(count: number, from: number, step: 1 | -1, wanted: (row: number) => boolean): number {
  for (let i = 1; i <= count; i++) {
    const row = (((from + step * i) % count) + count) % count;
    if (wanted(row)) return row;
  }
  return -1;
}

/** `d2.5.1c`: folded from depth 2 on, rows 5 and 48 the other way round; rows in base 36. */
export function writeFolds(folds: Folds): string {
  const parts = Number.isFinite(folds.depth) ? [`d${folds.depth}`] : [];
  if (folds.toggled.size <= TOGGLED_MAX) for (const row of [...folds.toggled].sort((a, b) => a - b)) parts.push(row.toString(36));
  return parts.length === 0 ? '-' : parts.join('.');
}

export function readFolds(text: string, trace: Trace): Folds {
  const toggled = new Set<number>();
  let depth = Infinity;
  for (const part of text.split('.')) {
    if (/^d\d{1,7}$/.test(part)) depth = Number(part.slice(1));
    else if (/^[0-9a-z]{1,6}$/.test(part) && parseInt(part, 36) < trace.spanCount) toggled.add(parseInt(part, 36));
  }
  return { depth, toggled };
}
