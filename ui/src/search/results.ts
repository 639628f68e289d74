// The list of results as shown. In: summaries in the server's order. Out: the order asked for, and what the columns need to share a scale.
import type { Summary } from '../api';

export const SORTS = ['newest', 'longest', 'spans', 'errors'] as const;
export type Sort = (typeof SORTS)[number];

export function readSort(text: string | null): Sort {
  return SORTS.find((sort) => sort === text) ?? 'newest';
}

/** Equal ones stay newest first. */
export function sortSummaries(list: readonly Summary[], sort: Sort): Summary[] {
  const newest = [...list].sort((a, b) => b.timestamp - a.timestamp);
  const by: Record<Sort, (s: Summary) => number> = {
    newest: () => 0,
    longest: (s) => s.duration,
    spans: (s) => s.spanCount,
    errors: (s) => s.errorCount,
  };
  return sort === 'newest' ? newest : newest.sort((a, b) => by[sort](b) - by[sort](a));
}

export interface Overview {
  withErrors: number;
  services: string[];
  durations_us: number[];
  /** Where the bars of the duration column end. A few far longer traces do not squeeze all the others: their bars are cut. */
  scale_us: number;
  /** All traces start on one day. */
  oneDay: boolean;
}

export function overview(list: readonly Summary[]): Overview {
  const services = new Set<string>();
  const days = new Set<string>();
  let withErrors = 0;
  for (const summary of list) {
    for (const service of summary.services) services.add(service.name);
    days.add(new Date(summary.timestamp / 1000).toDateString());
    if (summary.errorCount > 0) withErrors++;
  }
  const today = new Date().toDateString();
  const durations_us = list.map((summary) => summary.duration).sort((a, b) => a - b);
  return { withErrors, services: [...services], durations_us, scale_us: scaleOf(durations_us), oneDay: days.size <= 1 && (days.size === 0 || days.has(today)) };
}

const CUT_FACTOR = 4;

function scaleOf(ascending: readonly number[]): number {
  const longest = ascending[ascending.length - 1] ?? 1;
  const most = ascending[Math.floor((ascending.length - 1) * 0.9)] ?? 1;
  return Math.max(longest > most * CUT_FACTOR ? most * 1.5 : longest, 1);
}

export interface Segment {
  name: string;
  /** Percent of the strip. */
  left: number;
  width: number;
}

/** Services of a trace as parts of a strip, by self time; those too thin to see are left out. */
export function segments(summary: Summary): Segment[] {
  const total = summary.services.reduce((sum, service) => sum + service.selfTime, 0);
  const list: Segment[] = [];
  let left = 0;
  for (const service of summary.services) {
    const width = total > 0 ? (service.selfTime / total) * 100 : 100 / summary.services.length;
    if (width >= 0.5) list.push({ name: service.name, left, width });
    left += width;
  }
  return list;
}
