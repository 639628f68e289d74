// Two traces laid over each other.
import { expect, it } from 'vitest';
import { SMALL, traceOf } from '../trace/testdata';
import { align } from './align';

it('pairs what is the same and keeps what is only in one', () => {
  const slower = SMALL.map((row) => (row.name === 'send' ? { ...row, name: 'push' } : row.service === 'db' ? { ...row, duration: 28 } : row));
  const lines = align(traceOf(SMALL), traceOf(slower));
  const of = (name: string, service: string) => lines.find((line) => line.name === name && line.service === service)!;
  expect(lines[0]).toMatchObject({ name: 'get /', depth: 0, hasChildren: true });
  expect(of('select', 'db').delta_us).toBe(3);
  expect([of('send', 'mail').b, of('push', 'mail').a]).toEqual([undefined, undefined]);
  expect(lines).toHaveLength(6);
});

it('finds no difference between a trace and itself', () => expect(align(traceOf(SMALL), traceOf(SMALL)).every((line) => line.delta_us === 0)).toBe(true));
