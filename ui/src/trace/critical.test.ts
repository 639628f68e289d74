// The critical path: covers the root without a gap, waits for the child that ended last, needs no stack.
import { expect, it } from 'vitest';
import { stretchesOf } from './critical';
import { SMALL, traceOf, type Row } from './testdata';

const path = (rows: readonly Row[]) => {
  const { row, from, to } = traceOf(rows).critical;
  return [...row].map((of, i) => [of, from[i], to[i]]);
};

it('walks back from the end', () => {
  expect(path(SMALL)).toEqual([[0, 0, 10], [0, 50, 60], [0, 90, 100], [1, 10, 20], [1, 45, 50], [3, 20, 45], [4, 60, 90]]);
});

it('covers the root whole, whatever the children do', () => {
  const trace = traceOf(SMALL);
  expect(trace.critical.share.reduce((sum, us) => sum + us, 0)).toBe(100);
});

it('leaves out what runs beside, and cuts what outlives its parent', () => {
  expect(path([
    { depth: 0, start: 0, duration: 100 },
    { depth: 1, start: 0, duration: 60 },
    { depth: 1, start: 10, duration: 70 },
    { depth: 1, start: 90, duration: 500 },
  ])).toEqual([[0, 0, 10], [0, 80, 90], [2, 10, 80], [3, 90, 100]]);
});

it('finds the stretches of a row', () => {
  const { critical } = traceOf(SMALL);
  expect(stretchesOf(critical, 1)).toBe(3);
  expect(critical.row[stretchesOf(critical, 2)]).not.toBe(2);
});
