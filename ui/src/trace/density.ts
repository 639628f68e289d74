// The overview of a whole trace as one image. In: the columns and a size in pixels. Out: RGBA pixels: each span a line at its place in
// the tree, in its service's colour; errors last, in red, so that they are seen at any size. Drawn once a trace, theme and size.
import { FLAG_ERROR, type Trace } from './columns';

const LINE_HEIGHT_MAX = 4;

export function paintDensity(trace: Trace, slotOf: Uint8Array, hues: readonly string[], error: string, width: number, height: number): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint32Array(width * height);
  const colours = Uint32Array.from(trace.services, (_, service) => pixelOf(hues[slotOf[service]!]!));
  const red = pixelOf(error);
  const line = lineHeight(height / trace.spanCount);
  const across = width / Math.max(trace.duration_us, 1);
  const down = Math.min(height / trace.spanCount, LINE_HEIGHT_MAX + 2);
  for (const errors of [false, true]) {
    for (let row = 0; row < trace.spanCount; row++) {
      if (((trace.flags[row]! & FLAG_ERROR) !== 0) !== errors) continue;
      const from = Math.min(Math.max(Math.floor(trace.start[row]! * across), 0), width - 1);
      const to = Math.min(Math.max(Math.ceil((trace.start[row]! + trace.duration[row]!) * across), from + 1), width);
      const top = Math.min(Math.floor(row * down), height - 1);
      const colour = errors ? red : colours[trace.service[row]!]!;
      for (let y = top; y < Math.min(top + line, height); y++) pixels.fill(colour, y * width + from, y * width + to);
    }
  }
  return new Uint8ClampedArray(pixels.buffer);
}

/** A line's height for a row's share of the picture: a gap between lines as soon as there is room for one. */
function lineHeight(share: number): number {
  return share >= 3 ? Math.min(LINE_HEIGHT_MAX, Math.floor(share) - 1) : Math.max(1, Math.round(share));
}

/** `#rrggbb` or `rgb(r, g, b)` as a little-endian RGBA pixel. */
function pixelOf(colour: string): number {
  const [r, g, b] = colour.startsWith('#')
    ? [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16))
    : (colour.match(/[\d.]+/g) ?? []).map(Number);
  return ((255 << 24) | ((b ?? 0) << 16) | ((g ?? 0) << 8) | (r ?? 0)) >>> 0;
}
