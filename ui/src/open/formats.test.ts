// Files: each format becomes the same trace, and what is none says why.
import { expect, it } from 'vitest';
import { parseTrace } from '../trace/columns';
import { FLAG_ERROR, FLAG_ORPHAN, FLAG_SHARED } from '../trace/flags';
import { FormatError, readSpans } from './formats';
import { layOutSpans } from './layout';
import { OpenedFiles } from './read';

const T = '000000000000000000000000000000ab';
const us = 1_700_000_000_000_000;

const zipkin2 = [
  { traceId: T, id: '1', name: 'get /', kind: 'CLIENT', timestamp: us, duration: 100, localEndpoint: { serviceName: 'web' } },
  { traceId: T, id: '1', kind: 'SERVER', shared: true, name: 'get /', timestamp: us + 10, duration: 80, localEndpoint: { serviceName: 'cart' }, tags: { error: 'x' } },
  { traceId: T, id: '2', parentId: '1', name: 'select', timestamp: us + 20, duration: 50, localEndpoint: { serviceName: 'cart' }, annotations: [{ timestamp: us + 30, value: 'retry' }] },
];
const endpoint = (serviceName: string) => ({ serviceName, ipv4: '1.2.3.4' });
const zipkin1 = [
  {
    traceId: T, id: '1', name: 'get /', timestamp: us, duration: 100,
    annotations: [['cs', 0, 'web'], ['sr', 10, 'cart'], ['ss', 90, 'cart'], ['cr', 100, 'web']].map(([value, at, of]) => ({ value, timestamp: us + (at as number), endpoint: endpoint(of as string) })),
    binaryAnnotations: [{ key: 'error', value: 'x', endpoint: endpoint('cart') }],
  },
  { traceId: T, id: '2', parentId: '1', name: 'select', timestamp: us + 20, duration: 50, annotations: [{ timestamp: us + 30, value: 'retry', endpoint: endpoint('cart') }], binaryAnnotations: [{ key: 'lc', value: '', endpoint: endpoint('cart') }] },
];
const jaeger = {
  data: [{
    traceID: T,
    processes: { p1: { serviceName: 'web' }, p2: { serviceName: 'cart' } },
    spans: [
      { traceID: T, spanID: 'a1', operationName: 'get /', startTime: us, duration: 100, processID: 'p1', tags: [{ key: 'span.kind', value: 'client' }] },
      { traceID: T, spanID: 'a2', operationName: 'get /', references: [{ refType: 'CHILD_OF', traceID: T, spanID: 'a1' }], startTime: us + 10, duration: 80, processID: 'p2', tags: [{ key: 'error', value: true }] },
      { traceID: T, spanID: 'a3', operationName: 'select', references: [{ refType: 'CHILD_OF', traceID: T, spanID: 'a2' }], startTime: us + 20, duration: 50, processID: 'p2', logs: [{ timestamp: us + 30, fields: [{ key: 'event', value: 'retry' }] }] },
    ],
  }],
};
const ns = (offset: number) => `${us + offset}000`;
const otlp = {
  resourceSpans: [
    { resource: { attributes: [{ key: 'service.name', value: { stringValue: 'web' } }] }, scopeSpans: [{ spans: [{ traceId: T, spanId: '00000000000000a1', name: 'get /', kind: 3, startTimeUnixNano: ns(0), endTimeUnixNano: ns(100) }] }] },
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'cart' } }] },
      scopeSpans: [{
        spans: [
          { traceId: T, spanId: '00000000000000a2', parentSpanId: '00000000000000a1', name: 'get /', kind: 2, startTimeUnixNano: ns(10), endTimeUnixNano: ns(90), status: { code: 2, message: 'x' } },
          { traceId: T, spanId: '00000000000000a3', parentSpanId: '00000000000000a2', name: 'select', startTimeUnixNano: ns(20), endTimeUnixNano: ns(70), events: [{ timeUnixNano: ns(30), name: 'retry' }] },
        ],
      }],
    },
  ],
};

it.each([
  ['Zipkin v2', JSON.stringify(zipkin2)],
  ['Zipkin v1', JSON.stringify(zipkin1)],
  ['Jaeger', JSON.stringify(jaeger)],
  ['OTLP', JSON.stringify(otlp)],
  ['OTLP', otlp.resourceSpans.map((one) => JSON.stringify({ resourceSpans: [one] })).join('\n')],
])('%s becomes the trace', (format, text) => {
  const read = readSpans(text);
  expect(read.format).toBe(format);
  const trace = parseTrace(layOutSpans(T, read.spans).bytes);
  expect([...trace.depth]).toEqual([0, 1, 2]);
  expect([...trace.service].map((at) => trace.services[at])).toEqual(['web', 'cart', 'cart']);
  expect([...trace.name].map((at) => trace.names[at])).toEqual(['get /', 'get /', 'select']);
  expect([...trace.start]).toEqual([0, 10, 20]);
  expect([...trace.duration]).toEqual([100, 80, 50]);
  expect(trace.flags[1]! & FLAG_ERROR).toBe(FLAG_ERROR);
  expect([trace.eventCount, trace.eventTime[0], trace.eventTexts[trace.eventText[0]!]]).toEqual([1, 30, 'retry']);
});

it('marks the server’s half of a shared span, and orphans', () => {
  expect(parseTrace(layOutSpans(T, readSpans(JSON.stringify(zipkin2)).spans).bytes).flags[1]! & FLAG_SHARED).toBe(FLAG_SHARED);
  expect(parseTrace(layOutSpans(T, [{ traceId: T, id: '5', parentId: '4' }]).bytes).flags[0]! & FLAG_ORPHAN).toBe(FLAG_ORPHAN);
});

it('loses no span of a loop', () => {
  const spans = [['1', '2'], ['2', '1'], ['3', '2']].map(([id, parentId]) => ({ traceId: T, id: id!, parentId: parentId! }));
  expect(parseTrace(layOutSpans(T, spans).bytes).spanCount).toBe(3);
});

it.each([['{', /not JSON/], ['[]', /no spans/], ['[1]', /not of spans/], ['{"a":1}', /neither/]])('says why %s is none', (text, why) => {
  expect(() => readSpans(text)).toThrow(FormatError);
  expect(() => readSpans(text)).toThrow(why);
});

it('keeps several files, and answers a span by its row and its row by its id', () => {
  const files = new OpenedFiles();
  const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).buffer as ArrayBuffer;
  files.open('a.json', bytes(zipkin2));
  const opened = files.open('b.json', bytes([{ traceId: 'ff', id: '9', name: 'other', timestamp: us }]));
  expect(opened.traces.map(({ traceId, spanCount, errorCount }) => [traceId, spanCount, errorCount])).toEqual([[T, 3, 1], ['ff', 1, 0]]);
  expect(files.span(T, 2).name).toBe('select');
  expect(files.row(T, '0000000000000002')).toBe(2);
});
