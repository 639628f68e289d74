// Repeated siblings: small calls of one name and service under one parent, five or more, become one group that a timeline can show as
// one line. In: the columns. Out: each row's group and a table of groups. Failed calls make a group of their own, and calls with an
// error below them none: an error is never hidden among calls that went well.
import { FLAG_ERROR } from './flags';

export const GROUP_MIN = 5;
/** Rows below a call that may still be one of many: what does more than this is worth its own line. */
const SUBTREE_MAX = 4;

export interface Groups {
  count: number;
  /** One entry a row: its group, or -1. */
  of: Int32Array;
  /** `count + 1` entries: where a group's members begin in `members`. */
  at: Uint32Array;
  /** Rows, by group, in the order of their starts. */
  members: Uint32Array;
  /** Microseconds: all members together, the 95th percentile, the longest. */
  total: Float64Array;
  p95: Float64Array;
  longest: Float64Array;
}

interface Columns {
  spanCount: number;
  subtree: Uint32Array;
  service: Uint32Array;
  name: Uint32Array;
  flags: Uint8Array;
  duration: Float64Array;
  names: readonly string[];
  errorsBefore: Uint32Array;
}

export function groupSiblings(trace: Columns): Groups {
  const { spanCount, subtree } = trace;
  const of = new Int32Array(spanCount).fill(-1);
  const at: number[] = [0];
  const members: number[] = [];
  const byKey = new Map<number, number[]>();
  const collect = (first: number, end: number) => {
    byKey.clear();
    for (let child = first; child < end; child += subtree[child]!) {
      if (subtree[child]! > SUBTREE_MAX || trace.errorsBefore[child + subtree[child]!]! > trace.errorsBefore[child + 1]!) continue;
      const key = (trace.service[child]! * trace.names.length + trace.name[child]!) * 2 + (trace.flags[child]! & FLAG_ERROR);
      const list = byKey.get(key);
      if (list) list.push(child);
      else byKey.set(key, [child]);
    }
    for (const list of byKey.values()) {
      if (list.length < GROUP_MIN) continue;
      for (const row of list) {
        of[row] = at.length - 1;
        members.push(row);
      }
      at.push(members.length);
    }
  };
  for (let row = 0; row < spanCount; row++) if (subtree[row]! > GROUP_MIN && hasAtLeast(subtree, row, GROUP_MIN)) collect(row + 1, row + subtree[row]!);
  return { count: at.length - 1, of, at: Uint32Array.from(at), members: Uint32Array.from(members), ...figures(trace, at, members) };
}

export function firstOf(groups: Groups, group: number): number {
  return groups.members[groups.at[group]!]!;
}

export function sizeOf(groups: Groups, group: number): number {
  return groups.at[group + 1]! - groups.at[group]!;
}

function hasAtLeast(subtree: Uint32Array, row: number, least: number): boolean {
  const end = row + subtree[row]!;
  let count = 0;
  for (let child = row + 1; child < end; child += subtree[child]!) if (++count >= least) return true;
  return false;
}

function figures(trace: Columns, at: readonly number[], members: readonly number[]): Pick<Groups, 'total' | 'p95' | 'longest'> {
  const count = at.length - 1;
  const total = new Float64Array(count);
  const p95 = new Float64Array(count);
  const longest = new Float64Array(count);
  for (let group = 0; group < count; group++) {
    const durations = Float64Array.from(members.slice(at[group]!, at[group + 1]!), (row) => trace.duration[row]!).sort();
    for (const us of durations) total[group]! += us;
    p95[group] = durations[Math.ceil(durations.length * 0.95) - 1]!;
    longest[group] = durations[durations.length - 1]!;
  }
  return { total, p95, longest };
}
