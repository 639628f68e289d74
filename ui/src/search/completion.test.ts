// Completion: what is asked for at the cursor, and what a chosen offer makes of the text.
import { expect, it } from 'vitest';
import { askedAt, offersFor, take } from './completion';

it.each([
  ['', 'keys', ''],
  ['ser', 'keys', 'ser'],
  ['service:ca', 'services', 'ca'],
  ['service:cart span:"get ', 'spans', 'get '],
  ['service:cart remote:', 'remotes', ''],
  ['http.method=G', 'values', 'G'],
  ['duration>2', 'none', 'duration>2'],
  ['service:cart ', 'keys', ''],
])('%j asks for %s', (text, source, typed) => expect(askedAt(text, text.length)).toMatchObject({ source, typed }));

it('offers what begins with the typed text before what contains it', () => {
  const offers = offersFor(askedAt('service:ca', 10), ['bocart', 'cart', 'catalog', 'users']);
  expect(offers.map((offer) => offer.label)).toEqual(['cart', 'catalog', 'bocart']);
});

it('puts the offer in place of the word and the cursor behind it', () => {
  const asked = askedAt('error span:get duration>1s', 14);
  expect(take('error span:get duration>1s', asked, { label: '', text: 'span:"get /x"', open: false })).toEqual({
    text: 'error span:"get /x" duration>1s',
    cursor: 20,
  });
});

it('keeps the list open after a key', () => {
  const [offer] = offersFor(askedAt('http.m', 6), ['http.method']);
  expect(take('http.m', askedAt('http.m', 6), offer!)).toEqual({ text: 'http.method=', cursor: 12 });
});
