// Draws the visible lines of a trace on one canvas: the tree on the left, bars on the right. In: the trace's columns, which lines, which
// stretch of time, the look. Out: pixels. Nothing is kept between two frames but measured texts. Bars are drawn in bars.ts.
import { t } from '../strings';
import { paintBar, paintGroupBar } from './bars';
import { errorsBelow, FLAG_ERROR, FLAG_ORPHAN, NO_REMOTE, type Trace } from './columns';
import { groupOf, isGroup } from './fold';
import { firstOf, sizeOf } from './groups';
import { FONT, INDENT, ROW_HEIGHT, SMALL_FONT, type Look, type TextFitter } from './look';
import type { TimeWindow } from './window';

export interface Scene {
  trace: Trace;
  rows: Uint32Array;
  /** Whether what a line holds is hidden. */
  isClosed: (line: number) => boolean;
  slotOf: Uint8Array;
  matches: Uint8Array | undefined;
  /** What does not match fades. */
  dim: boolean;
  window: TimeWindow;
  /** Depth that stands at the left edge (that of the subtree in focus). */
  depthAtEdge: number;
  /** Lines, or -1. */
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
  /** Set while a line is painted: 1, or less where it stands back. */
  alpha?: number;
}

/** How much of a span that does not match is left. */
const FADED = 0.3;

export function paintRows(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { look, width, height, rows, scrollTop } = scene;
  pen.fillStyle = look.colours.ground;
  pen.fillRect(0, 0, width, height);
  pen.textBaseline = 'middle';
  const first = Math.max(0, Math.floor(scrollTop / ROW_HEIGHT));
  const last = Math.min(rows.length, Math.ceil((scrollTop + height) / ROW_HEIGHT));
  const each = (paint: (pen: CanvasRenderingContext2D, scene: Scene, line: number, y: number) => void) => {
    for (let index = first; index < last; index++) paint(pen, scene, rows[index]!, index * ROW_HEIGHT - scrollTop);
  };
  each(paintGround);
  paintGrid(pen, scene, last * ROW_HEIGHT - scrollTop);
  clipped(pen, 0, scene.nameWidth - 1, height, () => each(faded((pen, scene, line, y) => (isGroup(line) ? paintGroupName : paintName)(pen, scene, line, y))));
  clipped(pen, scene.nameWidth, width, height, () => each(faded((pen, scene, line, y) => (isGroup(line) ? paintGroupBar(pen, scene, groupOf(line), y) : paintBar(pen, scene, line, y)))));
}

function clipped(pen: CanvasRenderingContext2D, left: number, right: number, height: number, paint: () => void): void {
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, right - left, height);
  pen.clip();
  paint();
  pen.restore();
}

type PaintLine = (pen: CanvasRenderingContext2D, scene: Scene, line: number, y: number) => void;

/** Lines that do not match stand back; the paint functions set no alpha of their own that is not multiplied by `scene.alpha`. */
function faded(paint: PaintLine): PaintLine {
  return (pen, scene, line, y) => {
    const back = scene.dim && scene.matches !== undefined && !matchesLine(scene, line);
    scene.alpha = back ? FADED : 1;
    pen.globalAlpha = scene.alpha;
    paint(pen, scene, line, y);
    pen.globalAlpha = 1;
  };
}

/** A group matches where one of its members does. */
function matchesLine({ matches, trace }: Scene, line: number): boolean {
  if (!isGroup(line)) return matches![line] === 1;
  const { at, members } = trace.groups;
  for (let i = at[groupOf(line)]!; i < at[groupOf(line) + 1]!; i++) if (matches![members[i]!] === 1) return true;
  return false;
}

/** Where the tree's indent ends for a depth; deep trees are squeezed so that the name keeps more than half of its column. */
export function indentOf(depth: number, nameWidth: number): number {
  const room = nameWidth * 0.4;
  const wanted = depth * INDENT;
  return 6 + (wanted <= room ? wanted : room + (wanted - room) / (1 + (wanted - room) / 60));
}

function paintGround(pen: CanvasRenderingContext2D, scene: Scene, row: number, y: number): void {
  const { look, matches } = scene;
  const error = scene.trace.flags[isGroup(row) ? firstOf(scene.trace.groups, groupOf(row)) : row]! & FLAG_ERROR;
  const ground = row === scene.selected ? look.colours.chosen : row === scene.hovered ? look.colours.hover : error ? look.colours['error-ground'] : '';
  if (ground) {
    pen.fillStyle = ground;
    pen.fillRect(0, y, scene.width, ROW_HEIGHT);
  }
  if (matches && matchesLine(scene, row)) {
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
  paintGuides(pen, depth, nameWidth, y);
  let x = Math.round(indentOf(depth, nameWidth));
  const parent = trace.subtree[row]! > 1;
  const folded = parent && scene.isClosed(row);
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

function paintGuides(pen: CanvasRenderingContext2D, depth: number, nameWidth: number, y: number): void {
  for (let level = 0; level < depth && level < 60; level++) {
    pen.fillRect(Math.round(indentOf(level, nameWidth)) + 5, y, 1, ROW_HEIGHT);
  }
}

/** `select rows × 212`: what repeats, and how often. */
function paintGroupName(pen: CanvasRenderingContext2D, scene: Scene, line: number, y: number): void {
  const { trace, look, nameWidth, fitter } = scene;
  const { colours } = look;
  const group = groupOf(line);
  const row = firstOf(trace.groups, group);
  const depth = trace.depth[row]! - scene.depthAtEdge;
  const middle = y + ROW_HEIGHT / 2 + 0.5;
  pen.fillStyle = colours.line;
  paintGuides(pen, depth, nameWidth, y);
  let x = Math.round(indentOf(depth, nameWidth));
  paintTriangle(pen, x + 5.5, middle - 0.5, scene.isClosed(line), colours['ink-2']);
  x += 14;
  pen.fillStyle = look.fills[scene.slotOf[trace.service[row]!]!]!;
  for (const [dx, dy] of [[0, 4], [2, 8], [0, 12]] as const) pen.fillRect(x + dx, y + dy, 4, 3);
  x += 11;
  const error = trace.flags[row]! & FLAG_ERROR;
  if (error) x = paintErrorMark(pen, x, middle - 0.5, colours.error, colours.ground);
  const times = t.trace.times(sizeOf(trace.groups, group));
  pen.font = `600 ${SMALL_FONT} ${look.sans}`;
  const room = nameWidth - 8 - x - pen.measureText(times).width - 8;
  pen.font = `${FONT} ${look.sans}`;
  pen.fillStyle = error ? colours.error : colours.ink;
  const name = fitter.fit(pen, trace.names[trace.name[row]!] || t.span.unnamed, room);
  pen.fillText(name, x, middle);
  x += pen.measureText(name).width + 7;
  pen.font = `600 ${SMALL_FONT} ${look.sans}`;
  pen.fillText(times, x, middle);
  x += pen.measureText(times).width + 8;
  if (nameWidth - 8 - x < 20) return;
  pen.font = `${SMALL_FONT} ${look.sans}`;
  pen.fillStyle = colours['ink-2'];
  pen.fillText(fitter.fit(pen, serviceLabel(trace, row), nameWidth - 8 - x), x, middle);
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
