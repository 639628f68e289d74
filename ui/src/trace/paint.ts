// Draws the visible rows of a trace on one canvas: the tree on the left, bars on the right. In: the trace's columns, which rows, which
// stretch of time, the look. Out: pixels. Nothing is kept between two frames but measured texts.
import { formatDuration } from '../format';
import { t } from '../strings';
import { errorsBelow, FLAG_ERROR, FLAG_NO_DURATION, FLAG_ORPHAN, NO_REMOTE, type Trace } from './columns';
import { BAR_HEIGHT, FONT, INDENT, ROW_HEIGHT, SMALL_FONT, type Look, type TextFitter } from './look';
import type { TimeWindow } from './window';

export interface Scene {
  trace: Trace;
  rows: Uint32Array;
  isFolded: (row: number) => boolean;
  slotOf: Uint8Array;
  matches: Uint8Array | undefined;
  window: TimeWindow;
  /** Depth that stands at the left edge (that of the subtree in focus). */
  depthAtEdge: number;
  selected: number;
  hovered: number;
  focused: boolean;
  scrollTop: number;
  width: number;
  height: number;
  nameWidth: number;
  /** Pixels that stand for the whole window; what is left beside them holds labels. */
  barWidth: number;
  ticks: number[];
  look: Look;
  fitter: TextFitter;
}

/** Children looked at for one bar; a parent with more is drawn as waiting all along. */
const CHILDREN_MAX = 5_000;
const LABEL_GAP = 5;
/** A bar narrower than this is not split into own time and waiting. */
const SPLIT_MIN = 4;

export function paintRows(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { look, width, height, rows, scrollTop } = scene;
  pen.fillStyle = look.colours.ground;
  pen.fillRect(0, 0, width, height);
  pen.textBaseline = 'middle';
  const first = Math.max(0, Math.floor(scrollTop / ROW_HEIGHT));
  const last = Math.min(rows.length, Math.ceil((scrollTop + height) / ROW_HEIGHT));
  for (let index = first; index < last; index++) paintGround(pen, scene, rows[index]!, index * ROW_HEIGHT - scrollTop);
  paintGrid(pen, scene, last * ROW_HEIGHT - scrollTop);
  pen.save();
  pen.beginPath();
  pen.rect(0, 0, scene.nameWidth - 1, height);
  pen.clip();
  for (let index = first; index < last; index++) paintName(pen, scene, rows[index]!, index * ROW_HEIGHT - scrollTop);
  pen.restore();
  pen.save();
  pen.beginPath();
  pen.rect(scene.nameWidth, 0, width - scene.nameWidth, height);
  pen.clip();
  for (let index = first; index < last; index++) paintBar(pen, scene, rows[index]!, index * ROW_HEIGHT - scrollTop);
  pen.restore();
}

/** Where the tree's indent ends for a depth; deep trees are squeezed so that the name keeps more than half of its column. */
export function indentOf(depth: number, nameWidth: number): number {
  const room = nameWidth * 0.4;
  const wanted = depth * INDENT;
  return 6 + (wanted <= room ? wanted : room + (wanted - room) / (1 + (wanted - room) / 60));
}

function paintGround(pen: CanvasRenderingContext2D, scene: Scene, row: number, y: number): void {
  const { look, matches } = scene;
  const error = scene.trace.flags[row]! & FLAG_ERROR;
  const ground = row === scene.selected ? look.colours.chosen : row === scene.hovered ? look.colours.hover : error ? look.colours['error-ground'] : '';
  if (ground) {
    pen.fillStyle = ground;
    pen.fillRect(0, y, scene.width, ROW_HEIGHT);
  }
  if (matches && matches[row] === 1) {
    pen.fillStyle = look.colours.match;
    pen.fillRect(row === scene.selected ? scene.nameWidth - 6 : 0, y, row === scene.selected ? 6 : scene.nameWidth, ROW_HEIGHT);
  }
  if (error) {
    pen.fillStyle = look.colours.error;
    pen.fillRect(0, y, 3, ROW_HEIGHT);
  }
  if (row === scene.selected && scene.focused) {
    pen.strokeStyle = look.colours.accent;
    pen.lineWidth = 2;
    pen.strokeRect(1, y + 1, scene.width - 2, ROW_HEIGHT - 2);
  }
}

function paintGrid(pen: CanvasRenderingContext2D, scene: Scene, bottom: number): void {
  pen.fillStyle = scene.look.colours.line;
  for (const x of scene.ticks) pen.fillRect(Math.round(x), 0, 1, Math.min(bottom, scene.height));
}

function paintName(pen: CanvasRenderingContext2D, scene: Scene, row: number, y: number): void {
  const { trace, look, nameWidth, fitter } = scene;
  const colours = look.colours;
  const depth = trace.depth[row]! - scene.depthAtEdge;
  const middle = y + ROW_HEIGHT / 2 + 0.5;
  pen.fillStyle = colours.line;
  for (let level = 0; level < depth && level < 60; level++) {
    pen.fillRect(Math.round(indentOf(level, nameWidth)) + 5, y, 1, ROW_HEIGHT);
  }
  let x = Math.round(indentOf(depth, nameWidth));
  const parent = trace.subtree[row]! > 1;
  const folded = parent && scene.isFolded(row);
  if (parent) paintTriangle(pen, x + 5.5, middle - 0.5, folded, colours['ink-2']);
  x += 14;
  const slot = scene.slotOf[trace.service[row]!]!;
  pen.fillStyle = look.fills[slot]!;
  pen.fillRect(x, y + 4, 4, ROW_HEIGHT - 8);
  x += 9;
  const flags = trace.flags[row]!;
  if (flags & FLAG_ERROR) x = paintErrorMark(pen, x, middle - 0.5, colours.error, colours.ground);
  if (flags & FLAG_ORPHAN) x = paintOrphanMark(pen, x, middle - 0.5, colours.warning);
  let right = nameWidth - 8;
  if (folded) right = paintFoldedCount(pen, scene, row, right, middle);
  const name = trace.names[trace.name[row]!] || t.span.unnamed;
  pen.font = `${FONT} ${look.sans}`;
  pen.fillStyle = flags & FLAG_ERROR ? colours.error : trace.names[trace.name[row]!] === '' ? colours['ink-2'] : colours.ink;
  const shownName = fitter.fit(pen, name, right - x);
  pen.fillText(shownName, x, middle);
  x += pen.measureText(shownName).width + 8;
  if (right - x < 20) return;
  pen.font = `${SMALL_FONT} ${look.sans}`;
  pen.fillStyle = colours['ink-2'];
  pen.fillText(fitter.fit(pen, serviceLabel(trace, row), right - x), x, middle);
}

/** The service; a call whose other side reported nothing also names that side. */
export function serviceLabel(trace: Trace, row: number): string {
  const service = trace.services[trace.service[row]!]!;
  const remote = trace.remote[row]!;
  const seen = remote === NO_REMOTE || trace.subtree[row]! > 1 || trace.services[remote] === service;
  const kind = trace.kind[row]!;
  if (seen || (kind !== 2 && kind !== 4)) return service;
  return `${service} → ${trace.services[remote]!}`;
}

function paintTriangle(pen: CanvasRenderingContext2D, x: number, y: number, folded: boolean, colour: string): void {
  pen.fillStyle = colour;
  pen.beginPath();
  if (folded) {
    pen.moveTo(x - 2, y - 4);
    pen.lineTo(x + 3, y);
    pen.lineTo(x - 2, y + 4);
  } else {
    pen.moveTo(x - 4, y - 2);
    pen.lineTo(x + 4, y - 2);
    pen.lineTo(x, y + 3);
  }
  pen.fill();
}

function paintErrorMark(pen: CanvasRenderingContext2D, x: number, y: number, colour: string, ground: string): number {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x + 6, y, 6, 0, Math.PI * 2);
  pen.fill();
  pen.fillStyle = ground;
  pen.fillRect(x + 5.25, y - 3.5, 1.5, 4.5);
  pen.fillRect(x + 5.25, y + 2, 1.5, 1.5);
  return x + 17;
}

function paintOrphanMark(pen: CanvasRenderingContext2D, x: number, y: number, colour: string): number {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.setLineDash([2, 2]);
  pen.beginPath();
  pen.arc(x + 5, y, 4.5, 0, Math.PI * 2);
  pen.stroke();
  pen.setLineDash([]);
  return x + 15;
}

/** `+12` at the end of the column, with a hollow mark where an error is hidden below. */
function paintFoldedCount(pen: CanvasRenderingContext2D, scene: Scene, row: number, right: number, middle: number): number {
  const { look, trace } = scene;
  const text = `+${(trace.subtree[row]! - 1).toLocaleString('en-US')}`;
  pen.font = `${SMALL_FONT} ${look.sans}`;
  pen.fillStyle = look.colours['ink-2'];
  let x = right - pen.measureText(text).width;
  pen.fillText(text, x, middle);
  if (errorsBelow(trace, row) > 0) {
    x -= 16;
    pen.strokeStyle = look.colours.error;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(x + 6, middle - 0.5, 5, 0, Math.PI * 2);
    pen.stroke();
  }
  return x - 6;
}

function paintBar(pen: CanvasRenderingContext2D, scene: Scene, row: number, y: number): void {
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
    pen.globalAlpha = look.dark ? 0.42 : 0.36;
    pen.fillRect(x, top, width, BAR_HEIGHT);
    pen.globalAlpha = 1;
    paintSelf(pen, scene, row, top, scale);
  }
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
