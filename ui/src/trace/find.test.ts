// Find in a trace.
import { expect, it } from 'vitest';
import { findSpans } from './find';
import { SMALL, traceOf } from './testdata';

const trace = traceOf(SMALL);
const rows = (text: string) => [...(findSpans(trace, text)?.matches ?? [])].flatMap((hit, row) => (hit ? [row] : []));

it('looks for nothing where nothing is typed', () => expect(findSpans(trace, '  ')).toBeUndefined());

it.each([
  ['select', [2, 3]],
  ['CART', [1, 2]],
  ['select db', [3]],
  ['service:cart', [1, 2]],
  ['span:send', [4]],
  ['"get /"', [0]],
  ['error', [3]],
  ['duration>30us', [0, 1, 4]],
  ['duration<10us', [2]],
  ['nothing like that', []],
])('%s', (text, expected) => expect(rows(text)).toEqual(expected));
