// OTLP's protobuf. In: the bytes of an ExportTraceServiceRequest or TracesData, or of many, each behind its length in four bytes, as the
// collector's file exporter writes them. Out: what the same would be as OTLP's JSON (opentelemetry/proto/trace/v1/trace.proto).

type Kind = 'text' | 'hex' | 'bytes' | 'int' | 'nanos' | 'double' | 'bool' | (() => Message);
interface Field {
  name: string;
  kind: Kind;
  many?: boolean;
}
type Message = Record<number, Field>;
type Json = Record<string, unknown>;

const one = (name: string, kind: Kind): Field => ({ name, kind });
const many = (name: string, kind: Kind): Field => ({ name, kind, many: true });

const VALUE: Message = { 1: one('stringValue', 'text'), 2: one('boolValue', 'bool'), 3: one('intValue', 'int'), 4: one('doubleValue', 'double'), 5: one('arrayValue', () => ARRAY), 6: one('kvlistValue', () => LIST), 7: one('bytesValue', 'bytes') };
const ARRAY: Message = { 1: many('values', () => VALUE) };
const PAIR: Message = { 1: one('key', 'text'), 2: one('value', () => VALUE) };
const LIST: Message = { 1: many('values', () => PAIR) };
const EVENT: Message = { 1: one('timeUnixNano', 'nanos'), 2: one('name', 'text'), 3: many('attributes', () => PAIR) };
const STATUS: Message = { 2: one('message', 'text'), 3: one('code', 'int') };
const SPAN: Message = {
  1: one('traceId', 'hex'),
  2: one('spanId', 'hex'),
  4: one('parentSpanId', 'hex'),
  5: one('name', 'text'),
  6: one('kind', 'int'),
  7: one('startTimeUnixNano', 'nanos'),
  8: one('endTimeUnixNano', 'nanos'),
  9: many('attributes', () => PAIR),
  11: many('events', () => EVENT),
  15: one('status', () => STATUS),
};
const SCOPE_SPANS: Message = { 2: many('spans', () => SPAN) };
const RESOURCE: Message = { 1: many('attributes', () => PAIR) };
const RESOURCE_SPANS: Message = { 1: one('resource', () => RESOURCE), 2: many('scopeSpans', () => SCOPE_SPANS), 1000: many('scopeSpans', () => SCOPE_SPANS) };
const REQUEST: Message = { 1: many('resourceSpans', () => RESOURCE_SPANS) };

/** Values within values; deeper ones are no telemetry. */
const DEPTH_MAX = 32;
const BROKEN = 'it is no OTLP protobuf: it ends early or holds what cannot be';

export function readProtobuf(content: ArrayBuffer): Json[] {
  const bytes = new Uint8Array(content);
  // A message of OTLP begins with field 1, of bytes; a length in four bytes of less than 16 MB begins with zero.
  if (bytes[0] === 0x0a) return [message(bytes, REQUEST, 0)];
  const documents: Json[] = [];
  const view = new DataView(content);
  for (let at = 0; at < bytes.length; ) {
    const length = at + 4 <= bytes.length ? view.getUint32(at) : 0;
    if (length === 0 || at + 4 + length > bytes.length) throw new Error(BROKEN);
    documents.push(message(bytes.subarray(at + 4, at + 4 + length), REQUEST, 0));
    at += 4 + length;
  }
  return documents;
}

function message(bytes: Uint8Array, fields: Message, depth: number): Json {
  if (depth > DEPTH_MAX) throw new Error(BROKEN);
  const reader = new Reader(bytes);
  const found: Json = {};
  while (!reader.atEnd) {
    const tag = Number(reader.varint());
    const field = fields[tag >>> 3];
    const raw = reader.value(tag & 7);
    if (!field) continue;
    const value = valueOf(raw, field.kind, depth);
    if (value === undefined) continue;
    if (field.many) ((found[field.name] ??= []) as unknown[]).push(value);
    else found[field.name] = value;
  }
  return found;
}

/** Undefined where the bytes are not of the kind: such a field counts as unknown, as protobuf wants it. */
function valueOf(raw: bigint | Uint8Array, kind: Kind, depth: number): unknown {
  if (raw instanceof Uint8Array) {
    if (typeof kind === 'function') return message(raw, kind(), depth + 1);
    if (kind === 'text') return new TextDecoder().decode(raw);
    if (kind === 'hex') return Array.from(raw, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return kind === 'bytes' ? btoa(String.fromCharCode(...raw)) : undefined;
  }
  if (kind === 'bool') return raw !== 0n;
  if (kind === 'nanos') return raw.toString();
  if (kind === 'double') return new Float64Array(new BigUint64Array([raw]).buffer)[0];
  if (kind !== 'int') return undefined;
  const signed = BigInt.asIntN(64, raw);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed.toString();
}

class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Error(BROKEN);
  }

  /** What is behind a tag of this wire type. */
  value(type: number): bigint | Uint8Array {
    if (type === 0) return this.varint();
    if (type === 1) return this.view.getBigUint64(this.skip(8), true);
    if (type === 5) return BigInt(this.view.getUint32(this.skip(4), true));
    if (type !== 2) throw new Error(BROKEN);
    const length = Number(this.varint());
    const from = this.skip(length);
    return this.bytes.subarray(from, from + length);
  }

  private skip(length: number): number {
    const from = this.at;
    this.at += length;
    if (this.at > this.bytes.length) throw new Error(BROKEN);
    return from;
  }
}
