// Completion: what is asked for at the cursor, and what an offer makes of the text.
import { expect, it } from 'vitest';
import { askedAt, offersFor, take } from './completion';

const at = (text: string) => {
  const { source, key, typed, service } = askedAt(text, text.length);
  return { source, key, typed, service };
};

it.each([
  ['', { source: 'keys', key: '', typed: '', service: '' }],
  ['http.me', { source: 'keys', key: '', typed: 'http.me', service: '' }],
  ['-http.me', { source: 'keys', key: '', typed: 'http.me', service: '' }],
  ['service:ca', { source: 'values', key: 'service', typed: 'ca', service: '' }],
  ['service:cart name:"get', { source: 'values', key: 'name', typed: 'get', service: 'cart' }],
  ['operation:x', { source: 'values', key: 'name', typed: 'x', service: '' }],
  ['http.method=G', { source: 'values', key: 'http.method', typed: 'G', service: '' }],
  ['"my key"="v', { source: 'values', key: 'my key', typed: 'v', service: '' }],
  ['kind:se', { source: 'fixed', key: 'kind', typed: 'se', service: '' }],
  ['has:db', { source: 'keys', key: 'has', typed: 'db', service: '' }],
  ['duration>20', { source: 'none', key: '', typed: 'duration>20', service: '' }],
  ['(service:a', { source: 'values', key: 'service', typed: 'a', service: '' }],
])('%s', (text, expected) => expect(at(text)).toEqual(expected));

it('offers what begins with the word first', () => {
  expect(offersFor(askedAt('service:b', 9), ['abc', 'b', 'bcd']).map(({ label }) => label)).toEqual(['b', 'bcd', 'abc']);
});

it('writes values quoted where they must be', () => {
  const text = 'name:get';
  const asked = askedAt(text, text.length);
  const [offer] = offersFor(asked, ['get /x']);
  expect(take(text, asked, offer!)).toEqual({ text: 'name:"get /x" ', cursor: 14 });
});

it('goes on after a key', () => {
  const asked = askedAt('-http', 5);
  const [offer] = offersFor(asked, ['http.method']);
  expect(take('-http', asked, offer!)).toEqual({ text: '-http.method=', cursor: 13 });
});
