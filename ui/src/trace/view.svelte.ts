// What is shown of a trace and what the user does to it. In: the trace, the address, actions. Out: reactive state that the timeline
// draws, and the parameters that bring the same view back: span, q, fold, from, to, focus, detail.
import {
  FLAG_SHARED,
  selfTime,
  type Trace,
} from './columns';
import { findSpans, type Found } from './find';
import {
  indexOf,
  initialFolds,
  isFolded,
  nextError,
  nextWhere,
  readFolds,
  reveal,
  toggle,
  visibleRows,
  writeFolds,
  type Folds,
} from './fold';
import { assignSlots, type Slots } from '../colour';
import { around, clamp, isWhole, readWindow, whole, type TimeWindow } from './window';

/** What the address names: a row, or a span id (with `-shared` for the server's half of a shared span), which the server turns into a row. */
export type Wanted = number | { spanId: string; shared: boolean } | undefined;

export interface ServiceTotal {
  name: string;
  self_us: number;
  spans: number;
}

export class TraceView {
  readonly trace: Trace;
  readonly slots: Slots;
  /** Slot of each entry of `trace.services`. */
  readonly slotOf: Uint8Array;
  readonly totals: ServiceTotal[];
  folds: Folds = $state.raw({ depth: Infinity, toggled: new Set() });
  window: TimeWindow = $state.raw({ from: 0, to: 1 });
  /** A row, or -1. */
  selected = $state(-1);
  /** The span id behind `selected`, once the server has told it. */
  selectedId: string | undefined = $state();
  /** The row whose subtree alone is shown, or -1. */
  focus = $state(-1);
  text = $state('');
  detailOpen = $state(false);
  rows: Uint32Array = $derived.by(() => visibleRows(this.trace, this.folds, this.focus));
  found: Found | undefined = $derived.by(() => findSpans(this.trace, this.text));
  /** Counts up when the selected row should be scrolled into view. */
  scrollTo = $state(0);

  /** `known`: the services the server knows, for the colours. */
  constructor(trace: Trace, known: readonly string[] = []) {
    this.trace = trace;
    this.slots = assignSlots(trace.services, known);
    this.slotOf = Uint8Array.from(trace.services, (name) => this.slots.get(name)!);
    this.totals = totals(trace);
  }

  /** Takes the view from an address. Returns the span it names. */
  read(params: URLSearchParams): Wanted {
    const { trace } = this;
    const fold = params.get('fold');
    this.folds = fold === null ? initialFolds(trace) : readFolds(fold, trace);
    this.window = readWindow(params.get('from'), params.get('to'), trace.duration_us);
    this.text = params.get('q') ?? '';
    const focus = parseInt(params.get('focus') ?? '', 36);
    this.focus = focus >= 0 && focus < trace.spanCount ? focus : -1;
    const span = params.get('span') ?? '';
    this.detailOpen = span !== '' && params.get('detail') !== 'off';
    if (/^\d{1,8}$/.test(span)) return Number(span) < trace.spanCount ? Number(span) : undefined;
    const match = /^([0-9a-f]{16})(-shared)?$/.exec(span.toLowerCase());
    return match ? { spanId: match[1]!, shared: match[2] !== undefined } : undefined;
  }

  /** The parameters of this view; those at their default are undefined. */
  write(): Record<string, string | undefined> {
    const { trace } = this;
    const fold = writeFolds(this.folds);
    const zoomed = !isWhole(this.window, trace.duration_us);
    return {
      span: this.selected < 0 ? undefined : this.spanParameter(),
      q: this.text || undefined,
      fold: fold === writeFolds(initialFolds(trace)) ? undefined : fold,
      from: zoomed ? String(Math.round(this.window.from)) : undefined,
      to: zoomed ? String(Math.round(this.window.to)) : undefined,
      focus: this.focus < 0 ? undefined : this.focus.toString(36),
      detail: this.selected >= 0 && !this.detailOpen ? 'off' : undefined,
    };
  }

  select(row: number, open = this.detailOpen): void {
    if (row < 0) return;
    if (row !== this.selected) this.selectedId = undefined;
    if (this.focus >= 0 && (row < this.focus || row >= this.focus + this.trace.subtree[this.focus]!)) this.focus = -1;
    this.folds = reveal(this.trace, this.folds, row);
    this.selected = row;
    this.detailOpen = open;
    this.scrollTo++;
  }

  /** The server's half of a shared span is the child of the client's half and has the same id. */
  sharedHalf(row: number): number {
    const { trace } = this;
    const end = row + trace.subtree[row]!;
    for (let child = row + 1; child < end; child += trace.subtree[child]!) if (trace.flags[child]! & FLAG_SHARED) return child;
    return row;
  }

  move(by: number): void {
    const at = this.selected < 0 ? (by > 0 ? -1 : 0) : indexOf(this.rows, this.selected);
    const next = Math.min(Math.max(at + by, 0), this.rows.length - 1);
    this.select(this.rows[next]!);
  }

  toggleFold(row: number): void {
    if (this.trace.subtree[row]! > 1) this.folds = toggle(this.folds, row);
  }

  /** `h`: fold, or go to the parent. */
  left(): void {
    const row = this.selected;
    if (row < 0) return this.move(1);
    if (this.trace.subtree[row]! > 1 && !isFolded(this.trace, this.folds, row)) this.toggleFold(row);
    else if (this.trace.parent[row]! >= 0 && row !== this.focus) this.select(this.trace.parent[row]!);
  }

  /** `l`: unfold, or go to the first child. */
  right(): void {
    const row = this.selected;
    if (row < 0) return this.move(1);
    if (isFolded(this.trace, this.folds, row)) this.toggleFold(row);
    else if (this.trace.subtree[row]! > 1) this.select(row + 1);
  }

  expandAll(): void {
    this.folds = { depth: Infinity, toggled: new Set() };
  }

  /** Folds from one level above (`by` -1) or below (1) what is folded now. */
  changeDepth(by: 1 | -1): void {
    const now = Math.min(this.folds.depth, this.trace.depth_max);
    const depth = Math.max(0, now + by);
    this.folds = { depth: depth >= this.trace.depth_max ? Infinity : depth, toggled: new Set() };
  }

  nextError(step: 1 | -1): void {
    this.select(nextError(this.trace, this.selected < 0 && step < 0 ? 0 : this.selected, step));
  }

  nextMatch(step: 1 | -1): void {
    const matches = this.found?.matches;
    if (matches) this.select(nextWhere(this.trace.spanCount, this.selected < 0 && step < 0 ? 0 : this.selected, step, (row) => matches[row] === 1));
  }

  /** The selected match's number among all, 0 when the selected span is none. */
  matchNumber(): number {
    const matches = this.found?.matches;
    if (!matches || this.selected < 0 || matches[this.selected] !== 1) return 0;
    let number = 0;
    for (let row = 0; row <= this.selected; row++) number += matches[row]!;
    return number;
  }

  zoomToSelected(): void {
    const row = this.selected;
    if (row >= 0) this.window = around(this.trace.start[row]!, this.trace.duration[row]!, this.trace.duration_us);
  }

  showWhole(): void {
    this.window = whole(this.trace.duration_us);
  }

  setWindow(view: TimeWindow): void {
    this.window = clamp(view, this.trace.duration_us);
  }

  toggleFocus(): void {
    if (this.focus >= 0) this.focus = -1;
    else if (this.selected >= 0 && this.trace.subtree[this.selected]! > 1) {
      this.focus = this.selected;
      this.zoomToSelected();
    }
    this.scrollTo++;
  }

  private spanParameter(): string {
    if (this.selectedId === undefined) return String(this.selected);
    return this.selectedId + (this.trace.flags[this.selected]! & FLAG_SHARED ? '-shared' : '');
  }
}

function totals(trace: Trace): ServiceTotal[] {
  const list = trace.services.map((name) => ({ name, self_us: 0, spans: 0 }));
  for (let row = 0; row < trace.spanCount; row++) {
    const total = list[trace.service[row]!]!;
    total.self_us += selfTime(trace, row);
    total.spans++;
  }
  return list.filter((total) => total.spans > 0).sort((a, b) => b.self_us - a.self_us || (a.name < b.name ? -1 : 1));
}
