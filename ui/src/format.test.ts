// Durations and ticks as text.
import { describe, expect, it } from 'vitest';
import { durationColumn, formatDuration, formatShare, formatTick, parseDuration, tickStep, writeDuration } from './format';

describe('formatDuration', () => {
  it.each([
    [0, '0 µs'],
    [870, '870 µs'],
    [1_234, '1.23 ms'],
    [59_500, '59.5 ms'],
    [207_000, '207 ms'],
    [999_499, '999 ms'],
    [999_500, '1.00 s'],
    [1_250_000, '1.25 s'],
    [60_000_000, '1 m 00 s'],
    [100_000_000, '1 m 40 s'],
    [3_900_000_000, '1 h 05 m'],
  ])('%d µs is %s', (us, text) => expect(formatDuration(us)).toBe(text));
});

describe('durationColumn', () => {
  it('keeps one unit, chosen by the middle of the column', () => {
    const column = durationColumn([900, 75_000, 93_000, 60_000_000]);
    expect([900, 75_000, 60_000_000].map(column)).toEqual(['0.9 ms', '75.0 ms', '60,000.0 ms']);
  });
  it('counts microseconds where all are short', () => expect(durationColumn([3, 400])(1_500)).toBe('1,500 µs'));
  it('counts seconds where most are long', () => expect(durationColumn([12_000_000])(1_500_000)).toBe('1.50 s'));
});

describe('parseDuration', () => {
  it.each([
    ['200ms', 200_000],
    ['1.5s', 1_500_000],
    ['10us', 10],
    ['10µs', 10],
    ['2m', 120_000_000],
    ['1500', 1_500],
  ])('%s', (text, us) => expect(parseDuration(text)).toBe(us));
  it.each(['', 'ms', '1 parsec', '-5ms', '1e3'])('refuses %j', (text) => expect(parseDuration(text)).toBeUndefined());
  it('reads back what writeDuration wrote', () => {
    for (const us of [1, 999, 1_000, 1_500, 200_000, 1_000_000, 90_000_000]) expect(parseDuration(writeDuration(us))).toBe(us);
  });
});

describe('time axis', () => {
  it('steps by 1, 2 or 5', () => {
    expect(tickStep(100, 5)).toBe(20);
    expect(tickStep(170_000, 6)).toBe(50_000);
    expect(tickStep(60_000_000, 9)).toBe(10_000_000);
  });
  it('labels ticks in the unit of the step', () => {
    expect(formatTick(150_000, 50_000)).toBe('150 ms');
    expect(formatTick(2_500, 500)).toBe('2,500 µs');
    expect(formatTick(1_500_000, 500_000)).toBe('1,500 ms');
    expect(formatTick(20_000_000, 10_000_000)).toBe('20 s');
  });
});

it('writes shares of a whole', () => {
  expect(formatShare(0, 10)).toBe('0%');
  expect(formatShare(1, 100_000)).toBe('<0.1%');
  expect(formatShare(34, 1000)).toBe('3.4%');
  expect(formatShare(1, 4)).toBe('25%');
});
