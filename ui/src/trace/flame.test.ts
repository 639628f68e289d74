// The flame and the table: sums that agree with the trace.
import { expect, it } from 'vitest';
import { aggregate } from './aggregate';
import { flameBoxes } from './flame';
import { readTableSort, sortedLines, tableLines } from './table';
import { SMALL, traceOf } from './testdata';

const trace = traceOf(SMALL);
const tree = aggregate(trace);

it('adds up by the way from the root', () => {
  expect(tree.count).toBe(5);
  expect(tree.selfBelow[0]).toBe(trace.self.reduce((sum, us) => sum + us, 0));
  expect(tree.criticalBelow[0]).toBe(100);
});

it('lays children side by side, the heaviest first, none wider than its parent', () => {
  const boxes = flameBoxes(tree, 'self', -1, 0);
  expect(boxes.levels).toBe(3);
  expect(boxes.node[0]).toBe(0);
  const below = [...boxes.node.keys()].filter((i) => boxes.level[i] === 1);
  expect(below.map((i) => boxes.left[i])).toEqual([0, boxes.width[below[0]!]]);
  expect(below.reduce((sum, i) => sum + boxes.width[i]!, 0)).toBeLessThan(1);
});

it('keeps the way above a node zoomed to', () => {
  const boxes = flameBoxes(tree, 'self', 1, 0);
  expect([...boxes.node.subarray(0, 2)]).toEqual([0, 1]);
  expect([...boxes.width.subarray(0, 2)]).toEqual([1, 1]);
});

it('leaves out what is too thin to see', () => expect(flameBoxes(tree, 'self', -1, 0.3).node.length).toBeLessThan(5));

it('is a table by operation, service, span', () => {
  expect(tableLines(trace, 'operation', undefined).count).toBe(5);
  const services = tableLines(trace, 'service', undefined);
  expect([services.count, services.spans[1], services.self[1]]).toEqual([4, 2, trace.self[1]! + trace.self[2]!]);
  expect(tableLines(trace, 'span', Uint8Array.of(0, 0, 1, 0, 0)).count).toBe(1);
});

it('is sorted', () => {
  const lines = tableLines(trace, 'span', undefined);
  expect(sortedLines(trace, lines, 'duration', true)[0]).toBe(0);
  expect(readTableSort('-p95')).toEqual({ sort: 'p95', down: true });
  expect(readTableSort('nonsense')).toEqual({ sort: 'self', down: true });
});
