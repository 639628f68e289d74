// Folding: which rows are visible, and that an address brings the same folds back.
import { describe, expect, it } from 'vitest';
import { indexOf, isFolded, nextError, NOTHING_FOLDED, placesOf, readFolds, reveal, toggle, visibleRows, writeFolds } from './fold';
import { SMALL, traceOf } from './testdata';

const trace = traceOf(SMALL);

describe('visibleRows', () => {
  it('shows all while nothing is folded', () => expect([...visibleRows(trace, NOTHING_FOLDED)]).toEqual([0, 1, 2, 3, 4]));
  it('hides what lies below a folded row', () => expect([...visibleRows(trace, toggle(NOTHING_FOLDED, 1))]).toEqual([0, 1, 4]));
  it('folds from a depth on', () => expect([...visibleRows(trace, { depth: 0, toggled: new Set() })]).toEqual([0]));
  it('opens a row that the depth folds', () => expect([...visibleRows(trace, { depth: 0, toggled: new Set([0]) })]).toEqual([0, 1, 4]));
  it('shows only a subtree in focus', () => expect([...visibleRows(trace, NOTHING_FOLDED, 1)]).toEqual([1, 2, 3]));
});

it('never calls a leaf folded', () => expect(isFolded(trace, { depth: 0, toggled: new Set() }, 4)).toBe(false));

it('finds a row, or the ancestor it hides in', () => {
  const rows = visibleRows(trace, toggle(NOTHING_FOLDED, 1));
  expect([0, 1, 2, 3, 4].map((row) => indexOf(trace, placesOf(trace, rows), row))).toEqual([0, 1, 1, 1, 2]);
});

it('reveals a row by opening what is above it', () => {
  const folds = reveal(trace, { depth: 0, toggled: new Set() }, 3);
  expect([...visibleRows(trace, folds)]).toContain(3);
  expect(reveal(trace, NOTHING_FOLDED, 3)).toBe(NOTHING_FOLDED);
});

it('goes to the next error, around the end', () => {
  expect(nextError(trace, -1, 1)).toBe(3);
  expect(nextError(trace, 3, 1)).toBe(3);
  expect(nextError(trace, 0, -1)).toBe(3);
  expect(nextError(traceOf(SMALL.slice(0, 3)), 0, 1)).toBe(-1);
});

it.each(['-', 'D2', '1', 'D0.1', '0.1', 'D2.L', 'U.3'])('brings %s back from an address', (text) => {
  expect(writeFolds(readFolds(text, trace))).toBe(text);
});

it('leaves out rows an address should not name', () => expect(writeFolds(readFolds('zz.1.<x>', trace))).toBe('1'));
