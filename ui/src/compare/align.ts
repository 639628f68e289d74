// Two traces laid over each other. In: both traces. Out: one tree of calls (services and names from the root on) with what each trace
// spent there, depth first, the largest difference first among siblings. Iterative.
import { aggregate, type Aggregate } from '../trace/aggregate';
import type { Trace } from '../trace/columns';

export interface Side {
  spans: number;
  errors: number;
  duration_us: number;
  self_us: number;
  /** The first row of the node in its trace. */
  row: number;
}

export interface Aligned {
  service: string;
  name: string;
  depth: number;
  a: Side | undefined;
  b: Side | undefined;
  /** Microseconds of own time more in b than in a, with everything below. */
  delta_us: number;
  hasChildren: boolean;
}

interface Node {
  service: string;
  name: string;
  parent: Node | undefined;
  a: Side | undefined;
  b: Side | undefined;
  below: number;
  children: Node[];
}

export function align(a: Trace, b: Trace): Aligned[] {
  const root: Node = { service: '', name: '', parent: undefined, a: undefined, b: undefined, below: 0, children: [] };
  const byKey = new Map<Node, Map<string, Node>>();
  add(root, byKey, a, aggregate(a), 'a');
  add(root, byKey, b, aggregate(b), 'b');
  return inOrder(root);
}

function add(root: Node, byKey: Map<Node, Map<string, Node>>, trace: Trace, tree: Aggregate, side: 'a' | 'b'): void {
  const nodes: Node[] = [];
  for (let i = 0; i < tree.count; i++) {
    const above = tree.parent[i]! < 0 ? root : nodes[tree.parent[i]!]!;
    const service = trace.services[tree.service[i]!]!;
    const name = trace.names[tree.name[i]!]!;
    const known = byKey.get(above) ?? new Map<string, Node>();
    byKey.set(above, known);
    const key = `${service}\n${name}`;
    let node = known.get(key);
    if (!node) {
      node = { service, name, parent: above, a: undefined, b: undefined, below: 0, children: [] };
      known.set(key, node);
      above.children.push(node);
    }
    node[side] = { spans: tree.spans[i]!, errors: tree.errors[i]!, duration_us: tree.duration[i]!, self_us: tree.self[i]!, row: tree.first[i]! };
    node.below += tree.selfBelow[i]! * (side === 'a' ? -1 : 1);
    nodes.push(node);
  }
}

function inOrder(root: Node): Aligned[] {
  const list: Aligned[] = [];
  const stack = [...sorted(root.children)].reverse().map((node) => ({ node, depth: 0 }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { node, depth } = top;
    list.push({ service: node.service, name: node.name, depth, a: node.a, b: node.b, delta_us: node.below, hasChildren: node.children.length > 0 });
    const below = sorted(node.children);
    for (let i = below.length - 1; i >= 0; i--) stack.push({ node: below[i]!, depth: depth + 1 });
  }
  return list;
}

function sorted(nodes: readonly Node[]): Node[] {
  return [...nodes].sort((x, y) => Math.abs(y.below) - Math.abs(x.below) || (x.name < y.name ? -1 : 1));
}
