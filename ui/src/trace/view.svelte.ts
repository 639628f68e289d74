// What is shown of a trace and what the user does to it. In: the trace, the address, actions. Out: reactive state that the views draw,
// and the parameters that bring the same view back: view, span, q, show, fold, from, to, focus, detail, sort, by, at.
import { assignSlots, type Slots } from '../colour';
import { FLAG_SHARED, type Trace } from './columns';
import { findSpans, type Found } from './find';
import {
  EVERYTHING,
  filteredRows,
  groupOf,
  indexOf,
  initialFolds,
  isFolded,
  isGroup,
  isGroupOpen,
  nextError,
  nextWhere,
  placesOf,
  readFolds,
  reveal,
  toggle,
  toggleGroup,
  visibleRows,
  writeFolds,
  type Folds,
  type Places,
} from './fold';
import { firstOf } from './groups';
import type { Source } from './source';
import { around, clamp, isWhole, pan, readWindow, whole, zoom, type TimeWindow } from './window';

/** What the address names: a row, or a span id (with `-shared` for the server's half of a shared span), which the source turns into a row. */
export type Wanted = number | { spanId: string; shared: boolean } | undefined;

export const VIEWS = ['timeline', 'flame', 'table', 'map', 'logs'] as const;
export type ViewName = (typeof VIEWS)[number];

/** What a filter does to spans that do not match: they fade, they go, or only those above a match stay. */
export const SHOWS = ['dim', 'hide', 'path'] as const;
export type Show = (typeof SHOWS)[number];

export interface ServiceTotal {
  name: string;
  self_us: number;
  spans: number;
}

export class TraceView {
  readonly trace: Trace;
  readonly source: Source;
  readonly slots: Slots;
  /** Slot of each entry of `trace.services`. */
  readonly slotOf: Uint8Array;
  readonly totals: ServiceTotal[];
  name: ViewName = $state('timeline');
  folds: Folds = $state.raw({ depth: Infinity, toggled: new Set() });
  window: TimeWindow = $state.raw({ from: 0, to: 1 });
  /** A row, or -1. */
  selected = $state(-1);
  /** A group of repeated siblings, or -1; then no row is selected. */
  selectedGroup = $state(-1);
  /** The span id behind `selected`, once the source has told it. */
  selectedId: string | undefined = $state();
  /** The row whose subtree alone is shown, or -1. */
  focus = $state(-1);
  text = $state('');
  show: Show = $state('dim');
  /** Order and grouping of the table, row a flame is zoomed to: kept as they stand in the address. */
  sort = $state('');
  by = $state('');
  at = $state('');
  detailOpen = $state(false);
  found: Found | undefined = $derived.by(() => findSpans(this.trace, this.text));
  /** Lines: rows, or groups with `GROUP_BIT`. */
  rows: Uint32Array = $derived.by(() =>
    this.found && this.show !== 'dim' ? filteredRows(this.trace, this.found.matches, this.show === 'path', this.focus) : visibleRows(this.trace, this.folds, this.focus),
  );
  places: Places = $derived.by(() => placesOf(this.trace, this.rows));
  /** Counts up when the selected line should be scrolled into view. */
  scrollTo = $state(0);

  /** `known`: the services the server knows, for the colours. */
  constructor(trace: Trace, source: Source, known: readonly string[] = []) {
    this.trace = trace;
    this.source = source;
    this.slots = assignSlots(trace.services, known);
    this.slotOf = Uint8Array.from(trace.services, (name) => this.slots.get(name)!);
    this.totals = totals(trace);
  }

  /** Takes the view from an address. Returns the span it names. */
  read(params: URLSearchParams): Wanted {
    const { trace } = this;
    const fold = params.get('fold');
    this.name = VIEWS.find((name) => name === params.get('view')) ?? 'timeline';
    this.show = SHOWS.find((show) => show === params.get('show')) ?? 'dim';
    this.folds = fold === null ? initialFolds(trace) : readFolds(fold, trace);
    this.window = readWindow(params.get('from'), params.get('to'), trace.duration_us);
    this.text = params.get('q') ?? '';
    this.sort = params.get('sort') ?? '';
    this.by = params.get('by') ?? '';
    this.at = params.get('at') ?? '';
    const focus = parseInt(params.get('focus') ?? '', 36);
    this.focus = focus >= 0 && focus < trace.spanCount ? focus : -1;
    const span = params.get('span') ?? '';
    this.detailOpen = span !== '' && params.get('detail') !== 'off';
    this.selectedGroup = -1;
    if (/^group-[0-9a-z]{1,7}$/.test(span)) {
      const group = trace.groups.of[parseInt(span.slice(6), 36)] ?? -1;
      if (group >= 0) this.selectGroup(group);
      return undefined;
    }
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
      view: this.name === 'timeline' ? undefined : this.name,
      span: this.spanParameter(),
      q: this.text || undefined,
      show: this.show === 'dim' ? undefined : this.show,
      fold: fold === writeFolds(initialFolds(trace)) ? undefined : fold,
      from: zoomed ? String(Math.round(this.window.from)) : undefined,
      to: zoomed ? String(Math.round(this.window.to)) : undefined,
      focus: this.focus < 0 ? undefined : this.focus.toString(36),
      detail: (this.selected >= 0 || this.selectedGroup >= 0) && !this.detailOpen ? 'off' : undefined,
      sort: this.sort || undefined,
      by: this.by || undefined,
      at: this.at || undefined,
    };
  }

  select(row: number, open = this.detailOpen): void {
    if (row < 0) return;
    if (row !== this.selected) this.selectedId = undefined;
    if (this.focus >= 0 && (row < this.focus || row >= this.focus + this.trace.subtree[this.focus]!)) this.focus = -1;
    this.folds = reveal(this.trace, this.folds, row);
    this.selected = row;
    this.selectedGroup = -1;
    this.detailOpen = open;
    this.scrollTo++;
  }

  selectGroup(group: number, open = this.detailOpen): void {
    this.selected = -1;
    this.selectedId = undefined;
    this.selectedGroup = group;
    this.detailOpen = open;
    this.scrollTo++;
  }

  selectLine(line: number | undefined, open = this.detailOpen): void {
    if (line === undefined) return;
    if (isGroup(line)) this.selectGroup(groupOf(line), open);
    else this.select(line, open);
  }

  /** Where the selection stands among the lines, or -1. */
  index(): number {
    if (this.selectedGroup >= 0) return this.places.groups[this.selectedGroup]!;
    return this.selected < 0 ? -1 : indexOf(this.trace, this.places, this.selected);
  }

  /** The server's half of a shared span is the child of the client's half and has the same id. */
  sharedHalf(row: number): number {
    const { trace } = this;
    const end = row + trace.subtree[row]!;
    for (let child = row + 1; child < end; child += trace.subtree[child]!) if (trace.flags[child]! & FLAG_SHARED) return child;
    return row;
  }

  move(by: number): void {
    const at = this.index();
    const from = at < 0 ? (by > 0 ? -1 : 0) : at;
    this.selectLine(this.rows[Math.min(Math.max(from + by, 0), this.rows.length - 1)]);
  }

  toggleFold(row: number): void {
    if (this.trace.subtree[row]! > 1) this.folds = toggle(this.folds, row);
  }

  toggleGroup(group: number): void {
    this.folds = toggleGroup(this.trace, this.folds, group);
  }

  toggleLine(line: number): void {
    if (isGroup(line)) this.toggleGroup(groupOf(line));
    else this.toggleFold(line);
  }

  /** Whether what a line holds is hidden. */
  isClosed(line: number): boolean {
    return isGroup(line) ? !isGroupOpen(this.trace, this.folds, groupOf(line)) : isFolded(this.trace, this.folds, line);
  }

  /** `h`: fold, or go to the group or parent. */
  left(): void {
    const { trace, selected: row, selectedGroup: group } = this;
    if (group >= 0) {
      if (isGroupOpen(trace, this.folds, group)) return this.toggleGroup(group);
      return this.selectParent(firstOf(trace.groups, group));
    }
    if (row < 0) return this.move(1);
    if (trace.subtree[row]! > 1 && !isFolded(trace, this.folds, row)) return this.toggleFold(row);
    const own = trace.groups.of[row]!;
    if (own >= 0 && this.places.groups[own]! >= 0) this.selectGroup(own);
    else this.selectParent(row);
  }

  /** `l`: unfold, or go to the first child. */
  right(): void {
    const { trace, selected: row, selectedGroup: group } = this;
    if (group >= 0) {
      if (!isGroupOpen(trace, this.folds, group)) this.toggleGroup(group);
      else this.select(firstOf(trace.groups, group));
    } else if (row < 0) this.move(1);
    else if (isFolded(trace, this.folds, row)) this.toggleFold(row);
    else if (trace.subtree[row]! > 1) this.move(1);
  }

  expandAll(): void {
    this.folds = EVERYTHING;
  }

  /** Repeated siblings as one line, or one by one. */
  toggleGrouping(): void {
    this.folds = { ...this.folds, ungrouped: !this.folds.ungrouped, openGroups: undefined };
    this.selectedGroup = -1;
  }

  /** Folds from one level above (`by` -1) or below (1) what is folded now. */
  changeDepth(by: 1 | -1): void {
    const now = Math.min(this.folds.depth, this.trace.depth_max);
    const depth = Math.max(0, now + by);
    this.folds = { depth: depth >= this.trace.depth_max ? Infinity : depth, toggled: new Set(), ungrouped: this.folds.ungrouped };
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

  /** `c`: only the critical path, and back. */
  toggleCritical(): void {
    if (this.text === 'critical') [this.text, this.show] = ['', 'dim'];
    else [this.text, this.show] = ['critical', 'path'];
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

  /** Below 1: nearer. Around the selected span's start, or the middle. */
  zoomBy(factor: number): void {
    const { from, to } = this.window;
    const start = this.selected < 0 ? -1 : this.trace.start[this.selected]!;
    this.window = zoom(this.window, factor, start >= from && start <= to ? start : (from + to) / 2, this.trace.duration_us);
  }

  /** By a share of what is shown. */
  panBy(share: number): void {
    this.window = pan(this.window, (this.window.to - this.window.from) * share, this.trace.duration_us);
  }

  toggleFocus(): void {
    if (this.focus >= 0) this.focus = -1;
    else if (this.selected >= 0 && this.trace.subtree[this.selected]! > 1) {
      this.focus = this.selected;
      this.zoomToSelected();
    }
    this.scrollTo++;
  }

  private selectParent(row: number): void {
    const parent = this.trace.parent[row]!;
    if (parent >= 0 && row !== this.focus) this.select(parent);
  }

  private spanParameter(): string | undefined {
    if (this.selectedGroup >= 0) return `group-${firstOf(this.trace.groups, this.selectedGroup).toString(36)}`;
    if (this.selected < 0) return undefined;
    if (this.selectedId === undefined) return String(this.selected);
    return this.selectedId + (this.trace.flags[this.selected]! & FLAG_SHARED ? '-shared' : '');
  }
}

function totals(trace: Trace): ServiceTotal[] {
  const list = trace.services.map((name) => ({ name, self_us: 0, spans: 0 }));
  for (let row = 0; row < trace.spanCount; row++) {
    const total = list[trace.service[row]!]!;
    total.self_us += trace.self[row]!;
    total.spans++;
  }
  return list.filter((total) => total.spans > 0).sort((a, b) => b.self_us - a.self_us || (a.name < b.name ? -1 : 1));
}
