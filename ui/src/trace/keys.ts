// The keys of the trace page. In: a key event and the view. Out: whether the key meant something here.
import { VIEWS, type TraceView } from './view.svelte';

const PAGE_ROWS = 20;
const ZOOM = 1.4;
const PAN = 0.2;

type Action = (view: TraceView) => void;

const ACTIONS: Record<string, Action> = {
  j: (view) => view.move(1),
  ArrowDown: (view) => view.move(1),
  k: (view) => view.move(-1),
  ArrowUp: (view) => view.move(-1),
  PageDown: (view) => view.move(PAGE_ROWS),
  PageUp: (view) => view.move(-PAGE_ROWS),
  Home: (view) => view.selectLine(view.rows[0]),
  End: (view) => view.selectLine(view.rows[view.rows.length - 1]),
  h: (view) => view.left(),
  ArrowLeft: (view) => view.left(),
  l: (view) => view.right(),
  ArrowRight: (view) => view.right(),
  Enter: (view) => (view.index() < 0 ? view.move(1) : (view.detailOpen = !view.detailOpen)),
  w: (view) => view.zoomBy(1 / ZOOM),
  s: (view) => view.zoomBy(ZOOM),
  a: (view) => view.panBy(-PAN),
  d: (view) => view.panBy(PAN),
  c: (view) => view.toggleCritical(),
  r: (view) => view.toggleGrouping(),
  n: (view) => view.nextMatch(1),
  N: (view) => view.nextMatch(-1),
  e: (view) => view.nextError(1),
  E: (view) => view.nextError(-1),
  z: (view) => view.zoomToSelected(),
  Z: (view) => view.showWhole(),
  f: (view) => view.toggleFocus(),
  '[': (view) => view.changeDepth(-1),
  ']': (view) => view.changeDepth(1),
  ...Object.fromEntries(VIEWS.map((name, i) => [String(i + 1), (view: TraceView) => void (view.name = name)])),
};

export function pressKey(view: TraceView, key: string): boolean {
  const action = ACTIONS[key];
  action?.(view);
  return action !== undefined;
}

/** Keys typed into a field belong to the field, and none reaches past an open dialog. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  return event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') !== null || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** Buttons and links take Enter themselves. */
export function isPressing(event: KeyboardEvent): boolean {
  return event.key === 'Enter' && /^(A|BUTTON)$/.test((event.target as HTMLElement).tagName);
}
