// What a dropped file may hold, recognised by its shape: Zipkin's JSON v1 and v2, Jaeger's, OTLP's (one document or one a line), OTLP's
// protobuf. In: the content. Out: spans of Zipkin's v2 JSON, which is what the page shows of a span.
import type { Endpoint, SpanJson } from '../api';
import { readProtobuf } from './protobuf';

export class FormatError extends Error {}

export type FormatName = 'Zipkin v1' | 'Zipkin v2' | 'Jaeger' | 'OTLP';

export interface Read {
  format: FormatName;
  spans: SpanJson[];
}

type Json = Record<string, unknown>;

const NOTHING_KNOWN = 'it is neither Zipkin’s, Jaeger’s nor OTLP’s JSON, nor OTLP’s protobuf';

export function readFile(content: ArrayBuffer): Read {
  const bytes = new Uint8Array(content);
  const first = bytes.find((byte) => byte > 0x20);
  const mayBeJson = first === 0x5b || first === 0x7b || bytes[0] === 0xef;
  // Protobuf may look like a line feed and a brace; JSON never is protobuf.
  if (bytes[0] !== 0x0a && bytes[0] !== 0) {
    if (!mayBeJson) throw new FormatError(NOTHING_KNOWN);
    return readSpans(new TextDecoder().decode(content));
  }
  try {
    return read(readProtobuf(content));
  } catch (error) {
    if (mayBeJson) return readSpans(new TextDecoder().decode(content));
    throw new FormatError((error as Error).message);
  }
}

export function readSpans(text: string): Read {
  return read(parseDocuments(text));
}

function read(documents: unknown[]): Read {
  const reads = documents.map(readDocument);
  const format = reads[0]!.format;
  return { format, spans: reads.flatMap((read) => read.spans) };
}

/** One JSON document, or one a line (as OTLP's file exporter writes them). */
function parseDocuments(text: string): unknown[] {
  try {
    return [JSON.parse(text) as unknown];
  } catch (error) {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    if (lines.length < 2) throw new FormatError(`it is not JSON: ${(error as Error).message}`);
    try {
      return lines.map((line) => JSON.parse(line) as unknown);
    } catch {
      throw new FormatError(`it is not JSON: ${(error as Error).message}`);
    }
  }
}

function readDocument(document: unknown): Read {
  if (Array.isArray(document)) return readZipkin(document.flat() as Json[]);
  if (!document || typeof document !== 'object') throw new FormatError('it holds no spans');
  const whole = document as Json;
  const otlp = whole.resourceSpans ? whole : (whole.result as Json | undefined);
  if (Array.isArray(otlp?.resourceSpans)) return { format: 'OTLP', spans: readOtlp(otlp.resourceSpans as Json[]) };
  const jaeger = Array.isArray(whole.data) ? (whole.data as Json[]) : whole.spans && whole.processes ? [whole] : undefined;
  if (jaeger) return { format: 'Jaeger', spans: jaeger.flatMap(readJaeger) };
  if (typeof whole.traceId === 'string' && typeof whole.id === 'string') return readZipkin([whole]);
  throw new FormatError(NOTHING_KNOWN);
}

function readZipkin(list: Json[]): Read {
  if (list.length === 0) throw new FormatError('it holds no spans');
  if (!list.every((span) => span && typeof span.traceId === 'string' && typeof span.id === 'string')) {
    throw new FormatError('it is a list, but not of spans: each needs a traceId and an id');
  }
  const old = list.some((span) => Array.isArray(span.binaryAnnotations) || (span.annotations as Json[] | undefined)?.some((a) => a.endpoint));
  if (old) return { format: 'Zipkin v1', spans: list.flatMap(fromZipkin1) };
  return { format: 'Zipkin v2', spans: list.map((span) => ({ ...(span as unknown as SpanJson), traceId: lower(span.traceId), id: padded(span.id), parentId: span.parentId ? padded(span.parentId) : undefined })) };
}

const CORE: Record<string, 'client' | 'server'> = { cs: 'client', cr: 'client', sr: 'server', ss: 'server' };

/** A v1 span may be both halves of a call: those become two spans that share the id. */
function fromZipkin1(span: Json): SpanJson[] {
  const annotations = (span.annotations as { timestamp: number; value: string; endpoint?: Endpoint }[] | undefined) ?? [];
  const binary = (span.binaryAnnotations as { key: string; value: unknown; endpoint?: Endpoint }[] | undefined) ?? [];
  const at = (value: string) => annotations.find((annotation) => annotation.value === value);
  const base = { traceId: lower(span.traceId), id: padded(span.id), parentId: span.parentId ? padded(span.parentId) : undefined, name: span.name as string, debug: span.debug === true || undefined };
  const address = (key: string) => binary.find((item) => item.key === key && typeof item.value === 'boolean')?.endpoint;
  const rest = (endpoint: Endpoint | undefined, all: boolean) => {
    const mine = (other: Endpoint | undefined) => all || other?.serviceName === endpoint?.serviceName;
    const tags = Object.fromEntries(binary.filter((item) => typeof item.value !== 'boolean' && mine(item.endpoint)).map((item) => [item.key, String(item.value)]));
    return { tags, annotations: annotations.filter((a) => !(a.value in CORE) && mine(a.endpoint)).map(({ timestamp, value }) => ({ timestamp, value })) };
  };
  const half = (from: string, to: string, kind: string, remote: Endpoint | undefined, both: boolean): SpanJson | undefined => {
    const [first, last] = [at(from), at(to)];
    if (!first && !last) return undefined;
    const endpoint = (first ?? last)!.endpoint;
    const own = both && kind === 'SERVER';
    const timestamp = (own ? undefined : (span.timestamp as number | undefined)) ?? first?.timestamp;
    const duration = (own ? undefined : (span.duration as number | undefined)) ?? (first && last ? last.timestamp - first.timestamp : undefined);
    return { ...base, kind, timestamp, duration, localEndpoint: endpoint, remoteEndpoint: remote, shared: own || undefined, ...rest(endpoint, !both) };
  };
  const both = annotations.some((a) => CORE[a.value] === 'client') && annotations.some((a) => CORE[a.value] === 'server');
  const halves = [half('cs', 'cr', 'CLIENT', address('sa'), both), half('sr', 'ss', 'SERVER', address('ca'), both)].filter((part) => part !== undefined);
  if (halves.length > 0) return halves;
  const endpoint = binary.find((item) => typeof item.value !== 'boolean' && item.endpoint)?.endpoint ?? annotations.find((a) => a.endpoint)?.endpoint;
  return [{ ...base, timestamp: span.timestamp as number, duration: span.duration as number, localEndpoint: endpoint, remoteEndpoint: address('sa'), ...rest(endpoint, true) }];
}

interface JaegerSpan {
  traceID: string;
  spanID: string;
  parentSpanID?: string;
  operationName: string;
  references?: { refType: string; spanID: string; traceID: string }[];
  startTime: number;
  duration: number;
  tags?: { key: string; value: unknown }[];
  logs?: { timestamp: number; fields: { key: string; value: unknown }[] }[];
  processID: string;
}

function readJaeger(trace: Json): SpanJson[] {
  const processes = (trace.processes ?? {}) as Record<string, { serviceName: string; tags?: { key: string; value: unknown }[] }>;
  return ((trace.spans ?? []) as JaegerSpan[]).map((span) => {
    const tags = Object.fromEntries([...(processes[span.processID]?.tags ?? []), ...(span.tags ?? [])].map(({ key, value }) => [key, textOf(value)]));
    const parent = span.references?.find((reference) => reference.traceID === span.traceID)?.spanID ?? span.parentSpanID;
    const kind = tags['span.kind']?.toUpperCase();
    if (tags.error === 'false') delete tags.error;
    return {
      traceId: lower(span.traceID),
      id: padded(span.spanID),
      parentId: parent ? padded(parent) : undefined,
      name: span.operationName,
      kind: kind && kind !== 'INTERNAL' ? kind : undefined,
      timestamp: span.startTime,
      duration: span.duration,
      localEndpoint: { serviceName: processes[span.processID]?.serviceName ?? '' },
      remoteEndpoint: tags['peer.service'] ? { serviceName: tags['peer.service'] } : undefined,
      tags,
      annotations: span.logs?.map((log) => ({ timestamp: log.timestamp, value: logText(log.fields) })),
    };
  });
}

/** An event's name alone; with more fields, all of them. */
function logText(fields: { key: string; value: unknown }[]): string {
  if (fields.length === 1 && (fields[0]!.key === 'event' || fields[0]!.key === 'message')) return textOf(fields[0]!.value);
  return fields.map(({ key, value }) => `${key}=${textOf(value)}`).join(' ');
}

const OTLP_KINDS = [undefined, undefined, 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const STATUS_ERROR = [2, 'STATUS_CODE_ERROR'];

function readOtlp(resources: Json[]): SpanJson[] {
  return resources.flatMap((resource) => {
    const about = attributes((resource.resource as Json | undefined)?.attributes);
    const scopes = (resource.scopeSpans ?? resource.instrumentationLibrarySpans ?? []) as Json[];
    return scopes.flatMap((scope) => ((scope.spans ?? []) as Json[]).map((span) => fromOtlp(span, about)));
  });
}

function fromOtlp(span: Json, about: Record<string, string>): SpanJson {
  const tags = { ...about, ...attributes(span.attributes) };
  const status = span.status as { code?: number | string; message?: string } | undefined;
  if (status && STATUS_ERROR.includes(status.code as never) && !('error' in tags)) tags.error = status.message ?? 'true';
  const start = micros(span.startTimeUnixNano);
  const remote = tags['peer.service'] ?? tags['db.system'] ?? tags['messaging.system'];
  const kind = typeof span.kind === 'number' ? OTLP_KINDS[span.kind] : String(span.kind ?? '').replace('SPAN_KIND_', '');
  return {
    traceId: hexId(span.traceId),
    id: hexId(span.spanId),
    parentId: span.parentSpanId ? hexId(span.parentSpanId) : undefined,
    name: span.name as string,
    kind: kind === 'INTERNAL' || kind === 'UNSPECIFIED' || kind === '' ? undefined : kind,
    timestamp: start,
    duration: Math.max(micros(span.endTimeUnixNano) - start, 0),
    localEndpoint: { serviceName: about['service.name'] ?? '' },
    remoteEndpoint: remote && kind !== 'SERVER' ? { serviceName: remote } : undefined,
    tags,
    annotations: ((span.events ?? []) as Json[]).map((event) => {
      const more = attributes(event.attributes);
      return { timestamp: micros(event.timeUnixNano), value: Object.keys(more).length > 0 ? `${event.name as string} ${JSON.stringify(more)}` : (event.name as string) };
    }),
  };
}

function attributes(list: unknown): Record<string, string> {
  return Object.fromEntries(((list ?? []) as { key: string; value?: Json }[]).map(({ key, value }) => [key, otlpValue(value)]));
}

function otlpValue(value: Json | undefined): string {
  if (!value) return '';
  if (value.arrayValue) return `[${(((value.arrayValue as Json).values ?? []) as Json[]).map(otlpValue).join(', ')}]`;
  return textOf(Object.values(value)[0]);
}

/** Hexadecimal, or base64 as some protobuf libraries write bytes. */
function hexId(id: unknown): string {
  const text = String(id ?? '');
  if (/^[0-9a-f]*$/i.test(text) && text.length % 16 === 0) return text.toLowerCase();
  try {
    return [...atob(text)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('');
  } catch {
    return text.toLowerCase();
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value) ?? '');
const micros = (nanos: unknown): number => Math.round(Number(nanos ?? 0) / 1000);
const lower = (id: unknown): string => String(id).toLowerCase();
const padded = (id: unknown): string => lower(id).padStart(16, '0');
