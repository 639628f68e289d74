// A layered drawing of the dependency graph, left to right. In: links between services. Out: a place for every service and a line for
// every link. Deterministic: the same links give the same picture for everybody. Steps: turn around links that close a circle,
// longest-path layers, dummy places where a link crosses a layer, a few barycentre sweeps against crossings, straightened rows.

export interface Link {
  parent: string;
  child: string;
  callCount: number;
  errorCount: number;
  /** Calls a second. */
  rate?: number;
  p95_us?: number;
}

export interface PlacedNode {
  name: string;
  x: number;
  y: number;
  width: number;
}

export interface PlacedLink {
  link: Link;
  /** An SVG path. */
  path: string;
  /** Where its label stands, the middle of it. */
  x: number;
  y: number;
}

/** How wide names and labels are. */
export interface Measure {
  name: (name: string) => number;
  label: (link: Link) => number;
}

export interface Drawing {
  nodes: PlacedNode[];
  links: PlacedLink[];
  width: number;
  height: number;
}

export const NODE_HEIGHT = 24;
/** A label is two lines, one above and one below its link. */
export const LABEL_HEIGHT = 26;
const ROW_GAP = 22;
const LAYER_GAP = 72;
const LABEL_GAP = 24;
/** Where on each piece of a line its label is tried, the best place first. */
const LABEL_PLACES = [0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78];
const MARGIN = 16;
const SWEEPS = 12;
const MUTUAL_SHIFT = 7;
/** How far their labels stand from the lines of two services that call each other, away from the other line. */
const MUTUAL_LABEL = 9;

interface Place {
  /** Service name, or '' for a dummy. */
  name: string;
  layer: number;
  order: number;
  y: number;
  before: Place[];
  after: Place[];
}

export function layOut(links: readonly Link[], measure: Measure): Drawing {
  const names = [...new Set(links.flatMap((link) => [link.parent, link.child]))].sort();
  const forward = breakCircles(names, links);
  const places = new Map(names.map((name) => [name, place(name, 0)]));
  assignLayers(places, forward);
  const { layers, chains } = insertDummies(places, forward);
  orderLayers(layers);
  straighten(layers);
  return draw(links, layers, places, chains, measure);
}

/** Depth first, without recursion; a link back to a service still being visited is turned around. */
function breakCircles(names: string[], links: readonly Link[]): [string, string][] {
  const after = new Map<string, string[]>(names.map((name) => [name, []]));
  for (const link of links) if (link.parent !== link.child) after.get(link.parent)!.push(link.child);
  const hasParent = new Set(links.filter((link) => link.parent !== link.child).map((link) => link.child));
  const state = new Map<string, 1 | 2>();
  const edges = new Map<string, [string, string]>();
  const starts = [...names.filter((name) => !hasParent.has(name)), ...names];
  for (const start of starts) {
    if (state.has(start)) continue;
    const stack: { name: string; next: number }[] = [{ name: start, next: 0 }];
    state.set(start, 1);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const child = after.get(top.name)![top.next++];
      if (child === undefined) {
        state.set(top.name, 2);
        stack.pop();
        continue;
      }
      const [from, to] = state.get(child) === 1 ? [child, top.name] : [top.name, child];
      edges.set(`${from}\n${to}`, [from, to]);
      if (!state.has(child)) {
        state.set(child, 1);
        stack.push({ name: child, next: 0 });
      }
    }
  }
  return [...edges.values()];
}

function assignLayers(places: Map<string, Place>, edges: [string, string][]): void {
  const waiting = new Map<string, number>([...places.keys()].map((name) => [name, 0]));
  const after = new Map<string, string[]>([...places.keys()].map((name) => [name, []]));
  for (const [from, to] of edges) {
    waiting.set(to, waiting.get(to)! + 1);
    after.get(from)!.push(to);
  }
  const ready = [...places.keys()].filter((name) => waiting.get(name) === 0);
  while (ready.length > 0) {
    const name = ready.shift()!;
    for (const child of after.get(name)!) {
      const next = places.get(child)!;
      next.layer = Math.max(next.layer, places.get(name)!.layer + 1);
      waiting.set(child, waiting.get(child)! - 1);
      if (waiting.get(child) === 0) ready.push(child);
    }
  }
}

function insertDummies(places: Map<string, Place>, edges: [string, string][]) {
  const layers: Place[][] = [];
  const put = (p: Place) => {
    (layers[p.layer] ??= []).push(p);
    p.order = layers[p.layer]!.length - 1;
  };
  for (const p of places.values()) put(p);
  const chains = new Map<string, Place[]>();
  for (const [from, to] of edges) {
    const chain = [places.get(from)!];
    for (let layer = places.get(from)!.layer + 1; layer < places.get(to)!.layer; layer++) {
      const dummy = place('', layer);
      put(dummy);
      chain.push(dummy);
    }
    chain.push(places.get(to)!);
    for (let i = 1; i < chain.length; i++) {
      chain[i - 1]!.after.push(chain[i]!);
      chain[i]!.before.push(chain[i - 1]!);
    }
    chains.set(`${from}\n${to}`, chain);
  }
  return { layers, chains };
}

function orderLayers(layers: Place[][]): void {
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    const list = down ? layers.slice(1) : layers.slice(0, -1).reverse();
    for (const layer of list) {
      const key = new Map(layer.map((p) => [p, mean(down ? p.before : p.after, (q) => q.order) ?? p.order]));
      layer.sort((a, b) => key.get(a)! - key.get(b)! || a.order - b.order);
      layer.forEach((p, order) => (p.order = order));
    }
  }
}

/** Rows first stacked, then pulled towards their neighbours as far as the order allows. */
function straighten(layers: Place[][]): void {
  const step = NODE_HEIGHT + ROW_GAP;
  const tallest = Math.max(...layers.map((layer) => layer.length));
  for (const layer of layers) layer.forEach((p, i) => (p.y = (i + (tallest - layer.length) / 2) * step));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const list = sweep % 2 === 0 ? layers : [...layers].reverse();
    for (const layer of list) {
      const wish = layer.map((p) => mean([...p.before, ...p.after], (q) => q.y) ?? p.y);
      pull(layer, wish, step);
    }
  }
  const top = Math.min(...layers.flat().map((p) => p.y));
  for (const p of layers.flat()) p.y -= top;
}

/** Moves places to their wishes keeping order and distance: blocks that touch share their mean wish. */
function pull(layer: Place[], wish: number[], step: number): void {
  const blocks: { sum: number; count: number; first: number }[] = [];
  for (let i = 0; i < layer.length; i++) {
    blocks.push({ sum: wish[i]! - i * step, count: 1, first: i });
    while (blocks.length > 1) {
      const last = blocks[blocks.length - 1]!;
      const before = blocks[blocks.length - 2]!;
      if (before.sum / before.count < last.sum / last.count) break;
      before.sum += last.sum;
      before.count += last.count;
      blocks.pop();
    }
  }
  for (const block of blocks) {
    for (let i = block.first; i < block.first + block.count; i++) layer[i]!.y = block.sum / block.count + i * step;
  }
}

function draw(
  links: readonly Link[],
  layers: Place[][],
  places: Map<string, Place>,
  chains: Map<string, Place[]>,
  measure: Measure,
): Drawing {
  const left: number[] = [];
  const widths = layers.map((layer) => Math.max(40, ...layer.map((p) => (p.name === '' ? 0 : measure.name(p.name)))));
  const gaps = layerGaps(links, places, layers.length, measure);
  let x = MARGIN;
  widths.forEach((width, layer) => {
    left.push(x);
    x += width + (gaps[layer] ?? 0);
  });
  const nodes = [...places.values()].map((p) => ({ name: p.name, x: left[p.layer]!, y: MARGIN + p.y, width: measure.name(p.name) }));
  const at = new Map(nodes.map((node) => [node.name, node]));
  const dummyPoint = (p: Place): [number, number] => [left[p.layer]! + widths[p.layer]! / 2, MARGIN + p.y + NODE_HEIGHT / 2];
  const known = new Set(links.map((link) => `${link.parent}\n${link.child}`));
  const placed = links.map((link) => {
    const mutual = known.has(`${link.child}\n${link.parent}`);
    const chain = chains.get(`${link.parent}\n${link.child}`) ?? [...(chains.get(`${link.child}\n${link.parent}`) ?? [])].reverse();
    return { link, ...line(at.get(link.parent)!, at.get(link.child)!, chain.slice(1, -1).map(dummyPoint), mutual) };
  });
  const labelled = placeLabels(placed, nodes, measure);
  const height = Math.max(...nodes.map((node) => node.y)) + NODE_HEIGHT + MARGIN;
  return { nodes, links: labelled, width: x + MARGIN, height };
}

/** Room between two layers: for the widest label of the links between neighbours. */
function layerGaps(links: readonly Link[], places: Map<string, Place>, count: number, measure: Measure): number[] {
  const gaps = Array.from({ length: count - 1 }, () => LAYER_GAP);
  for (const link of links) {
    const [from, to] = [places.get(link.parent)!.layer, places.get(link.child)!.layer];
    const left = Math.min(from, to);
    if (Math.abs(from - to) === 1) gaps[left] = Math.max(gaps[left]!, measure.label(link) + LABEL_GAP);
  }
  return gaps;
}

interface Line {
  link: Link;
  path: string;
  /** Where its label may stand, the best place first. */
  places: [number, number][];
}

/** Each label where it covers no service and no other label, as far as there is such a place. The busiest choose first. */
function placeLabels(lines: Line[], nodes: PlacedNode[], measure: Measure): PlacedLink[] {
  const taken = nodes.map((node): Box => ({ left: node.x - 2, right: node.x + node.width + 2, top: node.y - 2, bottom: node.y + NODE_HEIGHT + 2 }));
  const services = taken.length;
  const chosen = new Map<Line, [number, number]>();
  const key = ({ link }: Line) => `${link.parent}\n${link.child}`;
  for (const one of [...lines].sort((a, b) => b.link.callCount - a.link.callCount || (key(a) < key(b) ? -1 : 1))) {
    const width = measure.label(one.link);
    const boxAt = ([x, y]: [number, number]): Box => ({ left: x - width / 2, right: x + width / 2, top: y - LABEL_HEIGHT / 2, bottom: y + LABEL_HEIGHT / 2 });
    // Covering a service is worse than covering a label.
    const badness = (place: [number, number]) => taken.reduce((sum, box, i) => sum + overlap(boxAt(place), box) * (i < services ? 4 : 1), 0);
    let best = one.places[0]!;
    let least = Infinity;
    for (const place of one.places) {
      const bad = badness(place);
      if (bad < least) [least, best] = [bad, place];
      if (bad === 0) break;
    }
    taken.push(boxAt(best));
    chosen.set(one, best);
  }
  return lines.map((one) => ({ link: one.link, path: one.path, x: chosen.get(one)![0], y: chosen.get(one)![1] }));
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const overlap = (a: Box, b: Box) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

function line(from: PlacedNode, to: PlacedNode, through: [number, number][], mutual: boolean): Omit<Line, 'link'> {
  const half = NODE_HEIGHT / 2;
  if (from === to) {
    const x = from.x + from.width;
    return { path: `M${x},${from.y + 6}c28,-18 28,30 0,12`, places: [[x + 44, from.y + half]] };
  }
  const back = to.x <= from.x;
  // Two services that call each other have two lines, one above the other, so that both can be read.
  const shift = mutual ? (back ? MUTUAL_SHIFT : -MUTUAL_SHIFT) : 0;
  const start: [number, number] = [back ? from.x : from.x + from.width, from.y + half];
  const end: [number, number] = [back ? to.x + to.width : to.x, to.y + half];
  const points = [start, ...through, end].map(([x, y]): [number, number] => [x, y + shift]);
  let path = `M${points[0]![0]},${points[0]![1]}`;
  for (let i = 1; i < points.length; i++) {
    const [ax, ay] = points[i - 1]!;
    const [bx, by] = points[i]!;
    const bend = (bx - ax) / 2;
    path += `C${ax + bend},${ay} ${bx - bend},${by} ${bx},${by}`;
  }
  const middle = (points.length - 2) / 2;
  const pieces = points.slice(1).map((_, i) => i).sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle) || a - b);
  return { path, places: pieces.flatMap((piece) => LABEL_PLACES.map((t) => onCurve(points[piece]!, points[piece + 1]!, t)).map(([x, y]): [number, number] => [x, y + Math.sign(shift) * MUTUAL_LABEL])) };
}

/** A point of the curve that `line` draws between two. */
function onCurve([ax, ay]: [number, number], [bx, by]: [number, number], t: number): [number, number] {
  const bend = (bx - ax) / 2;
  const mix = (a: number, b: number, c: number, d: number) => (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * d;
  return [mix(ax, ax + bend, bx - bend, bx), mix(ay, ay, by, by)];
}

function mean(places: readonly Place[], of: (p: Place) => number): number | undefined {
  return places.length === 0 ? undefined : places.reduce((sum, p) => sum + of(p), 0) / places.length;
}

function place(name: string, layer: number): Place {
  return { name, layer, order: 0, y: 0, before: [], after: [] };
}
