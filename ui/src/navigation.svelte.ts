// Where the page is. In: the browser's address, clicks on links, `go`. Out: a reactive `here` with the route and its parameters. All
// addresses are relative to <base href>, so that the page works under any path. Zipkin's and Jaeger's addresses become ours on arrival.
import { fromJaegerSearch } from './jaeger';

const PLAIN = ['map', 'open', 'compare', 'services', 'live', 'status'] as const;
type Plain = (typeof PLAIN)[number];
export type Route = { page: 'search' } | { page: 'trace'; id: string } | { page: Plain } | { page: 'lost' };

const base = new URL(document.baseURI);

class Here {
  route: Route = $state({ page: 'search' });
  params: URLSearchParams = $state.raw(new URLSearchParams());
}

export const here = new Here();

export function startNavigation(): void {
  arrive();
  window.addEventListener('popstate', arrive);
  document.addEventListener('click', follow);
}

/** `path` and parameters below the base; `replace` for what should not become a step of "back". */
export function go(path: string, params: URLSearchParams = new URLSearchParams(), how: 'push' | 'replace' = 'push'): void {
  const url = new URL(address(path, params), base);
  if (url.href === location.href) return;
  history[how === 'push' ? 'pushState' : 'replaceState'](null, '', url);
  arrive();
}

/** Writes parameters of the page being shown; an empty value takes its parameter out. */
export function remember(changes: Record<string, string | undefined>, how: 'push' | 'replace' = 'replace'): void {
  const params = new URLSearchParams(here.params);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined || value === '') params.delete(key);
    else params.set(key, value);
  }
  go(currentPath(), params, how);
}

/** An address for a link, relative to the base. */
export function address(path: string, params: URLSearchParams = new URLSearchParams()): string {
  const query = params.toString().replaceAll('%3A', ':').replaceAll('%2F', '/');
  return (path === '' ? './' : path) + (query === '' ? '' : `?${query}`);
}

export function routeOf(path: string): Route {
  const parts = path.replace(/\/+$/, '').split('/');
  if (parts.length === 1 && ['', 'index.html', 'search'].includes(parts[0]!)) return { page: 'search' };
  if (parts.length === 2 && ['trace', 'traces'].includes(parts[0]!) && /^[0-9a-f]{1,32}$/i.test(parts[1]!)) {
    return { page: 'trace', id: parts[1]!.toLowerCase() };
  }
  if (parts.length === 1 && ['dependency', 'dependencies', 'system-architecture'].includes(parts[0]!)) return { page: 'map' };
  if (parts.length === 1 && parts[0] === 'monitor') return { page: 'services' };
  const plain = parts.length === 1 ? PLAIN.find((page) => page === parts[0]) : undefined;
  if (plain) return { page: plain };
  return { page: 'lost' };
}

function arrive(): void {
  const path = location.pathname.startsWith(base.pathname) ? location.pathname.slice(base.pathname.length) : '';
  const params = new URLSearchParams(location.search);
  const route = routeOf(path);
  let own = params;
  // Jaeger's search, also where its path has gone lost on the way through a proxy.
  const isJaegers = route.page === 'search' && params.has('service') && !params.has('q');
  if (isJaegers || /^(traces\/|dependenc|system-arch|monitor|search|index\.html)/.test(path) || (route.page === 'trace' && params.has('uiFind'))) {
    if (route.page === 'map') renameTimes(params);
    if (route.page === 'search') own = fromJaegerSearch(params);
    if (route.page === 'trace') renameFind(params);
    history.replaceState(null, '', new URL(address(pathOf(route), own), base));
  }
  if (JSON.stringify(route) !== JSON.stringify(here.route)) here.route = route;
  here.params = own;
}

/** Jaeger's page: `uiFind` is what is looked for in the trace. */
function renameFind(params: URLSearchParams): void {
  const text = params.get('uiFind');
  if (text !== null) params.set('q', text);
  for (const theirs of ['uiFind', 'uiEmbed', 'uiTimelineHideMinimap', 'uiSearchHideGraph']) params.delete(theirs);
}

function renameTimes(params: URLSearchParams): void {
  for (const [theirs, ours] of [['startTime', 'startTs'], ['endTime', 'endTs']] as const) {
    const value = params.get(theirs);
    if (value !== null) params.set(ours, value);
    params.delete(theirs);
  }
}

function currentPath(): string {
  return pathOf(here.route);
}

function pathOf(route: Route): string {
  if (route.page === 'trace') return `trace/${route.id}`;
  return route.page === 'search' || route.page === 'lost' ? '' : route.page;
}

function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element).closest?.('a');
  if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
  if (!link.pathname.startsWith(base.pathname) || link.pathname.startsWith(`${base.pathname}api/`)) return;
  const path = link.pathname.slice(base.pathname.length);
  if (routeOf(path).page === 'lost') return;
  event.preventDefault();
  go(path, new URLSearchParams(link.search));
}
