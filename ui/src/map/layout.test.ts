// The layered drawing of the dependency graph.
import { expect, it } from 'vitest';
import { LABEL_HEIGHT, layOut, NODE_HEIGHT, type Link } from './layout';

const link = (parent: string, child: string): Link => ({ parent, child, callCount: 1, errorCount: 0 });
const draw = (...links: Link[]) => layOut(links, { name: (name) => name.length * 8, label: () => 80 });
const at = (drawing: ReturnType<typeof draw>, name: string) => drawing.nodes.find((node) => node.name === name)!;

it('puts the called right of the caller', () => {
  const drawing = draw(link('a', 'b'), link('b', 'c'), link('a', 'c'));
  expect(at(drawing, 'a').x).toBeLessThan(at(drawing, 'b').x);
  expect(at(drawing, 'b').x).toBeLessThan(at(drawing, 'c').x);
  expect(drawing.links).toHaveLength(3);
});

it('draws circles and calls to oneself', () => {
  const drawing = draw(link('a', 'b'), link('b', 'a'), link('a', 'a'), link('b', 'c'), link('c', 'a'));
  expect(drawing.nodes).toHaveLength(3);
  expect(drawing.links).toHaveLength(5);
  for (const placed of drawing.links) expect(placed.path).not.toContain('NaN');
});

it('lays no service over another', () => {
  const links = Array.from({ length: 60 }, (_, i) => link(`s${i % 12}`, `s${(i * 7 + 3) % 20}`)).filter((l) => l.parent !== l.child);
  const { nodes, width, height } = draw(...links);
  for (const a of nodes) {
    expect(a.x + a.width).toBeLessThanOrEqual(width);
    expect(a.y + NODE_HEIGHT).toBeLessThanOrEqual(height);
    for (const b of nodes) if (a.name < b.name && a.x === b.x) expect(Math.abs(a.y - b.y)).toBeGreaterThanOrEqual(NODE_HEIGHT);
  }
});

it('draws the same picture whatever the order of the links', () => {
  const links = [link('a', 'b'), link('a', 'c'), link('c', 'd'), link('b', 'd')];
  expect(draw(...links).nodes).toEqual(draw(...[...links].reverse()).nodes);
});

it('keeps the two lines of services that call each other apart', () => {
  const [there, back] = draw(link('a', 'b'), link('b', 'a')).links;
  expect(Math.abs(there!.y - back!.y)).toBeGreaterThanOrEqual(12);
});

it('puts no label over a service', () => {
  const shop = [['front', 'cart'], ['front', 'catalog'], ['cart', 'kafka'], ['cart', 'payment'], ['cart', 'redis'], ['kafka', 'shipping'], ['shipping', 'kafka'], ['kafka', 'catalog'], ['payment', 'mysql'], ['catalog', 'mysql'], ['catalog', 'redis'], ['shipping', 'mysql']];
  const { nodes, links } = draw(...shop.map(([parent, child]) => link(parent!, child!)));
  for (const { x, y } of links) {
    for (const node of nodes) {
      const apart = x + 40 <= node.x || x - 40 >= node.x + node.width || y + LABEL_HEIGHT / 2 <= node.y || y - LABEL_HEIGHT / 2 >= node.y + NODE_HEIGHT;
      expect(apart, `a label at ${x},${y} and ${node.name}`).toBe(true);
    }
  }
});
