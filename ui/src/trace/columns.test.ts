// The columnar answer: what is read of it, and that damaged answers are refused.
import { describe, expect, it } from 'vitest';
import { ColumnError, errorCount, errorsBelow, parseTrace, serviceName, spanName } from './columns';
import { encodeRows, SMALL, traceOf } from './testdata';

describe('parseTrace', () => {
  it('views the columns', () => {
    const trace = traceOf(SMALL);
    expect(trace.spanCount).toBe(5);
    expect([...trace.subtree]).toEqual([5, 3, 1, 1, 1]);
    expect([...trace.parent]).toEqual([-1, 0, 1, 1, 0]);
    expect(trace.depth_max).toBe(2);
    expect([serviceName(trace, 3), spanName(trace, 3)]).toEqual(['db', 'select']);
  });

  it('reads columns of any width', () => {
    const rows = [...SMALL, { depth: 1, start: 70.125, duration: 0.5 }];
    expect(parseTrace(encodeRows(rows, true))).toEqual(parseTrace(encodeRows(rows)));
  });

  it('counts errors, whole and below a row', () => {
    const trace = traceOf(SMALL);
    expect(errorCount(trace)).toBe(1);
    expect([0, 1, 3, 4].map((row) => errorsBelow(trace, row))).toEqual([1, 1, 0, 0]);
  });

  it('takes a chain of 100,000 spans without recursion', () => {
    const depth = 100_000;
    const bytes = encodeChain(depth);
    const trace = parseTrace(bytes);
    expect(trace.depth_max).toBe(depth - 1);
    expect(trace.parent[depth - 1]).toBe(depth - 2);
  });

  it.each([
    ['another magic', (bytes: ArrayBuffer) => new Uint8Array(bytes).set([88])],
    ['a header longer than the answer', (bytes: ArrayBuffer) => new DataView(bytes).setUint32(4, 1 << 30, true)],
  ])('refuses %s', (_, damage) => {
    const bytes = encodeRows(SMALL);
    damage(bytes);
    expect(() => parseTrace(bytes)).toThrow(ColumnError);
  });

  it('refuses an answer cut off anywhere', () => {
    const bytes = encodeRows(SMALL);
    for (const length of [0, 7, 8, 100, bytes.byteLength - 24]) expect(() => parseTrace(bytes.slice(0, length))).toThrow();
  });

  it('refuses depths without a parent above', () => {
    expect(() => traceOf([{ depth: 0, start: 0, duration: 1 }, { depth: 2, start: 0, duration: 1 }])).toThrow(ColumnError);
  });
});

it('counts as self time what no child covers', () => {
  const trace = traceOf(SMALL);
  expect(trace.self[0]).toBe(100 - 40 - 30);
  expect(trace.self[1]).toBe(40 - 33);
  expect(trace.self[2]).toBe(10);
});

it('counts overlapping children and those that outlive their parent once', () => {
  const trace = traceOf([
    { depth: 0, start: 0, duration: 100 },
    { depth: 1, start: 10, duration: 50 },
    { depth: 1, start: 40, duration: 40 },
    { depth: 1, start: 90, duration: 500 },
  ]);
  expect(trace.self[0]).toBe(100 - 70 - 10);
});

function encodeChain(length: number): ArrayBuffer {
  // encodeRows looks for subtree ends by scanning; a chain's are known.
  const names = ['start', 'duration', 'subtree', 'depth', 'service', 'name', 'remote', 'kind', 'flags', 'events'];
  const types = ['f64', 'f64', 'u32', 'u32', 'u32', 'u32', 'u32', 'u8', 'u8', 'u32'];
  const sizes = { f64: 8, u32: 4, u8: 1 };
  let offset = 0;
  const columns = Object.fromEntries(
    names.map((name, i) => {
      const place = { type: types[i]!, offset };
      offset += Math.ceil((sizes[types[i] as keyof typeof sizes] * length) / 8) * 8;
      return [name, place];
    }),
  );
  const header = JSON.stringify({ traceId: '1', spanCount: length, start: 0, duration: 1, services: [''], names: [''], missingParents: 0, columns });
  const json = new TextEncoder().encode(header + ' '.repeat((8 - (header.length % 8)) % 8));
  const bytes = new ArrayBuffer(8 + json.length + offset);
  new Uint8Array(bytes).set(new TextEncoder().encode('TWT1'));
  new DataView(bytes).setUint32(4, json.length, true);
  new Uint8Array(bytes).set(json, 8);
  const column = (name: string) => new Uint32Array(bytes, 8 + json.length + columns[name]!.offset, length);
  column('remote').fill(0xffffffff);
  column('depth').forEach((_, row, depth) => (depth[row] = row));
  column('subtree').forEach((_, row, subtree) => (subtree[row] = length - row));
  return bytes;
}
