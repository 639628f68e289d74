// A trace for tests, written down as rows: depth, start, duration, and what else matters. Encoded as docs/page-api.md says.
import { parseTrace, type Trace } from './columns';

export interface Row {
  depth: number;
  start: number;
  duration: number;
  service?: string;
  name?: string;
  flags?: number;
}

/** `narrow`: numbers in the smallest type that holds them, times in thousandths, as the server writes them. */
export function encodeRows(rows: readonly Row[], narrow = false): ArrayBuffer {
  const services = [...new Set(rows.map((row) => row.service ?? 'a'))];
  const names = [...new Set(rows.map((row) => row.name ?? 'op'))];
  const subtree = rows.map((row, i) => {
    const end = rows.findIndex((other, j) => j > i && other.depth <= row.depth);
    return (end < 0 ? rows.length : end) - i;
  });
  const columns: Record<string, Float64Array | Uint32Array | Uint16Array | Uint8Array> = {
    start: narrow ? Uint32Array.from(rows, (row) => row.start * 1000) : Float64Array.from(rows, (row) => row.start),
    duration: narrow ? Uint32Array.from(rows, (row) => row.duration * 1000) : Float64Array.from(rows, (row) => row.duration),
    subtree: Uint32Array.from(subtree),
    depth: Uint32Array.from(rows, (row) => row.depth),
    service: Uint32Array.from(rows, (row) => services.indexOf(row.service ?? 'a')),
    name: Uint32Array.from(rows, (row) => names.indexOf(row.name ?? 'op')),
    remote: Uint32Array.from(rows, () => 0xffffffff),
    kind: Uint8Array.from(rows, () => 0),
    flags: Uint8Array.from(rows, (row) => row.flags ?? 0),
    events: Uint32Array.from(rows, () => 0),
  };
  if (narrow) {
    for (const name of ['subtree', 'depth', 'service', 'events']) columns[name] = Uint8Array.from(columns[name]!);
    for (const name of ['name', 'remote']) columns[name] = Uint16Array.from(columns[name]!);
  }
  const places: Record<string, { type: string; offset: number; divisor?: number }> = {};
  let size = 0;
  for (const [name, values] of Object.entries(columns)) {
    places[name] = { type: { 8: 'f64', 4: 'u32', 2: 'u16', 1: 'u8' }[values.BYTES_PER_ELEMENT]!, offset: size };
    if (narrow && (name === 'start' || name === 'duration')) places[name].divisor = 1000;
    size += Math.ceil(values.byteLength / 8) * 8;
  }
  const duration = Math.max(0, ...rows.map((row) => row.start + row.duration));
  const header = { traceId: '1'.padStart(16, '0'), spanCount: rows.length, start: 1e15, duration, services, names, missingParents: 0, columns: places };
  let json = new TextEncoder().encode(JSON.stringify(header));
  json = new TextEncoder().encode(JSON.stringify(header) + ' '.repeat((8 - (json.length % 8)) % 8));
  const bytes = new Uint8Array(8 + json.length + size);
  bytes.set(new TextEncoder().encode('TWT1'));
  new DataView(bytes.buffer).setUint32(4, json.length, true);
  bytes.set(json, 8);
  for (const [name, values] of Object.entries(columns)) bytes.set(new Uint8Array(values.buffer), 8 + json.length + places[name]!.offset);
  return bytes.buffer;
}

export function traceOf(rows: readonly Row[]): Trace {
  return parseTrace(encodeRows(rows));
}

/** root → (a → (b, c), d), the error in c. */
export const SMALL: readonly Row[] = [
  { depth: 0, start: 0, duration: 100, service: 'web', name: 'get /' },
  { depth: 1, start: 10, duration: 40, service: 'cart', name: 'items' },
  { depth: 2, start: 12, duration: 10, service: 'cart', name: 'select' },
  { depth: 2, start: 20, duration: 25, service: 'db', name: 'select', flags: 1 },
  { depth: 1, start: 60, duration: 30, service: 'mail', name: 'send' },
];
