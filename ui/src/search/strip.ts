// Paints the picture over the results. In: the histogram of the search or the traces loaded, a scale, colours. Out: pixels on a canvas.
// Three kinds: how many traces over time with the failed ones in red, each trace as a dot by its duration, how many took how long.
import type { Histogram, Summary } from '../api';
import { formatClock, formatCount, formatDay } from '../format';

export const STRIPS = ['histogram', 'scatter', 'heat'] as const;
export type StripName = (typeof STRIPS)[number];

export const HEIGHT = 120;
export const TOP = 26;
export const BOTTOM = 20;
export const SIDE = 12;
const BODY = HEIGHT - TOP - BOTTOM;

type Colours = Record<'line' | 'line-strong' | 'ink' | 'ink-2' | 'accent' | 'error' | 'ground', string>;
export const COLOURS = ['line', 'line-strong', 'ink', 'ink-2', 'accent', 'error', 'ground'] as const;

/** Places of times and durations in pixels, and back. Durations are logarithmic. */
export interface Scale {
  start_us: number;
  end_us: number;
  width: number;
  low: number;
  high: number;
  x: (us: number) => number;
  y: (duration_us: number) => number;
  time: (x: number) => number;
  duration: (y: number) => number;
}

export function makeScale(start_us: number, end_us: number, width: number, shortest_us: number, longest_us: number): Scale {
  const low = Math.log10(Math.max(shortest_us, 1)) - 0.1;
  const high = Math.max(Math.log10(Math.max(longest_us, 10)) + 0.1, low + 0.6);
  const inner = Math.max(width - 2 * SIDE, 1);
  const span = Math.max(end_us - start_us, 1);
  return {
    start_us,
    end_us,
    width,
    low,
    high,
    x: (us) => SIDE + ((us - start_us) / span) * inner,
    y: (duration_us) => TOP + ((high - Math.log10(Math.max(duration_us, 1))) / (high - low)) * BODY,
    time: (x) => start_us + ((x - SIDE) / inner) * span,
    duration: (y) => 10 ** (high - ((y - TOP) / BODY) * (high - low)),
  };
}

export function paintTimes(pen: CanvasRenderingContext2D, scale: Scale, c: Colours): void {
  const bottom = HEIGHT - BOTTOM;
  const span_ms = (scale.end_us - scale.start_us) / 1000;
  const step = [1e3, 5e3, 15e3, 60e3, 300e3, 900e3, 3600e3, 10_800e3, 21_600e3, 86_400e3, 604_800e3].find((ms) => span_ms / ms < scale.width / 90) ?? 2_592_000e3;
  const offset = new Date(scale.start_us / 1000).getTimezoneOffset() * 60_000;
  pen.fillStyle = c.line;
  pen.fillRect(0, bottom, scale.width, 1);
  for (let ms = Math.ceil((scale.start_us / 1000 - offset) / step) * step + offset; ms * 1000 < scale.end_us; ms += step) {
    const x = scale.x(ms * 1000);
    pen.fillStyle = c['line-strong'];
    pen.fillRect(Math.round(x), bottom, 1, 4);
    pen.fillStyle = c['ink-2'];
    const text = step >= 86_400e3 ? formatDay(ms).slice(5) : formatClock(ms, false).slice(0, step < 60e3 ? 8 : 5);
    if (x + 44 < scale.width) pen.fillText(text, x + 4, bottom + 11);
  }
}

/** Lines of durations, one a power of ten. */
export function paintDurations(pen: CanvasRenderingContext2D, scale: Scale, c: Colours): void {
  pen.fillStyle = c.line;
  for (let power = Math.ceil(scale.low); power <= scale.high; power++) pen.fillRect(0, Math.round(scale.y(10 ** power)), scale.width, 1);
}

/** Their labels, over what is drawn, on a ground of their own. */
export function paintDurationLabels(pen: CanvasRenderingContext2D, scale: Scale, c: Colours): void {
  let free = HEIGHT - BOTTOM - 2;
  pen.strokeStyle = c.ground;
  pen.lineWidth = 4;
  pen.lineJoin = 'round';
  for (let power = Math.ceil(scale.low); power <= scale.high; power++) {
    const y = Math.round(scale.y(10 ** power));
    if (y - 7 < 4 || y > free) continue;
    const text = power >= 6 ? `${10 ** (power - 6)} s` : power >= 3 ? `${10 ** (power - 3)} ms` : `${10 ** power} µs`;
    pen.fillStyle = c['ink-2'];
    pen.strokeText(text, SIDE, y - 7);
    pen.fillText(text, SIDE, y - 7);
    free = y - 15;
  }
}

export function paintHistogram(pen: CanvasRenderingContext2D, scale: Scale, histogram: Histogram, c: Colours): void {
  const most = histogram.buckets.reduce((top, bucket) => Math.max(top, bucket.count), 1);
  const bottom = HEIGHT - BOTTOM;
  for (const bucket of histogram.buckets) {
    if (bucket.count === 0) continue;
    const x = Math.round(scale.x(bucket.start));
    const width = Math.max(Math.round(scale.x(bucket.start + histogram.bucketWidth)) - x - 1, 1);
    const height = Math.max((bucket.count / most) * (BODY - 12), 1.5);
    const failed = bucket.errors > 0 ? Math.max((bucket.errors / bucket.count) * height, 2) : 0;
    pen.fillStyle = c.accent;
    pen.globalAlpha = 0.55;
    pen.fillRect(x, bottom - height, width, height - failed);
    pen.globalAlpha = 1;
    pen.fillStyle = c.error;
    pen.fillRect(x, bottom - failed, width, failed);
  }
  pen.fillStyle = c['ink-2'];
  pen.fillText(formatCount(most), SIDE, TOP - 8);
}

export function paintHeat(pen: CanvasRenderingContext2D, scale: Scale, histogram: Histogram, c: Colours): void {
  const most = histogram.buckets.reduce((top, bucket) => Math.max(top, ...bucket.latencies), 1);
  pen.fillStyle = c.accent;
  for (const bucket of histogram.buckets) {
    const x = Math.round(scale.x(bucket.start));
    const width = Math.max(Math.round(scale.x(bucket.start + histogram.bucketWidth)) - x, 1);
    bucket.latencies.forEach((count, i) => {
      if (count === 0) return;
      const { from, to } = histogram.latencies[i]!;
      const top = Math.floor(scale.y(to));
      pen.globalAlpha = 0.14 + 0.86 * (Math.log1p(count) / Math.log1p(most));
      pen.fillRect(x, top, width, Math.max(Math.ceil(scale.y(from)) - top, 2));
    });
  }
  pen.globalAlpha = 1;
}

export function radiusOf(trace: Summary): number {
  return Math.min(2.2 + Math.log10(trace.spanCount + 1), 6);
}

/** Failed traces last and as rings, so that they are seen. */
export function paintScatter(pen: CanvasRenderingContext2D, scale: Scale, traces: readonly Summary[], c: Colours): void {
  for (const failed of [false, true]) {
    for (const trace of traces) {
      if (trace.errorCount > 0 !== failed) continue;
      pen.beginPath();
      pen.arc(scale.x(trace.timestamp), scale.y(trace.duration), radiusOf(trace), 0, 7);
      if (failed) {
        pen.strokeStyle = c.error;
        pen.lineWidth = 2;
        pen.stroke();
      } else {
        pen.fillStyle = c.accent;
        pen.globalAlpha = 0.6;
        pen.fill();
        pen.globalAlpha = 1;
      }
    }
  }
}
