// Spans added up by the way that leads to them: all calls with the same services and names from the root on are one node. In: the
// columns. Out: a tree of nodes as arrays, depth first. The flame and the comparison of two traces are drawn from it.
import { FLAG_ERROR, type Trace } from './columns';

export interface Aggregate {
  count: number;
  /** The node above, or -1. */
  parent: Int32Array;
  depth: Uint32Array;
  service: Uint32Array;
  name: Uint32Array;
  /** The first row of the node. */
  first: Uint32Array;
  spans: Uint32Array;
  errors: Uint32Array;
  /** Microseconds: of the spans, of what their children do not cover, and of that on the critical path. */
  duration: Float64Array;
  self: Float64Array;
  critical: Float64Array;
  /** The same with everything below. */
  selfBelow: Float64Array;
  criticalBelow: Float64Array;
  /** The node of each row. */
  nodeOf: Uint32Array;
}

export function aggregate(trace: Trace): Aggregate {
  const { spanCount } = trace;
  const nodeOf = new Uint32Array(spanCount);
  const byKey = new Map<number, number>();
  const parent: number[] = [];
  const first: number[] = [];
  const names = trace.names.length;
  const width = trace.services.length * names;
  for (let row = 0; row < spanCount; row++) {
    const above = trace.parent[row]! < 0 ? 0 : nodeOf[trace.parent[row]!]! + 1;
    const key = above * width + trace.service[row]! * names + trace.name[row]!;
    let node = byKey.get(key);
    if (node === undefined) {
      node = parent.length;
      byKey.set(key, node);
      parent.push(above - 1);
      first.push(row);
    }
    nodeOf[row] = node;
  }
  return figures(trace, nodeOf, parent, first);
}

function figures(trace: Trace, nodeOf: Uint32Array, above: readonly number[], first: readonly number[]): Aggregate {
  const count = above.length;
  const of: Aggregate = {
    count,
    parent: Int32Array.from(above),
    depth: Uint32Array.from(first, (row) => trace.depth[row]!),
    service: Uint32Array.from(first, (row) => trace.service[row]!),
    name: Uint32Array.from(first, (row) => trace.name[row]!),
    first: Uint32Array.from(first),
    spans: new Uint32Array(count),
    errors: new Uint32Array(count),
    duration: new Float64Array(count),
    self: new Float64Array(count),
    critical: new Float64Array(count),
    selfBelow: new Float64Array(count),
    criticalBelow: new Float64Array(count),
    nodeOf,
  };
  for (let row = 0; row < trace.spanCount; row++) {
    const node = nodeOf[row]!;
    of.spans[node]!++;
    of.errors[node]! += trace.flags[row]! & FLAG_ERROR;
    of.duration[node]! += trace.duration[row]!;
    of.self[node]! += trace.self[row]!;
    of.critical[node]! += trace.critical.share[row]!;
  }
  // A node stands behind the one above it: from the end on, what is below is complete.
  for (let node = count - 1; node >= 0; node--) {
    of.selfBelow[node]! += of.self[node]!;
    of.criticalBelow[node]! += of.critical[node]!;
    const up = of.parent[node]!;
    if (up < 0) continue;
    of.selfBelow[up]! += of.selfBelow[node]!;
    of.criticalBelow[up]! += of.criticalBelow[node]!;
  }
  return of;
}

/** Nodes below each node, heaviest first, as one array: `children[at[node] … at[node + 1]]`; the roots are those of node `count`. */
export function childrenByWeight(tree: Aggregate, weight: Float64Array): { at: Uint32Array; children: Uint32Array } {
  const slot = (node: number) => (tree.parent[node]! < 0 ? tree.count : tree.parent[node]!);
  const at = new Uint32Array(tree.count + 2);
  for (let node = 0; node < tree.count; node++) at[slot(node) + 1]!++;
  for (let i = 1; i < at.length; i++) at[i]! += at[i - 1]!;
  const next = at.slice();
  const children = new Uint32Array(tree.count);
  for (let node = 0; node < tree.count; node++) children[next[slot(node)]!++] = node;
  for (let node = 0; node <= tree.count; node++) {
    const [from, to] = [at[node]!, at[node + 1]!];
    if (to - from > 1) children.subarray(from, to).sort((a, b) => weight[b]! - weight[a]! || a - b);
  }
  return { at, children };
}
