// Spans of one trace → the columns of docs/page-api.md, as the server lays them out: copies of a span merged, the server's half of a
// shared span below the client's, orphans and one span of each loop at the top, depth first, siblings by start. Nothing recurses.
import type { SpanJson } from '../api';
import { FLAG_DEBUG, FLAG_ERROR, FLAG_NO_DURATION, FLAG_NO_START, FLAG_ORPHAN, FLAG_SHARED, KINDS, NO_REMOTE } from '../trace/flags';

export interface LaidOut {
  /** The merged spans, in the order of the rows. */
  spans: SpanJson[];
  bytes: ArrayBuffer;
}

export function layOutSpans(traceId: string, pieces: readonly SpanJson[]): LaidOut {
  const spans = merge(pieces);
  const parent = parentsOf(spans);
  const { order, depth, orphans } = walk(spans, parent);
  return { spans: order.map((node) => spans[node]!), bytes: encode(traceId, spans, parent, order, depth, orphans) };
}

/** Copies of a span: the same id, the same half, the same service (or none said). */
function merge(pieces: readonly SpanJson[]): SpanJson[] {
  const merged = new Map<string, SpanJson>();
  for (const piece of pieces) {
    const key = `${piece.id} ${piece.shared ? 'shared' : ''} ${piece.localEndpoint?.serviceName ?? ''}`;
    const known = merged.get(key);
    merged.set(key, known ? together(known, piece) : { ...piece });
  }
  const seen = new Map<string, SpanJson>();
  for (const span of merged.values()) {
    const other = seen.get(span.id);
    // Some instrumentation does not say that the server's half shares its id.
    if (other && other.kind === 'CLIENT' && span.kind === 'SERVER') span.shared = true;
    else if (other && other.kind === 'SERVER' && span.kind === 'CLIENT') other.shared = true;
    else if (!other) seen.set(span.id, span);
  }
  return [...merged.values()];
}

function together(a: SpanJson, b: SpanJson): SpanJson {
  const start = Math.min(a.timestamp ?? Infinity, b.timestamp ?? Infinity);
  const end = Math.max((a.timestamp ?? 0) + (a.duration ?? 0), (b.timestamp ?? 0) + (b.duration ?? 0));
  const same = a.timestamp === b.timestamp || a.timestamp === undefined || b.timestamp === undefined;
  return {
    ...b,
    ...a,
    name: a.name || b.name,
    timestamp: Number.isFinite(start) ? start : undefined,
    duration: same ? Math.max(a.duration ?? 0, b.duration ?? 0) || undefined : end - start,
    tags: { ...b.tags, ...a.tags },
    annotations: [...(a.annotations ?? []), ...(b.annotations ?? [])].filter((one, i, all) => all.findIndex((other) => other.timestamp === one.timestamp && other.value === one.value) === i),
  };
}

function parentsOf(spans: readonly SpanJson[]): Int32Array {
  const own = new Map<string, number>();
  const shared = new Map<string, number>();
  spans.forEach((span, node) => (span.shared ? shared : own).set(span.id, node));
  return Int32Array.from(spans, (span, node) => {
    const wanted = span.shared ? (own.get(span.id) ?? own.get(span.parentId ?? '')) : parentOf(span, spans, own, shared);
    return wanted === undefined || wanted === node ? -1 : wanted;
  });
}

/** A child of a shared span hangs below the half that its own service recorded. */
function parentOf(span: SpanJson, spans: readonly SpanJson[], own: Map<string, number>, shared: Map<string, number>): number | undefined {
  if (!span.parentId) return undefined;
  const half = shared.get(span.parentId);
  if (half !== undefined && (spans[half]!.localEndpoint?.serviceName === span.localEndpoint?.serviceName || !own.has(span.parentId))) return half;
  return own.get(span.parentId);
}

function walk(spans: readonly SpanJson[], parent: Int32Array): { order: number[]; depth: number[]; orphans: Set<number> } {
  const orphans = new Set<number>();
  cutLoops(parent, orphans);
  const children = new Map<number, number[]>();
  const byStart = [...spans.keys()].sort((a, b) => (spans[a]!.timestamp ?? 0) - (spans[b]!.timestamp ?? 0) || a - b);
  for (const node of byStart) {
    if (parent[node]! < 0 && spans[node]!.parentId && !(spans[node]!.shared && spans[node]!.parentId === undefined)) orphans.add(node);
    const list = children.get(parent[node]!);
    if (list) list.push(node);
    else children.set(parent[node]!, [node]);
  }
  const order: number[] = [];
  const depth: number[] = [];
  const stack = [...(children.get(-1) ?? [])].reverse().map((node) => ({ node, level: 0 }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    order.push(top.node);
    depth.push(top.level);
    const below = children.get(top.node) ?? [];
    for (let i = below.length - 1; i >= 0; i--) stack.push({ node: below[i]!, level: top.level + 1 });
  }
  return { order, depth, orphans };
}

function cutLoops(parent: Int32Array, orphans: Set<number>): void {
  const walked = new Int32Array(parent.length);
  for (let first = 0; first < parent.length; first++) {
    let at = first;
    while (at >= 0 && walked[at] === 0) {
      walked[at] = first + 1;
      at = parent[at]!;
    }
    if (at >= 0 && walked[at] === first + 1) {
      parent[at] = -1;
      orphans.add(at);
    }
  }
}

function encode(traceId: string, spans: readonly SpanJson[], parent: Int32Array, order: number[], depth: number[], orphans: Set<number>): ArrayBuffer {
  const n = order.length;
  const starts = spans.map((span) => span.timestamp ?? 0).filter((start) => start > 0);
  const first = starts.reduce((least, start) => Math.min(least, start), starts[0] ?? 0);
  const last = spans.reduce((most, span) => Math.max(most, (span.timestamp ?? 0) + (span.duration ?? 0)), first);
  const [services, names, texts] = [table(), table(), table()];
  const columns = {
    start: new Float64Array(n), duration: new Float64Array(n), subtree: new Uint32Array(n).fill(1), depth: Uint32Array.from(depth),
    service: new Uint32Array(n), name: new Uint32Array(n), remote: new Uint32Array(n), kind: new Uint8Array(n), flags: new Uint8Array(n), events: new Uint32Array(n),
  };
  const startOf = new Float64Array(n);
  const events: { row: number; time: number; text: number }[] = [];
  order.forEach((node, row) => {
    const span = spans[node]!;
    const above = parent[node]!;
    startOf[node] = span.timestamp ? span.timestamp - first : above >= 0 ? startOf[above]! : 0;
    columns.start[row] = startOf[node]!;
    columns.duration[row] = span.duration ?? 0;
    columns.service[row] = services.at(span.localEndpoint?.serviceName ?? '');
    columns.name[row] = names.at(span.name ?? '');
    columns.remote[row] = span.remoteEndpoint?.serviceName ? services.at(span.remoteEndpoint.serviceName) : NO_REMOTE;
    columns.kind[row] = Math.max(0, KINDS.indexOf((span.kind ?? '').toLowerCase() as never));
    columns.flags[row] = flagsOf(span, orphans.has(node));
    columns.events[row] = span.annotations?.length ?? 0;
    for (const event of [...(span.annotations ?? [])].sort((a, b) => a.timestamp - b.timestamp)) events.push({ row, time: event.timestamp - first, text: texts.at(event.value) });
  });
  // From the end up: a row's subtree is complete when its parent is reached.
  const above: number[] = [];
  const parentRow = depth.map((level, row) => {
    above[level] = row;
    return level > 0 ? above[level - 1]! : -1;
  });
  for (let row = n - 1; row >= 0; row--) if (parentRow[row]! >= 0) columns.subtree[parentRow[row]!]! += columns.subtree[row]!;
  const missing = new Set([...orphans].map((node) => spans[node]!.parentId)).size;
  const header = { traceId, spanCount: n, start: first, duration: last - first, services: services.list, names: names.list, missingParents: missing, eventCount: events.length, eventTexts: texts.list };
  return pack(header, {
    ...columns,
    eventRow: Uint32Array.from(events, (event) => event.row),
    eventTime: Float64Array.from(events, (event) => event.time),
    eventText: Uint32Array.from(events, (event) => event.text),
  });
}

function flagsOf(span: SpanJson, orphan: boolean): number {
  return (
    (span.tags && 'error' in span.tags ? FLAG_ERROR : 0) |
    (span.shared ? FLAG_SHARED : 0) |
    (span.debug ? FLAG_DEBUG : 0) |
    (orphan ? FLAG_ORPHAN : 0) |
    (span.timestamp ? 0 : FLAG_NO_START) |
    (span.duration === undefined ? FLAG_NO_DURATION : 0)
  );
}

/** A header and its columns as bytes. */
export function pack(header: object, columns: Record<string, Float64Array | Uint32Array | Uint8Array>): ArrayBuffer {
  const places: Record<string, { type: string; offset: number }> = {};
  let size = 0;
  for (const [name, values] of Object.entries(columns)) {
    places[name] = { type: { 8: 'f64', 4: 'u32', 1: 'u8' }[values.BYTES_PER_ELEMENT]!, offset: size };
    size += Math.ceil(values.byteLength / 8) * 8;
  }
  const text = new TextEncoder().encode(JSON.stringify({ ...header, columns: places }));
  const length = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + length + size).fill(32, 8, 8 + length);
  bytes.set(new TextEncoder().encode('TWT1'));
  new DataView(bytes.buffer).setUint32(4, length, true);
  bytes.set(text, 8);
  for (const [name, values] of Object.entries(columns)) bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 8 + length + places[name]!.offset);
  return bytes.buffer;
}

function table(): { list: string[]; at: (text: string) => number } {
  const list: string[] = [];
  const numbers = new Map<string, number>();
  return {
    list,
    at(text) {
      const known = numbers.get(text);
      if (known !== undefined) return known;
      numbers.set(text, list.length);
      return list.push(text) - 1;
    },
  };
}
