// Repeated siblings, and how folding shows them.
import { describe, expect, it } from 'vitest';
import { GROUP_BIT, isGroup, NOTHING_FOLDED, EVERYTHING, readFolds, reveal, toggleGroup, visibleRows, writeFolds, placesOf, indexOf, filteredRows } from './fold';
import { firstOf, sizeOf } from './groups';
import { traceOf, type Row } from './testdata';

/** A root, six equal queries with another call between them, one of the queries failing. */
const rows: Row[] = [
  { depth: 0, start: 0, duration: 100, name: 'root' },
  ...[1, 2, 3].map((at) => ({ depth: 1, start: at * 10, duration: at, name: 'select' })),
  { depth: 1, start: 35, duration: 2, name: 'other' },
  ...[4, 5].map((at) => ({ depth: 1, start: at * 10, duration: at, name: 'select' })),
  { depth: 1, start: 60, duration: 6, name: 'select', flags: 1 },
];
const trace = traceOf(rows);

it('groups equal calls that went well', () => {
  expect(trace.groups.count).toBe(1);
  expect([...trace.groups.members]).toEqual([1, 2, 3, 5, 6]);
  expect([firstOf(trace.groups, 0), sizeOf(trace.groups, 0), trace.groups.total[0], trace.groups.p95[0], trace.groups.longest[0]]).toEqual([1, 5, 15, 5, 5]);
  expect(trace.groups.of[7]).toBe(-1);
});

describe('visibleRows', () => {
  const shown = (folds: typeof NOTHING_FOLDED) => [...visibleRows(trace, folds)].map((line) => (isGroup(line) ? `group ${line - GROUP_BIT}` : line));
  it('has one line for a group', () => expect(shown(NOTHING_FOLDED)).toEqual([0, 'group 0', 4, 7]));
  it('has its members below it when it is open', () => expect(shown(toggleGroup(trace, NOTHING_FOLDED, 0))).toEqual([0, 'group 0', 1, 2, 3, 5, 6, 4, 7]));
  it('has every row when nothing is grouped', () => expect(shown(EVERYTHING)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]));
});

it('finds a hidden member at its group', () => {
  const places = placesOf(trace, visibleRows(trace, NOTHING_FOLDED));
  expect([0, 3, 4, 7].map((row) => indexOf(trace, places, row))).toEqual([0, 1, 2, 3]);
});

it('opens a group to reveal a member, and the address says so', () => {
  const folds = reveal(trace, NOTHING_FOLDED, 3);
  expect([...visibleRows(trace, folds)]).toContain(3);
  expect(writeFolds(folds)).toBe('G1');
  expect(writeFolds(readFolds('G1.U', trace))).toBe('U.G1');
});

it('shows matches alone, or with what is above them', () => {
  const matches = Uint8Array.from(rows, (_, row) => (row === 4 ? 1 : 0));
  expect([...filteredRows(trace, matches, false)]).toEqual([4]);
  expect([...filteredRows(trace, matches, true)]).toEqual([0, 4]);
});
