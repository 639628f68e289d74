// A selected region: address and condition.
import { expect, it } from 'vitest';
import { conditionsOf, isInside, readSelection, writeSelection } from './selection';

it.each([['1-2-3-4'], ['--200000-'], ['5-9--']])('brings %s back', (text) => expect(writeSelection(readSelection(text)!)).toBe(text));
it('knows what is none', () => expect([null, '', '---', 'x'].map(readSelection)).toEqual([undefined, undefined, undefined, undefined]));
it('becomes a condition', () => expect(conditionsOf({ from_us: 10, to_us: 20, min_us: 200_000 })).toBe('start>=10 start<=20 duration>=200ms'));
it('knows what lies inside', () => {
  expect(isInside({ min_us: 5 }, 0, 5)).toBe(true);
  expect(isInside({ from_us: 1, to_us: 2 }, 3, 5)).toBe(false);
});
