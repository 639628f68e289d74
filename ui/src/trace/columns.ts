// The answer of `trace/{id}` (docs/page-api.md) as typed arrays. In: the bytes. Out: a `Trace` whose columns are views into them, and
// what is computed from those once: parents, errors before a row, self times, the critical path, groups of repeated siblings. Runs in
// the worker. No object is made per span, and nothing recurses.

import { criticalPath, type CriticalPath } from './critical';
import { FLAG_ERROR, NO_REMOTE } from './flags';
import { groupSiblings, type Groups } from './groups';

export * from './flags';

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
  /** Time of a span that none of its direct children covers. */
  self: Float64Array;
  critical: CriticalPath;
  groups: Groups;
  /** 1 where a row leads to one of the first errors or to the critical path: such rows stay open when the rest is folded. */
  leading: Uint8Array;
  /** Events, by row and time; `eventTime` is microseconds after `start_us`, `eventText` an index into `eventTexts`. */
  eventCount: number;
  eventRow: Uint32Array;
  eventTime: Float64Array;
  eventText: Uint32Array;
  eventTexts: string[];
}

/** The bytes are not what docs/page-api.md says. */
export class ColumnError extends Error {}

const MAGIC = 0x31545754; // "TWT1", little-endian
const TYPES = { f64: Float64Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array } as const;
type Wanted = 'f64' | 'u32' | 'u8';
/** What a column may be written as, by what it is here. */
const HOLDS: Record<Wanted, readonly (keyof typeof TYPES)[]> = { f64: ['f64', 'u32'], u32: ['u32', 'u16', 'u8'], u8: ['u8'] };

interface Header {
  traceId: string;
  spanCount: number;
  start: number;
  duration: number;
  services: string[];
  names: string[];
  missingParents: number;
  eventCount?: number;
  eventTexts?: string[];
  columns: Record<string, { type: keyof typeof TYPES; offset: number; divisor?: number }>;
}

export function parseTrace(bytes: ArrayBuffer): Trace {
  const { header, columnsAt } = readHeader(bytes);
  const count = header.spanCount;
  const events = header.eventCount ?? 0;
  const column = <T extends Wanted>(name: string, type: T, length = count) => {
    if (length === 0) return new TYPES[type](0) as InstanceType<(typeof TYPES)[T]>;
    const place = header.columns[name];
    if (!place || !HOLDS[type].includes(place.type)) throw new ColumnError(`column ${name} of type ${type} is missing`);
    const at = columnsAt + place.offset;
    const size = TYPES[place.type].BYTES_PER_ELEMENT;
    if (at % size !== 0 || at + length * size > bytes.byteLength) throw new ColumnError(`column ${name} lies outside of the answer`);
    const stored = new TYPES[place.type](bytes, at, length);
    return (place.type === type && !place.divisor ? stored : widened(stored, type, name, place.divisor)) as InstanceType<(typeof TYPES)[T]>;
  };
  const depth = column('depth', 'u32');
  const flags = column('flags', 'u8');
  const columns = {
    spanCount: count,
    services: header.services,
    names: header.names,
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
    eventCount: events,
    eventRow: column('eventRow', 'u32', events),
    eventTime: column('eventTime', 'f64', events),
    eventText: column('eventText', 'u32', events),
    eventTexts: header.eventTexts ?? [],
  };
  check(columns);
  const parent = parents(depth);
  const errors = errorsBefore(flags);
  const critical = criticalPath(columns);
  return {
    ...columns,
    traceId: header.traceId,
    start_us: header.start,
    duration_us: header.duration,
    missingParents: header.missingParents,
    parent,
    errorsBefore: errors,
    depth_max: depth.reduce((most, value) => Math.max(most, value), 0),
    self: selfTimes(columns),
    critical,
    groups: groupSiblings({ ...columns, errorsBefore: errors }),
    leading: leading(flags, columns.subtree, parent, critical),
  };
}

/** A column as wide as the page works with it: code that meets one kind of array only is the faster one. */
function widened(stored: Float64Array | Uint32Array | Uint16Array | Uint8Array, type: Wanted, name: string, divisor = 1): Float64Array | Uint32Array | Uint8Array {
  const values = new TYPES[type](stored);
  if (divisor !== 1) for (let i = 0; i < values.length; i++) values[i] = values[i]! / divisor;
  if (name === 'remote') {
    const none = 2 ** (8 * stored.BYTES_PER_ELEMENT) - 1;
    for (let i = 0; i < values.length; i++) if (values[i] === none) values[i] = NO_REMOTE;
  }
  return values;
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

function selfTimes({ spanCount, start, duration, subtree }: Pick<Trace, 'spanCount' | 'start' | 'duration' | 'subtree'>): Float64Array {
  const self = new Float64Array(spanCount);
  for (let row = 0; row < spanCount; row++) {
    const end = start[row]! + duration[row]!;
    const last = row + subtree[row]!;
    let covered = 0;
    let until = start[row]!;
    for (let child = row + 1; child < last; child += subtree[child]!) {
      const from = Math.max(start[child]!, until);
      const to = Math.min(start[child]! + duration[child]!, end);
      if (to <= from) continue;
      covered += to - from;
      until = to;
    }
    self[row] = duration[row]! - covered;
  }
  return self;
}

/** So many lines open by themselves for the critical path, and for errors: beyond, the first screen would be no overview. */
const LEADING_LINES_MAX = 400;

function leading(flags: Uint8Array, subtree: Uint32Array, parent: Int32Array, critical: CriticalPath): Uint8Array {
  const opened = new Uint8Array(flags.length);
  let budget = 0;
  const open = (row: number) => {
    const way: number[] = [];
    let lines = 0;
    for (let above = parent[row]!; above >= 0 && opened[above] === 0; above = parent[above]!) {
      way.push(above);
      // Whoever is opened shows all its children.
      for (let child = above + 1; child < above + subtree[above]! && lines <= budget; child += subtree[child]!) lines++;
    }
    if (lines > budget) return;
    budget -= lines;
    for (const above of way) opened[above] = 1;
  };
  budget = LEADING_LINES_MAX;
  // The path's heaviest spans first: what took long is worth a line.
  const heavy = [...new Set(critical.row)].sort((a, b) => critical.share[b]! - critical.share[a]!);
  for (const row of heavy.slice(0, LEADING_LINES_MAX)) open(row);
  budget = LEADING_LINES_MAX;
  let tried = 0;
  for (let row = 0; row < flags.length && tried < LEADING_LINES_MAX; row++) {
    if ((flags[row]! & FLAG_ERROR) === 0) continue;
    tried++;
    open(row);
  }
  return opened;
}

/** Index of a row's first event. */
export function eventsOf(trace: Trace, row: number): number {
  let low = 0;
  let high = trace.eventCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (trace.eventRow[middle]! < row) low = middle + 1;
    else high = middle;
  }
  return low;
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
function check(trace: Pick<Trace, 'spanCount' | 'subtree' | 'service' | 'name' | 'remote' | 'services' | 'names' | 'eventCount' | 'eventRow' | 'eventText' | 'eventTexts'>): void {
  const { spanCount, subtree, service, name, remote } = trace;
  for (let i = 0; i < trace.eventCount; i++) {
    if (trace.eventRow[i]! >= spanCount || trace.eventText[i]! >= trace.eventTexts.length) throw new ColumnError(`event ${i} names no row or no text`);
  }
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
