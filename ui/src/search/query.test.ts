// The search: address ⇄ query, Zipkin's words, words of the bar.
import { describe, expect, it } from 'vitest';
import { asTraceId, fromZipkin, hasTerm, isSimple, isZipkins, quoted, readQuery, tagTerm, term, toggleTerm, tokens, withoutEach, writeQuery } from './query';

const defaults = { lookback_ms: 900_000 };
const zipkins = (text: string) => fromZipkin(new URLSearchParams(text));

describe('Zipkin’s addresses', () => {
  it.each([
    ['serviceName=cart&spanName=get%20/x', 'service:cart name:"get /x"'],
    ['serviceName=all&spanName=all', ''],
    ['remoteServiceName=db&minDuration=1000&maxDuration=5000000', 'remote:db duration>=1ms duration<=5s'],
    ['annotationQuery=error and http.method=GET and finagle.retry', 'status:error http.method=GET has:finagle.retry'],
    ['annotationQuery=q%3Da%3Db', 'q="a=b"'],
    ['annotationQuery=name%3Dx', '"name"=x'],
  ])('%s', (theirs, ours) => expect(zipkins(theirs)).toBe(ours));

  it('are told from ours', () => {
    expect(isZipkins(new URLSearchParams('serviceName=a'))).toBe(true);
    expect(isZipkins(new URLSearchParams('q=service:a&serviceName=b'))).toBe(false);
    expect(isZipkins(new URLSearchParams('sort=longest'))).toBe(false);
  });
});

it('brings a search back from its address', () => {
  const query = { q: 'service:a "x y" or kind:server', time: { kind: 'between', start_ms: 1000, end_ms: 2000 } as const };
  expect(readQuery(writeQuery(query, defaults), defaults)).toEqual(query);
});

it('writes a plain address for the plain page', () => expect(writeQuery({ q: '', time: { kind: 'last', ms: 900_000 } }, defaults).toString()).toBe(''));

describe('tokens', () => {
  it('say what a word is', () => {
    const text = 'service:cart -http.status_code>=500 duration>200ms (has:a or "time out") "k k"="v v" x';
    expect(tokens(text).map(({ text: word, kind }) => `${kind} ${word}`)).toEqual([
      'field service:cart', 'tag -http.status_code>=500', 'duration duration>200ms', 'word (', 'field has:a', 'word or', 'text "time out"', 'word )', 'tag "k k"="v v"', 'text x',
    ]);
  });
  it('stand where they stand in the text', () => {
    const text = '  service:a   "b';
    expect(tokens(text).map(({ start, end }) => text.slice(start, end))).toEqual(['service:a', '"b']);
  });
});

it.each([['a', 'a'], ['get /x', '"get /x"'], ['a"b\\', '"a\\"b\\\\"'], ['or', '"or"'], ['', '""'], ['5*', '"5*"'], ['-a', '"-a"']])('quotes %s where it must', (text, expected) => expect(quoted(text)).toBe(expected));

it('quotes keys that are the language’s own', () => {
  expect(tagTerm('http.route', '/x')).toBe('http.route=/x');
  expect(tagTerm('name', 'x')).toBe('"name"=x');
  expect(term('service', 'a b')).toBe('service:"a b"');
});

it('adds a term and takes it out again', () => {
  expect(toggleTerm('', 'kind:server')).toBe('kind:server');
  expect(toggleTerm('service:a', 'kind:server')).toBe('service:a kind:server');
  expect(toggleTerm('service:a kind:server x', 'kind:server')).toBe('service:a x');
  expect(toggleTerm('a or b', 'kind:server')).toBe('(a or b) kind:server');
  expect(hasTerm('service:a kind:server', 'kind:server')).toBe(true);
});

it('drops each of the terms that all have to hold', () => {
  expect(withoutEach('service:cart "x y" a=b').map(({ without }) => without)).toEqual(['"x y" a=b', 'service:cart a=b', 'service:cart "x y"']);
  expect(withoutEach('a or b')).toEqual([]);
  expect(isSimple('not a')).toBe(false);
});

it('knows trace ids', () => {
  expect(asTraceId(' 463AC35C9F6413AD ')).toBe('463ac35c9f6413ad');
  expect(asTraceId('463ac35c')).toBeUndefined();
});
