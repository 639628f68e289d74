// The dependency links as shown. In: links of the API. Out: sorted, filtered, narrowed to the neighbours of one service.
import type { MapAnswer } from '../api';
import type { Link } from './layout';

export const LINK_SORTS = ['parent', 'child', 'calls', 'errors', 'share', 'p95'] as const;
export type LinkSort = (typeof LINK_SORTS)[number];

/** Above this many services the picture is drawn for one service's neighbours only. */
export const DRAWN_MAX = 150;

export function readLinkSort(text: string | null): LinkSort {
  return LINK_SORTS.find((sort) => sort === text) ?? 'calls';
}

export function toLinks(list: MapAnswer['links']): Link[] {
  return list.map(({ parent, child, count, errors, rate, p95 }) => ({ parent, child, callCount: count, errorCount: errors, rate, p95_us: p95 ?? 0 }));
}

export function servicesOf(links: readonly Link[]): string[] {
  return [...new Set(links.flatMap((link) => [link.parent, link.child]))].sort();
}

/** Numbers descend, names ascend; ties stand in name order. */
export function sortLinks(links: readonly Link[], sort: LinkSort): Link[] {
  const name = (a: Link, b: Link) => compare(a.parent, b.parent) || compare(a.child, b.child);
  const by: Record<LinkSort, (a: Link, b: Link) => number> = {
    parent: name,
    child: (a, b) => compare(a.child, b.child) || compare(a.parent, b.parent),
    calls: (a, b) => b.callCount - a.callCount || name(a, b),
    errors: (a, b) => b.errorCount - a.errorCount || name(a, b),
    share: (a, b) => errorShare(b) - errorShare(a) || name(a, b),
    p95: (a, b) => (b.p95_us ?? 0) - (a.p95_us ?? 0) || name(a, b),
  };
  return [...links].sort(by[sort]);
}

export function errorShare(link: Link): number {
  return link.callCount > 0 ? link.errorCount / link.callCount : 0;
}

/** Links from and to a service. */
export function neighbours(links: readonly Link[], service: string): Link[] {
  return links.filter((link) => link.parent === service || link.child === service);
}

/** Links with the text in one of their names. */
export function filterLinks(links: readonly Link[], text: string): Link[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return [...links];
  return links.filter((link) => link.parent.toLowerCase().includes(wanted) || link.child.toLowerCase().includes(wanted));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
