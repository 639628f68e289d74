// Time ranges: ours, Zipkin's of today and of its former page.
import { describe, expect, it } from 'vitest';
import { parseLookback, rangeParams, rangeUs, readTimeRange, widen, writeLookback, writeTimeRange, type TimeRange } from './timerange';

const read = (query: string) => readTimeRange(new URLSearchParams(query), 900_000);

describe('readTimeRange', () => {
  it.each<[string, TimeRange]>([
    ['', { kind: 'last', ms: 900_000 }],
    ['lookback=1h', { kind: 'last', ms: 3_600_000 }],
    ['lookback=3600000', { kind: 'last', ms: 3_600_000 }],
    ['lookback=millis&millis=60000', { kind: 'last', ms: 60_000 }],
    ['lookback=15m&endTs=1000000', { kind: 'between', start_ms: 100_000, end_ms: 1_000_000 }],
    ['lookback=range&startTs=100&endTs=200', { kind: 'between', start_ms: 100, end_ms: 200 }],
    ['lookback=custom&startTs=100&endTs=200', { kind: 'between', start_ms: 100, end_ms: 200 }],
    ['startTime=100&endTime=200', { kind: 'between', start_ms: 100, end_ms: 200 }],
    ['lookback=nonsense', { kind: 'last', ms: 900_000 }],
    ['lookback=range&startTs=200&endTs=100', { kind: 'last', ms: 900_000 }],
  ])('%s', (query, range) => expect(read(query)).toEqual(range));

  it('reads back what writeTimeRange wrote', () => {
    for (const range of [{ kind: 'last', ms: 5_400_000 }, { kind: 'between', start_ms: 5, end_ms: 99 }] as TimeRange[]) {
      const params = new URLSearchParams();
      writeTimeRange(params, range);
      expect(read(params.toString())).toEqual(range);
    }
  });
});

it('asks the API for the same stretch', () => {
  expect(rangeParams('', rangeUs({ kind: 'between', start_ms: 100, end_ms: 250.5 })).toString()).toBe('start=100000&end=250500');
  const { start_us, end_us } = rangeUs({ kind: 'last', ms: 1000 });
  expect(end_us - start_us).toBe(1_000_000);
  expect(rangeParams('service:a b', { start_us: 1, end_us: 2 }).get('q')).toBe('service:a b');
});

it('widens backwards', () => {
  expect(widen({ kind: 'last', ms: 900_000 }, 4)).toEqual({ kind: 'last', ms: 3_600_000 });
  expect(widen({ kind: 'between', start_ms: 80, end_ms: 100 }, 4)).toEqual({ kind: 'between', start_ms: 20, end_ms: 100 });
});

it('writes lookbacks in the largest whole unit', () => {
  for (const text of ['90s', '15m', '6h', '2d']) expect(writeLookback(parseLookback(text)!)).toBe(text);
});
