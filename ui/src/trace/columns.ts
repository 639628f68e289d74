// The answer of `trace/{id}` (docs/page-api.md) as typed arrays. In: the bytes. Out: a `Trace` whose columns are views into them, and
// three columns computed once from those: parent row, errors before a row, longest name. No object is made per span.

export const FLAG_ERROR = 1;
export const FLAG_SHARED = 2;
export const FLAG_DEBUG = 4;
export const FLAG_ORPHAN = 8;
export const FLAG_NO_START = 16;
export const FLAG_NO_DURATION = 32;
export const NO_REMOTE = 0xffffffff;
export const KINDS = ['', 'internal', 'client', 'server', 'producer', 'consumer'] as const;

/** One trace, depth first; every array has `spanCount` entries unless said otherwise. Times are microseconds. */
export interface Trace {
  traceId: string;
  spanCount: number;
  /** The first start, since the epoch. */
  start_us: number;
  duration_us: number;
  services: string[];
  names: string[];
  missingParents: number;
  /** After `start_us`. */
  start: Float64Array;
  duration: Float64Array;
  subtree: Uint32Array;
  depth: Uint32Array;
  service: Uint32Array;
  name: Uint32Array;
  remote: Uint32Array;
  kind: Uint8Array;
  flags: Uint8Array;
  events: Uint32Array;
  /** The parent's row, or -1. */
  parent: Int32Array;
  /** `spanCount + 1` entries: how many errors stand above a row. */
  errorsBefore: Uint32Array;
  depth_max: number;
}

/** The bytes are not what docs/page-api.md says. */
export class ColumnError extends Error {}

const MAGIC = 0x31545754; // "TWT1", little-endian
const TYPES = { f64: Float64Array, u32: Uint32Array, u8: Uint8Array } as const;

interface Header {
  traceId: string;
  spanCount: number;
  start: number;
  duration: number;
  services: string[];
  names: string[];
  missingParents: number;
  columns: Record<string, { type: keyof typeof TYPES; offset: number }>;
}

export function parseTrace(bytes: ArrayBuffer): Trace {
  const { header, columnsAt } = readHeader(bytes);
  const count = header.spanCount;
  const column = <T extends keyof typeof TYPES>(name: string, type: T) => {
    const place = header.columns[name];
    if (!place || place.type !== type) throw new ColumnError(`column ${name} of type ${type} is missing`);
    const at = columnsAt + place.offset;
    const size = TYPES[type].BYTES_PER_ELEMENT;
    if (at % size !== 0 || at + count * size > bytes.byteLength) throw new ColumnError(`column ${name} lies outside of the answer`);
    return new TYPES[type](bytes, at, count) as InstanceType<(typeof TYPES)[T]>;
  };
  const depth = column('depth', 'u32');
  const flags = column('flags', 'u8');
  const trace: Trace = {
    traceId: header.traceId,
    spanCount: count,
    start_us: header.start,
    duration_us: header.duration,
    services: header.services,
    names: header.names,
    missingParents: header.missingParents,
    start: column('start', 'f64'),
    duration: column('duration', 'f64'),
    subtree: column('subtree', 'u32'),
    depth,
    service: column('service', 'u32'),
    name: column('name', 'u32'),
    remote: column('remote', 'u32'),
    kind: column('kind', 'u8'),
    flags,
    events: column('events', 'u32'),
    parent: parents(depth),
    errorsBefore: errorsBefore(flags),
    depth_max: depth.reduce((most, value) => Math.max(most, value), 0),
  };
  check(trace);
  return trace;
}

export function errorCount(trace: Trace): number {
  return trace.errorsBefore[trace.spanCount]!;
}

/** Errors below a row, itself not counted. */
export function errorsBelow(trace: Trace, row: number): number {
  return trace.errorsBefore[row + trace.subtree[row]!]! - trace.errorsBefore[row + 1]!;
}

export function serviceName(trace: Trace, row: number): string {
  return trace.services[trace.service[row]!]!;
}

export function spanName(trace: Trace, row: number): string {
  return trace.names[trace.name[row]!]!;
}

export function remoteName(trace: Trace, row: number): string {
  const remote = trace.remote[row]!;
  return remote === NO_REMOTE ? '' : trace.services[remote]!;
}

/** Time of a span that none of its direct children covers. */
export function selfTime(trace: Trace, row: number): number {
  const end = trace.start[row]! + trace.duration[row]!;
  let covered = 0;
  let until = trace.start[row]!;
  const last = row + trace.subtree[row]!;
  for (let child = row + 1; child < last; child += trace.subtree[child]!) {
    const from = Math.max(trace.start[child]!, until);
    const to = Math.min(trace.start[child]! + trace.duration[child]!, end);
    if (to <= from) continue;
    covered += to - from;
    until = to;
  }
  return trace.duration[row]! - covered;
}

function readHeader(bytes: ArrayBuffer): { header: Header; columnsAt: number } {
  if (bytes.byteLength < 8) throw new ColumnError('the answer is shorter than its preamble');
  const view = new DataView(bytes);
  if (view.getUint32(0, true) !== MAGIC) throw new ColumnError('the answer does not begin with TWT1');
  const length = view.getUint32(4, true);
  if (8 + length > bytes.byteLength) throw new ColumnError('the answer ends inside its header');
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length))) as Header;
  if (!Number.isInteger(header.spanCount) || header.spanCount < 1) throw new ColumnError('the trace has no spans');
  return { header, columnsAt: 8 + length };
}

/** Later code walks the arrays without looking back: what would lead it astray is refused here. */
function check(trace: Trace): void {
  const { spanCount, subtree, service, name, remote } = trace;
  for (let row = 0; row < spanCount; row++) {
    if (subtree[row]! < 1 || row + subtree[row]! > spanCount) throw new ColumnError(`subtree of row ${row} leaves the trace`);
    if (service[row]! >= trace.services.length || name[row]! >= trace.names.length) throw new ColumnError(`row ${row} names an unknown string`);
    if (remote[row]! !== NO_REMOTE && remote[row]! >= trace.services.length) throw new ColumnError(`row ${row} names an unknown service`);
  }
}

function parents(depth: Uint32Array): Int32Array {
  const parent = new Int32Array(depth.length);
  const last: number[] = [];
  for (let row = 0; row < depth.length; row++) {
    const level = depth[row]!;
    if (level > last.length) throw new ColumnError(`row ${row} is deeper than any parent above it`);
    parent[row] = level === 0 ? -1 : last[level - 1]!;
    last[level] = row;
    last.length = level + 1;
  }
  return parent;
}

function errorsBefore(flags: Uint8Array): Uint32Array {
  const before = new Uint32Array(flags.length + 1);
  for (let row = 0; row < flags.length; row++) before[row + 1] = before[row]! + (flags[row]! & FLAG_ERROR);
  return before;
}
