// The critical path of a trace: which span the answer waited for at each moment. In: the columns. Out: stretches of time, each with its
// row, that together cover the longest root without a gap. Walks back from the root's end: a span waits for the child that ended last,
// before that for the one that had ended when that one began, and works itself in between. An explicit stack; nothing recurses.

export interface CriticalPath {
  /** One entry a stretch, sorted by row, then by time. */
  row: Uint32Array;
  /** Microseconds after the trace's start. */
  from: Float64Array;
  to: Float64Array;
  /** One entry a row of the trace: its microseconds on the path, 0 where it is not on it. */
  share: Float64Array;
}

interface Columns {
  spanCount: number;
  start: Float64Array;
  duration: Float64Array;
  subtree: Uint32Array;
  depth: Uint32Array;
}

/** A span on the way: what is left of it before `until`, and its children from the one that ended last. */
interface Frame {
  row: number;
  until: number;
  end: number;
  children: Uint32Array;
  next: number;
}

export function criticalPath(trace: Columns): CriticalPath {
  const { start, duration } = trace;
  const rows: number[] = [];
  const from: number[] = [];
  const to: number[] = [];
  const share = new Float64Array(trace.spanCount);
  const add = (row: number, a: number, b: number) => {
    if (b <= a) return;
    rows.push(row);
    from.push(a);
    to.push(b);
    share[row]! += b - a;
  };
  const root = longestRoot(trace);
  const stack = [frameOf(trace, root, start[root]! + duration[root]!)];
  while (stack.length > 0) {
    const frame = stack[stack.length - 1]!;
    const child = nextChild(trace, frame);
    if (child < 0) {
      add(frame.row, start[frame.row]!, frame.until);
      stack.pop();
      continue;
    }
    const end = Math.min(start[child]! + duration[child]!, frame.end);
    add(frame.row, end, frame.until);
    frame.until = Math.max(start[child]!, start[frame.row]!);
    stack.push(frameOf(trace, child, end));
  }
  const order = Uint32Array.from(rows.keys()).sort((a, b) => rows[a]! - rows[b]! || from[a]! - from[b]!);
  return {
    row: order.map((i) => rows[i]!),
    from: Float64Array.from(order, (i) => from[i]!),
    to: Float64Array.from(order, (i) => to[i]!),
    share,
  };
}

/** Index of the first stretch of a row, or of where it would stand. */
export function stretchesOf(path: CriticalPath, row: number): number {
  let low = 0;
  let high = path.row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (path.row[middle]! < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

function longestRoot({ spanCount, subtree, duration }: Columns): number {
  let longest = 0;
  for (let row = 0; row < spanCount; row += subtree[row]!) if (duration[row]! > duration[longest]!) longest = row;
  return longest;
}

function frameOf(trace: Columns, row: number, end: number): Frame {
  const { start, duration, subtree } = trace;
  const list: number[] = [];
  const last = row + subtree[row]!;
  for (let child = row + 1; child < last; child += subtree[child]!) {
    if (duration[child]! > 0 && start[child]! < end && start[child]! + duration[child]! > start[row]!) list.push(child);
  }
  const children = Uint32Array.from(list);
  const endOf = (child: number) => Math.min(start[child]! + duration[child]!, end);
  if (children.length > 1) children.sort((a, b) => endOf(b) - endOf(a) || start[b]! - start[a]!);
  return { row, until: end, end, children, next: 0 };
}

/** The child that ended last before what is left of the span; -1 when it waited for none. */
function nextChild({ start, duration }: Columns, frame: Frame): number {
  while (frame.next < frame.children.length) {
    const child = frame.children[frame.next++]!;
    if (Math.min(start[child]! + duration[child]!, frame.end) <= frame.until && frame.until > start[frame.row]!) return child;
  }
  return -1;
}
