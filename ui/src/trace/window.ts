// The stretch of time the timeline shows. In: the trace's duration and what the user did. Out: a `TimeWindow` in microseconds after the
// trace's start, never outside of the trace and never shorter than a pixel needs.

export interface TimeWindow {
  from: number;
  to: number;
}

/** Zooming in ends here: spans are recorded in whole microseconds. */
const WINDOW_US_MIN = 5;

export function whole(duration_us: number): TimeWindow {
  return { from: 0, to: Math.max(duration_us, 1) };
}

export function isWhole(view: TimeWindow, duration_us: number): boolean {
  return view.from <= 0 && view.to >= Math.max(duration_us, 1);
}

export function clamp(view: TimeWindow, duration_us: number): TimeWindow {
  const end = Math.max(duration_us, 1);
  const length = Math.min(Math.max(view.to - view.from, Math.min(WINDOW_US_MIN, end)), end);
  const from = Math.min(Math.max(view.from, 0), end - length);
  return { from, to: from + length };
}

/** Zooms by `factor` (below 1: in) keeping the moment `at` where it is. */
export function zoom(view: TimeWindow, factor: number, at: number, duration_us: number): TimeWindow {
  return clamp({ from: at - (at - view.from) * factor, to: at + (view.to - at) * factor }, duration_us);
}

export function pan(view: TimeWindow, by_us: number, duration_us: number): TimeWindow {
  return clamp({ from: view.from + by_us, to: view.to + by_us }, duration_us);
}

/** A window around a span with a little air on both sides. */
export function around(start: number, duration: number, trace_us: number): TimeWindow {
  const air = Math.max(duration * 0.05, 1);
  return clamp({ from: start - air, to: start + duration + air }, trace_us);
}

export function readWindow(from: string | null, to: string | null, duration_us: number): TimeWindow {
  const view = { from: Number(from ?? NaN), to: Number(to ?? NaN) };
  return view.to > view.from ? clamp(view, duration_us) : whole(duration_us);
}
