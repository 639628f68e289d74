// The flame's boxes. In: the aggregated trace, what a box's width stands for, the node zoomed to. Out: boxes that are wide enough to be
// seen, as arrays: a node, its place from 0 to 1, its level. Iterative.
import { childrenByWeight, type Aggregate } from './aggregate';

export const WEIGHTS = ['self', 'critical'] as const;
export type Weight = (typeof WEIGHTS)[number];

export interface Boxes {
  node: Uint32Array;
  left: Float64Array;
  width: Float64Array;
  level: Uint32Array;
  levels: number;
  /** What the whole width stands for, microseconds. */
  total: number;
}

/** `zoomed`: a node, or -1; `least`: the share of the width below which a box is left out. */
export function flameBoxes(tree: Aggregate, weight: Weight, zoomed: number, least: number): Boxes {
  const of = weight === 'critical' ? tree.criticalBelow : tree.selfBelow;
  const { at, children } = childrenByWeight(tree, of);
  const node: number[] = [];
  const left: number[] = [];
  const width: number[] = [];
  const level: number[] = [];
  const above: number[] = [];
  for (let up = zoomed; up >= 0; up = tree.parent[up]!) above.unshift(up);
  let total = zoomed < 0 ? 0 : of[zoomed]!;
  if (zoomed < 0) for (let i = at[tree.count]!; i < at[tree.count + 1]!; i++) total += of[children[i]!]!;
  total = Math.max(total, 1e-9);
  const put = (which: number, from: number, share: number, deep: number) => {
    node.push(which);
    left.push(from);
    width.push(share);
    level.push(deep);
  };
  // What stands above the node zoomed to keeps its line, over the whole width.
  above.forEach((up, deep) => put(up, 0, 1, deep));
  const stack: [number, number, number][] = [];
  const spread = (which: number, from: number, deep: number) => {
    let x = from;
    for (let i = at[which]!; i < at[which + 1]!; i++) {
      const child = children[i]!;
      const share = of[child]! / total;
      // Sorted by weight: what follows is narrower still.
      if (share < least) break;
      put(child, x, share, deep);
      stack.push([child, x, deep]);
      x += share;
    }
  };
  spread(zoomed < 0 ? tree.count : zoomed, 0, above.length);
  for (let next = stack.pop(); next; next = stack.pop()) spread(next[0], next[1], next[2] + 1);
  return {
    node: Uint32Array.from(node),
    left: Float64Array.from(left),
    width: Float64Array.from(width),
    level: Uint32Array.from(level),
    levels: level.reduce((most, deep) => Math.max(most, deep + 1), 0),
    total,
  };
}
