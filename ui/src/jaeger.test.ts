// Jaeger's addresses.
import { expect, it } from 'vitest';
import { fromJaegerSearch } from './jaeger';
import { readQuery } from './search/query';

const read = (text: string) => readQuery(fromJaegerSearch(new URLSearchParams(text)), { lookback_ms: 900_000 });

it('service, operation, tags, durations', () => {
  const tags = encodeURIComponent('{"error":"true","http.status_code":"500"}');
  expect(read(`service=cart&operation=get%20/x&tags=${tags}&minDuration=1.2ms&limit=20`).q).toBe('service:cart name:"get /x" duration>=1200us status:error http.status_code=500');
  expect(read('service=cart&operation=all&tag=a:b').q).toBe('service:cart a=b');
});

it('the stretch the link was made for', () => {
  expect(read('start=1000000&end=2000000&lookback=custom').time).toEqual({ kind: 'between', start_ms: 1000, end_ms: 2000 });
  expect(read('lookback=1h').time).toEqual({ kind: 'last', ms: 3_600_000 });
});
