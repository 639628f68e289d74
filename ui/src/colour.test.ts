// Colours: the same service is the same colour for everybody, and no two of the first twelve look alike.
import { expect, it } from 'vitest';
import { assignSlots, HUES } from './colour';

const names = (count: number) => Array.from({ length: count }, (_, i) => `service-${i}`);

it('does not depend on the order in which services are met', () => {
  const list = names(10);
  expect([...assignSlots(list)].sort()).toEqual([...assignSlots([...list].reverse())].sort());
});

it('gives twelve services twelve hues without stripes', () => {
  const slots = [...assignSlots(names(HUES)).values()];
  expect(new Set(slots).size).toBe(HUES);
  expect(Math.max(...slots)).toBeLessThan(HUES);
});

it('stripes the next twelve', () => {
  const slots = [...assignSlots(names(2 * HUES)).values()];
  expect(new Set(slots).size).toBe(2 * HUES);
});

it('still colours the twenty-fifth', () => expect(assignSlots(names(30)).size).toBe(30));

it('keeps a service in its own slot while nothing collides', () => {
  const alone = assignSlots(['cart']).get('cart');
  expect(assignSlots(['cart', 'gateway', 'payment']).get('cart')).toBe(alone);
});

it('gives a service the same slot on all pages of a server that knows up to twelve', () => {
  const known = names(HUES);
  const all = assignSlots(known, known);
  for (const page of [known.slice(3, 9), [known[1]!, known[11]!, 'postgresql'], [known[8]!]]) {
    const slots = assignSlots(page, known);
    for (const name of page) if (known.includes(name)) expect(slots.get(name)).toBe(all.get(name));
    expect(new Set(slots.values()).size).toBe(page.length);
  }
});

it('needs no stripes for a page of twelve, however many the server knows', () => {
  expect(Math.max(...assignSlots(names(HUES), names(500)).values())).toBeLessThan(HUES);
});
