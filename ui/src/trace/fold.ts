// Which lines of a trace are visible. In: the trace, what is folded, which subtree is in focus, what a filter lets through. Out: a
// `Uint32Array` of lines: a row, or `GROUP_BIT` and the number of a group of repeated siblings. A fold is written as a depth from which
// everything is folded plus the rows that differ, so that an address stays short at any size.
import { FLAG_ERROR, type Trace } from './columns';
import { firstOf } from './groups';

/** Rows with children are folded where their depth is at least `depth`, except that `toggled` rows are the other way round. */
export interface Folds {
  depth: number;
  /** Rows that lead to an error or to the critical path stay open below `depth`. */
  leading?: boolean;
  toggled: ReadonlySet<number>;
  /** Repeated siblings stand one by one. */
  ungrouped?: boolean;
  /** First rows of the groups whose members are shown. */
  openGroups?: ReadonlySet<number>;
}

/** Set in a line that stands for a group. */
export const GROUP_BIT = 0x80000000;

export const EVERYTHING: Folds = { depth: Infinity, toggled: new Set(), ungrouped: true };
export const NOTHING_FOLDED: Folds = { depth: Infinity, toggled: new Set() };

/** Above this many spans a trace opens folded: the first screen shows its shape instead of its first millisecond. */
export const OPEN_FOLDED_ABOVE = 2_000;
const OPEN_DEPTH = 2;
const TOGGLED_MAX = 400;

export function initialFolds(trace: Trace): Folds {
  return trace.spanCount > OPEN_FOLDED_ABOVE ? { depth: OPEN_DEPTH, leading: true, toggled: new Set() } : NOTHING_FOLDED;
}

export function isFolded(trace: Trace, folds: Folds, row: number): boolean {
  if (trace.subtree[row]! <= 1) return false;
  const deep = trace.depth[row]! >= folds.depth && !(folds.leading && trace.leading[row] === 1);
  return deep !== folds.toggled.has(row);
}

export function isGroup(line: number): boolean {
  return line >= GROUP_BIT;
}

export function groupOf(line: number): number {
  return line - GROUP_BIT;
}

export function isGroupOpen(trace: Trace, folds: Folds, group: number): boolean {
  return folds.openGroups?.has(firstOf(trace.groups, group)) ?? false;
}

export function toggle(folds: Folds, row: number): Folds {
  return { ...folds, toggled: flipped(folds.toggled, row) };
}

export function toggleGroup(trace: Trace, folds: Folds, group: number): Folds {
  return { ...folds, openGroups: flipped(folds.openGroups ?? new Set(), firstOf(trace.groups, group)) };
}

/** All lines to draw, top to bottom, below `focus` (-1: the whole trace). */
export function visibleRows(trace: Trace, folds: Folds, focus = -1): Uint32Array {
  const { subtree, groups, spanCount } = trace;
  const first = Math.max(focus, 0);
  const end = focus < 0 ? spanCount : focus + subtree[focus]!;
  const grouped = !folds.ungrouped && groups.count > 0;
  const lines = new Uint32Array(end - first + (grouped ? groups.count : 0));
  let count = 0;
  // Ranges still to be walked: the next row, the end, and the member of an open group that the range begins with.
  const stack: number[] = [first, end, focus];
  while (stack.length > 0) {
    const at = stack.length - 3;
    const row = stack[at]!;
    if (row >= stack[at + 1]!) {
      stack.length = at;
      continue;
    }
    const group = grouped && row !== stack[at + 2] ? groups.of[row]! : -1;
    if (group < 0) {
      lines[count++] = row;
      stack[at] = row + (isFolded(trace, folds, row) ? subtree[row]! : 1);
      continue;
    }
    stack[at] = row + subtree[row]!;
    if (firstOf(groups, group) !== row) continue;
    lines[count++] = GROUP_BIT + group;
    if (!isGroupOpen(trace, folds, group)) continue;
    for (let i = groups.at[group + 1]! - 1; i >= groups.at[group]!; i--) {
      const member = groups.members[i]!;
      stack.push(member, member + subtree[member]!, member);
    }
  }
  return lines.slice(0, count);
}

/** The rows a filter lets through, and with `path` everything above them. */
export function filteredRows(trace: Trace, matches: Uint8Array, path: boolean, focus = -1): Uint32Array {
  const first = Math.max(focus, 0);
  const end = focus < 0 ? trace.spanCount : focus + trace.subtree[focus]!;
  const kept = matches.slice();
  if (path) {
    for (let row = first; row < end; row++) {
      if (matches[row] !== 1) continue;
      for (let above = trace.parent[row]!; above >= first && kept[above] === 0; above = trace.parent[above]!) kept[above] = 1;
    }
  }
  const rows = new Uint32Array(end - first);
  let count = 0;
  for (let row = first; row < end; row++) if (kept[row] === 1) rows[count++] = row;
  return rows.slice(0, count);
}

/** Where each row and group stands among the lines; -1 where it is hidden. */
export interface Places {
  rows: Int32Array;
  groups: Int32Array;
}

export function placesOf(trace: Trace, lines: Uint32Array): Places {
  const rows = new Int32Array(trace.spanCount).fill(-1);
  const groups = new Int32Array(trace.groups.count).fill(-1);
  for (let i = 0; i < lines.length; i++) {
    if (isGroup(lines[i]!)) groups[groupOf(lines[i]!)] = i;
    else rows[lines[i]!] = i;
  }
  return { rows, groups };
}

/** Where a row stands; a hidden row is found where its group or folded ancestor stands. */
export function indexOf(trace: Trace, places: Places, row: number): number {
  for (let at = row; at >= 0; at = trace.parent[at]!) {
    if (places.rows[at]! >= 0) return places.rows[at]!;
    const group = trace.groups.of[at]!;
    if (group >= 0 && places.groups[group]! >= 0) return places.groups[group]!;
  }
  return 0;
}

/** Opens every ancestor of a row, and every group it or they are in. */
export function reveal(trace: Trace, folds: Folds, row: number): Folds {
  let toggled: Set<number> | undefined;
  let openGroups: Set<number> | undefined;
  for (let at = row; at >= 0; at = trace.parent[at]!) {
    const group = folds.ungrouped ? -1 : trace.groups.of[at]!;
    if (group >= 0 && !isGroupOpen(trace, folds, group)) (openGroups ??= new Set(folds.openGroups)).add(firstOf(trace.groups, group));
    if (at === row || !isFolded(trace, folds, at)) continue;
    toggled ??= new Set(folds.toggled);
    if (!toggled.delete(at)) toggled.add(at);
  }
  if (!toggled && !openGroups) return folds;
  return { ...folds, toggled: toggled ?? folds.toggled, openGroups: openGroups ?? folds.openGroups };
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

/**
 * `D2.L.5.1c.G7`: folded from depth 2 on but for rows that lead somewhere, rows 5 and 48 the other way round, the group that begins with
 * row 7 open; `U`: nothing grouped. Rows in base 36, marks in capitals.
 */
export function writeFolds(folds: Folds): string {
  const parts = Number.isFinite(folds.depth) ? [`D${folds.depth}`] : [];
  if (folds.leading) parts.push('L');
  if (folds.ungrouped) parts.push('U');
  const rows = (set: ReadonlySet<number> | undefined, mark: string) => {
    if (set && set.size <= TOGGLED_MAX) for (const row of [...set].sort((a, b) => a - b)) parts.push(mark + row.toString(36));
  };
  rows(folds.toggled, '');
  rows(folds.openGroups, 'G');
  return parts.length === 0 ? '-' : parts.join('.');
}

export function readFolds(text: string, trace: Trace): Folds {
  const toggled = new Set<number>();
  const openGroups = new Set<number>();
  const folds: Folds = { depth: Infinity, toggled };
  for (const part of text.split('.')) {
    const [, mark, rest] = /^([DLUG]?)([0-9a-z]{0,7})$/.exec(part) ?? [];
    const row = parseInt(rest ?? '', 36);
    if (mark === 'D' && /^\d+$/.test(rest!)) folds.depth = Number(rest);
    else if (mark === 'L') folds.leading = true;
    else if (mark === 'U') folds.ungrouped = true;
    else if (row < trace.spanCount && mark === 'G' && trace.groups.of[row]! >= 0) openGroups.add(row);
    else if (row < trace.spanCount && mark === '') toggled.add(row);
  }
  if (openGroups.size > 0) folds.openGroups = openGroups;
  return folds;
}

function flipped(set: ReadonlySet<number>, value: number): Set<number> {
  const next = new Set(set);
  if (!next.delete(value)) next.add(value);
  return next;
}
