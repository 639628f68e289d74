// OTLP's protobuf, written by hand here, byte by byte.
import { expect, it } from 'vitest';
import { readFile } from './formats';
import { readProtobuf } from './protobuf';

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))]);
const bytes = (field: number, content: number[]): number[] => [...varint(field * 8 + 2), ...varint(content.length), ...content];
const text = (field: number, value: string): number[] => bytes(field, [...new TextEncoder().encode(value)]);
const number = (field: number, value: number): number[] => [...varint(field * 8), ...varint(value)];
const fixed = (field: number, value: bigint): number[] => [...varint(field * 8 + 1), ...new Uint8Array(new BigUint64Array([value]).buffer)];
const pair = (field: number, key: string, value: number[]): number[] => bytes(field, [...text(1, key), ...bytes(2, value)]);
const buffer = (content: number[]): ArrayBuffer => new Uint8Array(content).buffer;

const NANOS = 1_700_000_000_123_456_000n;
const span = [
  ...bytes(1, Array.from({ length: 16 }, (_, i) => i + 1)),
  ...bytes(2, [0, 0, 0, 0, 0, 0, 0, 0xab]),
  ...text(5, 'get /größe'),
  ...number(6, 2),
  ...fixed(7, NANOS),
  ...fixed(8, NANOS + 5_000_000n),
  ...pair(9, 'http.status_code', number(3, 500)),
  ...pair(9, 'ratio', fixed(4, 0x3fe0000000000000n)),
  ...pair(9, 'list', bytes(5, [...bytes(1, text(1, 'a')), ...bytes(1, number(2, 1))])),
  ...bytes(11, [...fixed(1, NANOS + 1_000_000n), ...text(2, 'tried')]),
  ...bytes(15, [...text(2, 'no'), ...number(3, 2)]),
  ...number(16, 7),
];
const request = bytes(1, [...bytes(1, pair(1, 'service.name', text(1, 'web'))), ...bytes(2, [...bytes(1, text(1, 'scope')), ...bytes(2, span)])]);

it('reads a span', () => {
  const { format, spans } = readFile(buffer(request));
  expect(format).toBe('OTLP');
  expect(spans).toHaveLength(1);
  expect(spans[0]).toMatchObject({
    traceId: '0102030405060708090a0b0c0d0e0f10',
    id: '00000000000000ab',
    name: 'get /größe',
    kind: 'SERVER',
    timestamp: 1_700_000_000_123_456,
    duration: 5_000,
    localEndpoint: { serviceName: 'web' },
    tags: { 'http.status_code': '500', ratio: '0.5', list: '[a, true]', error: 'no' },
    annotations: [{ timestamp: 1_700_000_000_124_456, value: 'tried' }],
  });
});

it('reads messages behind their lengths', () => {
  const length = [0, 0, request.length >> 8, request.length & 255];
  expect(readFile(buffer([...length, ...request, ...length, ...request])).spans).toHaveLength(2);
});

it('says what is none, and never hangs or recurses for ever', () => {
  for (let end = 1; end < request.length; end++) expect(() => readProtobuf(buffer(request.slice(0, end)))).toThrow();
  let nested = text(1, 'deep');
  for (let i = 0; i < 40; i++) nested = bytes(5, bytes(1, nested));
  expect(() => readProtobuf(buffer(bytes(1, bytes(1, pair(1, 'k', nested)))))).toThrow(/no OTLP protobuf/);
  expect(() => readFile(buffer([0x89, 0x50, 0x4e, 0x47]))).toThrow(/neither/);
  expect(() => readFile(buffer([...new TextEncoder().encode('{"a"')]))).toThrow(/not JSON/);
});
