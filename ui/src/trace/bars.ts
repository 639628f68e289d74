// Draws what stands right of a line's name: the bar with own time and waiting, the critical path under it, events, the duration. In:
// the scene, a row or group, its place. Out: pixels.
import { formatDuration } from '../format';
import { t } from '../strings';
import { eventsOf, FLAG_ERROR, FLAG_NO_DURATION } from './columns';
import { stretchesOf } from './critical';
import { BAR_HEIGHT, ROW_HEIGHT, SMALL_FONT } from './look';
import type { Scene } from './paint';

/** Children looked at for one bar; a parent with more is drawn as waiting all along. */
const CHILDREN_MAX = 5_000;
/** Events looked at for one bar, members drawn for one group. */
const EVENTS_MAX = 2_000;
const MEMBERS_MAX = 4_000;
const LABEL_GAP = 5;
/** A bar narrower than this is not split into own time and waiting. */
const SPLIT_MIN = 4;
/** Alpha of the time a span waits for its children: light theme, dark theme. */
const WAITING = [0.36, 0.42] as const;

export function paintBar(pen: CanvasRenderingContext2D, scene: Scene, row: number, y: number): void {
  const { trace, window, look } = scene;
  const left = scene.nameWidth;
  const right = left + scene.barWidth;
  const scale = scene.barWidth / (window.to - window.from);
  const start = left + (trace.start[row]! - window.from) * scale;
  const end = start + trace.duration[row]! * scale;
  const fill = look.fills[scene.slotOf[trace.service[row]!]!]!;
  if (end < left || start > right) return paintBeyond(pen, fill, end < left ? left + 3 : right - 8, y + ROW_HEIGHT / 2, end < left);
  const x = Math.max(start, left - 2);
  const width = Math.max(Math.min(end, right) - x, 2);
  const top = y + (ROW_HEIGHT - BAR_HEIGHT) / 2;
  pen.fillStyle = fill;
  if (trace.flags[row]! & FLAG_NO_DURATION) return paintMoment(pen, x, y + ROW_HEIGHT / 2);
  if (trace.subtree[row]! === 1 || width < SPLIT_MIN) pen.fillRect(x, top, width, BAR_HEIGHT);
  else {
    pen.globalAlpha = WAITING[look.dark ? 1 : 0] * scene.alpha!;
    pen.fillRect(x, top, width, BAR_HEIGHT);
    pen.globalAlpha = scene.alpha!;
    paintSelf(pen, scene, row, top, scale);
  }
  paintOverrun(pen, scene, row, top, scale);
  paintCritical(pen, scene, row, y, scale);
  paintEvents(pen, scene, row, y, scale);
  paintLabel(pen, scene, row, x + width, y);
}

/** Solid where no child covers the span: its own time. */
function paintSelf(pen: CanvasRenderingContext2D, scene: Scene, row: number, top: number, scale: number): void {
  const { trace, window } = scene;
  const rowEnd = trace.start[row]! + trace.duration[row]!;
  const last = row + trace.subtree[row]!;
  let until = trace.start[row]!;
  let seen = 0;
  const draw = (from: number, to: number) => {
    const x = Math.max(scene.nameWidth + (from - window.from) * scale, scene.nameWidth - 2);
    const end = Math.min(scene.nameWidth + (to - window.from) * scale, scene.nameWidth + scene.barWidth);
    if (end > x) pen.fillRect(x, top, end - x, BAR_HEIGHT);
  };
  for (let child = row + 1; child < last && until < rowEnd; child += trace.subtree[child]!) {
    if (++seen > CHILDREN_MAX) return;
    if (trace.start[child]! > until) draw(until, Math.min(trace.start[child]!, rowEnd));
    until = Math.max(until, trace.start[child]! + trace.duration[child]!);
  }
  if (until < rowEnd) draw(until, rowEnd);
}

/** What of a span its parent did not wait for. */
function paintOverrun(pen: CanvasRenderingContext2D, scene: Scene, row: number, top: number, scale: number): void {
  const { trace, window, nameWidth, barWidth } = scene;
  const parent = trace.parent[row]!;
  if (parent < 0 || trace.flags[parent]! & FLAG_NO_DURATION) return;
  const parentEnd = trace.start[parent]! + trace.duration[parent]!;
  const end = trace.start[row]! + trace.duration[row]!;
  if (end <= parentEnd) return;
  const x = Math.max(nameWidth + (Math.max(parentEnd, trace.start[row]!) - window.from) * scale, nameWidth);
  const right = Math.min(nameWidth + (end - window.from) * scale, nameWidth + barWidth);
  if (right - x < 2) return;
  pen.fillStyle = scene.look.hatch;
  pen.fillRect(x, top, right - x, BAR_HEIGHT);
}

/** The critical path: a band in the colour of ink below the bar, outlined by the row's ground. */
function paintCritical(pen: CanvasRenderingContext2D, scene: Scene, row: number, y: number, scale: number): void {
  const { window, nameWidth, barWidth, look } = scene;
  const path = scene.trace.critical;
  if (path.share[row] === 0) return;
  pen.fillStyle = look.colours.ink;
  for (let i = stretchesOf(path, row); path.row[i] === row; i++) {
    const x = Math.max(nameWidth + (path.from[i]! - window.from) * scale, nameWidth);
    const end = Math.min(nameWidth + (path.to[i]! - window.from) * scale, nameWidth + barWidth);
    if (end > nameWidth && x < nameWidth + barWidth) pen.fillRect(x, y + ROW_HEIGHT - 4, Math.max(end - x, 1), 3);
  }
}

/** Events as ticks through the bar. */
function paintEvents(pen: CanvasRenderingContext2D, scene: Scene, row: number, y: number, scale: number): void {
  const { trace, window, nameWidth, barWidth, look } = scene;
  if (trace.events[row] === 0) return;
  let last = -Infinity;
  const first = eventsOf(trace, row);
  for (let i = first; i < first + EVENTS_MAX && trace.eventRow[i] === row; i++) {
    const x = Math.round(nameWidth + (trace.eventTime[i]! - window.from) * scale);
    if (x < nameWidth || x > nameWidth + barWidth || x < last + 3) continue;
    last = x;
    pen.fillStyle = look.colours.ground;
    pen.fillRect(x - 1, y + 3, 3, BAR_HEIGHT + 4);
    pen.fillStyle = look.colours.ink;
    pen.fillRect(x, y + 3, 1, BAR_HEIGHT + 4);
  }
}

/** All members of a group on one line: thin bars that add up where they lie close; behind them the sums. */
export function paintGroupBar(pen: CanvasRenderingContext2D, scene: Scene, group: number, y: number): void {
  const { trace, window, look, nameWidth: left } = scene;
  const { groups } = trace;
  const scale = scene.barWidth / (window.to - window.from);
  const right = left + scene.barWidth;
  const top = y + (ROW_HEIGHT - BAR_HEIGHT) / 2 + 2;
  const from = groups.at[group]!;
  const to = groups.at[group + 1]!;
  const step = Math.max(1, Math.ceil((to - from) / MEMBERS_MAX));
  let end = left;
  let painted = -Infinity;
  pen.fillStyle = look.fills[scene.slotOf[trace.service[groups.members[from]!]!]!]!;
  pen.globalAlpha = 0.75 * scene.alpha!;
  for (let i = from; i < to; i += step) {
    const member = groups.members[i]!;
    const x = Math.max(left + (trace.start[member]! - window.from) * scale, left);
    const stop = Math.min(left + (trace.start[member]! + trace.duration[member]! - window.from) * scale, right);
    if (stop < left || x > right) continue;
    end = Math.max(end, stop);
    if (stop - painted < 0.5) continue;
    pen.fillRect(x, top, Math.max(stop - x, 1), BAR_HEIGHT - 4);
    painted = stop;
  }
  pen.globalAlpha = scene.alpha!;
  if (end === left) return;
  const error = trace.flags[groups.members[from]!]! & FLAG_ERROR;
  const text = t.trace.group(formatDuration(groups.total[group]!), formatDuration(groups.p95[group]!));
  pen.font = `${SMALL_FONT} ${look.sans}`;
  pen.fillStyle = error ? look.colours.error : look.colours['ink-2'];
  const width = pen.measureText(text).width;
  const x = end + LABEL_GAP + width <= scene.width - 4 ? end + LABEL_GAP : Math.max(left + 4, scene.width - 8 - width);
  if (x < end) {
    // No room behind it: on its own ground, so that it can be read.
    const ink = pen.fillStyle;
    pen.fillStyle = look.colours.ground;
    pen.fillRect(x - 4, y + 3, width + 8, ROW_HEIGHT - 6);
    pen.fillStyle = ink;
  }
  pen.fillText(text, x, y + ROW_HEIGHT / 2 + 0.5);
}

/** A span outside of the window: an arrow at the edge it lies behind. */
function paintBeyond(pen: CanvasRenderingContext2D, fill: string | CanvasPattern, x: number, y: number, before: boolean): void {
  pen.fillStyle = fill;
  pen.beginPath();
  pen.moveTo(x + (before ? 5 : 0), y - 4);
  pen.lineTo(x + (before ? 0 : 5), y);
  pen.lineTo(x + (before ? 5 : 0), y + 4);
  pen.fill();
}

function paintMoment(pen: CanvasRenderingContext2D, x: number, y: number): void {
  pen.beginPath();
  pen.moveTo(x, y - 6);
  pen.lineTo(x + 5, y);
  pen.lineTo(x, y + 6);
  pen.lineTo(x - 5, y);
  pen.fill();
}

/** The duration behind its bar; the gutter leaves room for it. */
function paintLabel(pen: CanvasRenderingContext2D, scene: Scene, row: number, end: number, y: number): void {
  const { trace, look } = scene;
  const error = trace.flags[row]! & FLAG_ERROR;
  pen.font = `${error ? '600 ' : ''}${SMALL_FONT} ${look.sans}`;
  pen.fillStyle = error ? look.colours.error : look.colours['ink-2'];
  pen.fillText(formatDuration(trace.duration[row]!), end + LABEL_GAP, y + ROW_HEIGHT / 2 + 0.5);
}
