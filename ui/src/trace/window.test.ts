// The stretch of time shown.
import { expect, it } from 'vitest';
import { around, clamp, isWhole, pan, readWindow, whole, zoom } from './window';

it('stays inside of the trace', () => {
  expect(clamp({ from: -50, to: 50 }, 1000)).toEqual({ from: 0, to: 100 });
  expect(clamp({ from: 950, to: 1050 }, 1000)).toEqual({ from: 900, to: 1000 });
  expect(clamp({ from: 0, to: 5000 }, 1000)).toEqual({ from: 0, to: 1000 });
});

it('zooms around the pointer and back', () => {
  const near = zoom(whole(1000), 0.5, 200, 1000);
  expect(near).toEqual({ from: 100, to: 600 });
  expect(isWhole(zoom(near, 4, 200, 1000), 1000)).toBe(true);
});

it('does not zoom below what spans can tell apart', () => expect(zoom({ from: 10, to: 16 }, 0.001, 12, 1000).to).toBeGreaterThanOrEqual(15));

it('pans no further than the ends', () => expect(pan({ from: 0, to: 100 }, -30, 1000)).toEqual({ from: 0, to: 100 }));

it('leaves air around a span', () => expect(around(100, 200, 1000)).toEqual({ from: 90, to: 310 }));

it('reads an address, and the whole where it says nothing sensible', () => {
  expect(readWindow('10', '20', 1000)).toEqual({ from: 10, to: 20 });
  expect(readWindow('20', '10', 1000)).toEqual(whole(1000));
  expect(readWindow(null, null, 0)).toEqual({ from: 0, to: 1 });
});
