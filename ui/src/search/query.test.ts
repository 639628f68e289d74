// The query: text, address and API parameters say the same.
import { describe, expect, it } from 'vitest';
import { apiParams, asTraceId, parseText, readQuery, writeQuery, writeTerms, writeText } from './query';

const defaults = { lookback_ms: 900_000, limit: 100 };
const read = (query: string) => readQuery(new URLSearchParams(query), defaults);

describe('the text of the query bar', () => {
  it('is read word by word', () => {
    const { conditions, tokens } = parseText('service:cart span:"get /items" remote:db duration>200ms duration<2s http.method=GET error');
    expect(conditions).toEqual({
      service: 'cart',
      span: 'get /items',
      remote: 'db',
      min_us: 200_000,
      max_us: 2_000_000,
      tags: [{ key: 'http.method', value: 'GET' }, { key: 'error' }],
    });
    expect(tokens.map((token) => token.kind)).toEqual(['service', 'span', 'remote', 'duration', 'duration', 'tag', 'tag']);
    expect(tokens.every((token) => token.problem === undefined)).toBe(true);
  });

  it('comes back the same', () => {
    for (const text of [
      'service:cart duration>200ms',
      'span:"get /items" http.path="/a b" error',
      'sql="say \\"hi\\" \\\\"',
      'service:cart span:a remote:b duration>1500us duration<2s a=b c',
      'url=http://x/?q=1',
    ]) expect(writeText(parseText(text).conditions)).toBe(text);
  });

  it.each([
    ['duration>fast', 'duration'],
    ['service:', 'empty'],
    ['key=', 'empty'],
    ['service:a service:b', 'twice'],
    ['note="you and me"', 'and'],
    ['span:"open', 'quote'],
  ])('%s has a problem: %s', (text, problem) => expect(parseText(text).tokens.find((token) => token.problem)?.problem).toBe(problem));

  it('knows where each word stands', () => {
    const text = '  service:a   error';
    expect(parseText(text).tokens.map((token) => text.slice(token.start, token.end))).toEqual(['service:a', 'error']);
  });
});

describe('the address', () => {
  it('is empty for the plain search', () => expect(writeQuery(read(''), defaults).toString()).toBe(''));

  it("takes Zipkin's parameters and writes them back", () => {
    const query = 'serviceName=cart&spanName=get&remoteServiceName=db&annotationQuery=a%3Db+and+error&minDuration=1000&maxDuration=5000&lookback=1h&limit=20';
    expect(writeQuery(read(query), defaults).toString()).toBe(query);
  });

  it('takes "all" as no condition, and durations with units', () => {
    expect(read('serviceName=all&spanName=all&minDuration=10ms')).toMatchObject({ service: undefined, span: undefined, min_us: 10_000 });
  });

  it('keeps values with an equals sign whole', () => expect(read('annotationQuery=q%3Da%3Db').tags).toEqual([{ key: 'q', value: 'a=b' }]));

  it('refuses limits that make no sense', () => {
    expect(read('limit=0').limit).toBe(100);
    expect(read('limit=99999999').limit).toBe(10_000);
  });
});

it('asks the API with lookback in milliseconds and no end for "last"', () => {
  expect(apiParams(read('serviceName=cart&lookback=1h')).toString()).toBe('serviceName=cart&lookback=3600000&limit=100');
});

it('offers the query without each of its terms', () => {
  const terms = writeTerms(parseText('service:cart error a=b').conditions);
  expect(terms.map((term) => term.text)).toEqual(['service:cart', 'error', 'a=b']);
  expect(terms.map((term) => writeText(term.without))).toEqual(['error a=b', 'service:cart a=b', 'service:cart error']);
});

it('knows a trace id', () => {
  expect(asTraceId(' 463AC35C9F6413AD ')).toBe('463ac35c9f6413ad');
  expect(asTraceId('463ac35c9f6413ad48485a3953bb6124')).toBe('463ac35c9f6413ad48485a3953bb6124');
  expect(asTraceId('error')).toBeUndefined();
});
