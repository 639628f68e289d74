// Test data: lays spans of Zipkin v2 JSON out as docs/page-api.md says, and makes a large trace. Used by fixture-server.mjs only: the
// product does this in the server, with Zipkin's full rules; here the recorded traces need just parents, shared spans and order.

/** Depth-first rows of one trace. */
export function layOut(spans) {
  const nodes = spans.map((span) => ({ span, children: [], parent: null, missing: false }));
  const client = new Map();
  const server = new Map();
  for (const node of nodes) (node.span.shared ? server : client).set(node.span.id, node);
  for (const node of nodes) {
    const { id, parentId, shared } = node.span;
    if (shared && client.has(id)) node.parent = client.get(id);
    else if (parentId) {
      node.parent = server.get(parentId) ?? client.get(parentId) ?? null;
      node.missing = node.parent === null;
    }
    if (node.parent) node.parent.children.push(node);
  }
  const start = (node) => node.span.timestamp ?? (node.parent ? start(node.parent) : 0);
  const byStart = (a, b) => start(a) - start(b);
  const roots = nodes.filter((node) => !node.parent).sort(byStart);
  const rows = [];
  const stack = roots.map((node) => ({ node, depth: 0 })).reverse();
  while (stack.length > 0) {
    const { node, depth } = stack.pop();
    rows.push({ ...node, start: start(node), depth });
    for (const child of [...node.children].sort(byStart).reverse()) stack.push({ node: child, depth: depth + 1 });
  }
  return rows;
}

const KINDS = { INTERNAL: 1, CLIENT: 2, SERVER: 3, PRODUCER: 4, CONSUMER: 5 };
const isError = (span) => span.tags !== undefined && 'error' in span.tags;

export function encode(traceId, rows) {
  const services = table();
  const names = table();
  const n = rows.length;
  const first = rows.reduce((least, row) => (row.start > 0 && row.start < least ? row.start : least), Infinity);
  const columns = {
    start: new Float64Array(n),
    duration: new Float64Array(n),
    subtree: new Uint32Array(n),
    depth: new Uint32Array(n),
    service: new Uint32Array(n),
    name: new Uint32Array(n),
    remote: new Uint32Array(n),
    kind: new Uint8Array(n),
    flags: new Uint8Array(n),
    events: new Uint32Array(n),
  };
  const open = [];
  const texts = table();
  const events = rows.flatMap(({ span }, row) => [...(span.annotations ?? [])].sort((a, b) => a.timestamp - b.timestamp).map(({ timestamp, value }) => ({ row, time: timestamp - first, text: texts.at(value) })));
  columns.eventTime = Float64Array.from(events, (event) => event.time);
  columns.eventRow = Uint32Array.from(events, (event) => event.row);
  columns.eventText = Uint32Array.from(events, (event) => event.text);
  let last = first;
  rows.forEach(({ span, start, depth, missing }, row) => {
    while (open.length > depth) {
      const done = open.pop();
      columns.subtree[done] = row - done;
    }
    open.push(row);
    columns.start[row] = Math.max(start - first, 0);
    columns.duration[row] = span.duration ?? 0;
    columns.depth[row] = depth;
    columns.service[row] = services.at(span.localEndpoint?.serviceName ?? '');
    columns.name[row] = names.at(span.name ?? '');
    columns.remote[row] = span.remoteEndpoint?.serviceName ? services.at(span.remoteEndpoint.serviceName) : 0xffffffff;
    columns.kind[row] = KINDS[span.kind] ?? 0;
    columns.flags[row] =
      (isError(span) ? 1 : 0) | (span.shared ? 2 : 0) | (span.debug ? 4 : 0) | (missing ? 8 : 0) | (span.timestamp ? 0 : 16) | (span.duration ? 0 : 32);
    columns.events[row] = span.annotations?.length ?? 0;
    last = Math.max(last, start + (span.duration ?? 0));
  });
  while (open.length > 0) {
    const done = open.pop();
    columns.subtree[done] = n - done;
  }
  return pack(
    { traceId, spanCount: n, start: first, duration: last - first, services: services.list, names: names.list, missingParents: new Set(rows.filter((row) => row.missing).map((row) => row.span.parentId)).size, eventCount: events.length, eventTexts: texts.list },
    columns,
  );
}

export function summarise(traceId, rows) {
  const first = rows.reduce((least, row) => (row.start > 0 && row.start < least ? row.start : least), Infinity);
  const last = rows.reduce((most, row) => Math.max(most, row.start + (row.span.duration ?? 0)), 0);
  const services = new Map();
  rows.forEach((row) => {
    const name = row.span.localEndpoint?.serviceName ?? '';
    const of = services.get(name) ?? { name, spanCount: 0, errorCount: 0, selfTime: 0 };
    services.set(name, of);
    of.spanCount++;
    if (isError(row.span)) of.errorCount++;
    of.selfTime += selfTime(row);
  });
  const root = rows[0].missing ? undefined : rows[0].span;
  return {
    traceId,
    rootService: root?.localEndpoint?.serviceName ?? '',
    rootName: root?.name ?? '',
    timestamp: first,
    duration: last - first,
    spanCount: rows.length,
    errorCount: rows.filter((row) => isError(row.span)).length,
    services: [...services.values()].sort((a, b) => b.selfTime - a.selfTime),
  };
}

/** One trace of `count` spans over twelve services: waves of calls under a few long parents, one span in two hundred failing. */
export function largeTrace(count, start_us) {
  const services = ['gateway', 'cart', 'catalog', 'payment', 'users', 'stock', 'mail', 'search', 'ads', 'prices', 'ledger', 'audit'];
  const traceId = '00000000000000000000000b16002710';
  const random = randomFrom(7);
  const spans = [{ traceId, id: hex(1), name: 'get /everything', kind: 'SERVER', timestamp: start_us, duration: 60_000_000, localEndpoint: { serviceName: 'gateway' } }];
  for (let i = 2; i <= count; i++) {
    const parent = spans[i < 12 ? 0 : Math.floor(random() * random() * (i - 2))];
    const share = 0.05 + random() * 0.6;
    const duration = Math.max(20, Math.floor(parent.duration * share * (i < 12 ? 0.4 : 0.5)));
    const service = services[Math.floor(random() * services.length)];
    const failed = random() < 0.005;
    spans.push({
      traceId,
      id: hex(i),
      parentId: parent.id,
      name: `${['get', 'post', 'select', 'publish'][i % 4]} /${service}/${i % 40}`,
      kind: i % 3 === 0 ? 'CLIENT' : 'SERVER',
      timestamp: parent.timestamp + Math.floor(random() * Math.max(parent.duration - duration, 1)),
      duration,
      localEndpoint: { serviceName: service },
      tags: failed ? { error: 'deadline exceeded', 'http.status_code': '504' } : { 'http.status_code': '200' },
    });
  }
  return { traceId, spans };
}

function selfTime({ span, children }) {
  const end = span.timestamp + (span.duration ?? 0);
  let until = span.timestamp;
  let covered = 0;
  for (const { span: child } of [...children].sort((a, b) => a.span.timestamp - b.span.timestamp)) {
    const from = Math.max(child.timestamp, until);
    const to = Math.min(child.timestamp + (child.duration ?? 0), end);
    if (!(to > from)) continue;
    covered += to - from;
    until = to;
  }
  return (span.duration ?? 0) - covered;
}

function pack(header, columns) {
  let offset = 0;
  const places = {};
  for (const [name, values] of Object.entries(columns)) {
    places[name] = { type: values instanceof Float64Array ? 'f64' : values instanceof Uint32Array ? 'u32' : 'u8', offset };
    offset += Math.ceil(values.byteLength / 8) * 8;
  }
  let json = Buffer.from(JSON.stringify({ ...header, columns: places }));
  json = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const bytes = Buffer.alloc(8 + json.length + offset);
  bytes.write('TWT1', 0, 'latin1');
  bytes.writeUInt32LE(json.length, 4);
  json.copy(bytes, 8);
  for (const [name, values] of Object.entries(columns)) Buffer.from(values.buffer).copy(bytes, 8 + json.length + places[name].offset);
  return bytes;
}

function table() {
  const list = [];
  const index = new Map();
  return {
    list,
    at(text) {
      if (!index.has(text)) index.set(text, list.push(text) - 1);
      return index.get(text);
    },
  };
}

export function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export const hex = (value) => value.toString(16).padStart(16, '0');
