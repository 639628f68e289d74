// A server for tests/browser.mjs only: serves ui/dist under /zipkin/ and answers from recorded traces, with faults on request, so that
// every state of the page can be looked at. What the page does with the real server is tested in e2e/.
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pageApi } from './fixture-api.mjs';
import { encode, hex, largeTrace, layOut, randomFrom, summarise } from './build-trace.mjs';

const dist = new URL('../dist/', import.meta.url);
const fixtures = new URL('./fixtures/', import.meta.url);
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
const CSP = "default-src 'self'; style-src 'self'; img-src 'self'; base-uri 'self'; frame-ancestors 'none'; object-src 'none'";

/** `state.mode`: normal, empty (no span ever), nothing (searches find nothing), failing (500 on everything), slow (answers after 1 s), partial (not all was searched). */
export async function startFixtureServer() {
  const state = { mode: 'normal' };
  const data = load();
  const server = createServer((request, response) => {
    const answer = () => route(new URL(request.url, 'http://localhost'), response, data, state);
    if (state.mode === 'slow' && request.url.includes('/api/')) setTimeout(answer, 1000);
    else answer();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { state, data, origin: `http://127.0.0.1:${server.address().port}`, stop: () => (server.closeAllConnections(), server.close()) };
}

function load() {
  const traces = new Map();
  const add = (traceId, spans) => {
    const rows = layOut(spans);
    traces.set(traceId, { spans, rows, summary: summarise(traceId, rows) });
  };
  const now_us = Date.now() * 1000;
  const recorded = readdirSync(fixtures).filter((name) => name.endsWith('.json')).sort();
  recorded.forEach((name, i) => {
    const spans = JSON.parse(readFileSync(new URL(name, fixtures), 'utf8'));
    add(spans[0].traceId, moved(spans, now_us - (i + 1) * 90e6));
  });
  const random = randomFrom(3);
  for (let i = 0; i < 60; i++) add(...shopTrace(i, now_us - 20e6 - Math.floor(random() * 800e6), random));
  const orphan = shopTrace(99, now_us - 30e6, random);
  add(orphan[0], orphan[1].slice(1));
  const large = largeTrace(50_000, now_us - 400e6);
  add(large.traceId, large.spans);
  return traces;
}

/** The same spans, beginning at another time. */
function moved(spans, start_us) {
  const by = start_us - Math.min(...spans.filter((span) => span.timestamp).map((span) => span.timestamp));
  return spans.map((span) => ({
    ...span,
    ...(span.timestamp ? { timestamp: span.timestamp + by } : {}),
    ...(span.annotations ? { annotations: span.annotations.map((a) => ({ ...a, timestamp: a.timestamp + by })) } : {}),
  }));
}

/** A small shop: gateway → cart → database, payment with failures, a queue. */
function shopTrace(number, start, random) {
  const traceId = `5af7183fb1d4cf5f${hex(number + 1)}`;
  const jitter = (us) => Math.floor(us * (0.4 + random() * random() * 3));
  const failed = random() < 0.15;
  const spans = [];
  let id = 1;
  const span = (parent, service, name, kind, offset, duration, more = {}) => {
    const made = { traceId, id: hex(number * 100 + id++), ...(parent ? { parentId: parent.id } : {}), name, kind, timestamp: (parent?.timestamp ?? start) + offset, duration, localEndpoint: { serviceName: service, ipv4: '10.1.2.3', port: 8080 }, ...more };
    spans.push(made);
    return made;
  };
  const total = jitter(120_000);
  const root = span(undefined, 'gateway', ['get /cart', 'post /checkout', 'get /product/{id}'][number % 3], 'SERVER', 0, total, { tags: { 'http.method': number % 3 === 1 ? 'POST' : 'GET', 'http.path': '/cart', 'http.status_code': failed ? '502' : '200', ...(failed ? { error: '502' } : {}) }, annotations: [{ timestamp: start + 1200, value: 'wr' }, { timestamp: start + total - 300, value: 'ws' }] });
  const call = span(root, 'gateway', 'get /items', 'CLIENT', 2000, Math.floor(total * 0.5));
  const cart = span(call, 'cart', 'get /items', 'SERVER', 800, Math.floor(total * 0.46));
  for (let i = 0; i < 2 + (number % 4); i++) span(cart, 'cart', 'select rows', 'CLIENT', 500 + i * Math.floor(total * 0.09), Math.floor(total * 0.08), { remoteEndpoint: { serviceName: 'postgresql', ipv4: '10.1.2.9', port: 5432 }, tags: { 'sql.query': 'select * from items where cart_id = $1' } });
  const pay = span(root, 'gateway', 'authorize', 'CLIENT', Math.floor(total * 0.55), Math.floor(total * 0.35), failed ? { tags: { error: 'connection reset by peer' } } : {});
  span(pay, 'payment', 'authorize', 'SERVER', 900, Math.floor(total * 0.3), failed ? { tags: { error: 'card service timed out', 'http.status_code': '504' } } : {});
  span(root, 'gateway', 'order-placed', 'PRODUCER', Math.floor(total * 0.92), 400, { remoteEndpoint: { serviceName: 'kafka' } });
  return [traceId, spans];
}

function route(url, response, data, state) {
  const path = url.pathname;
  if (!path.startsWith('/zipkin/')) return send(response, 302, '', 'text/plain', { location: '/zipkin/' });
  const rest = path.slice('/zipkin/'.length);
  if (rest === 'config.json') return json(response, { environment: '', queryLimit: 10, defaultLookback: 900_000, searchEnabled: true, dependency: { enabled: true } });
  if (rest.startsWith('api/')) return api(rest.slice(4), url.searchParams, response, data, state);
  if (/^(index\.html|search|monitor|dependencies|system-architecture|map|open|compare|services|live|status|dependency\/?|traces?\/[^/]+)?$/.test(rest)) return file(response, 'index.html');
  return file(response, rest);
}

function api(path, params, response, data, state) {
  if (state.mode === 'failing') return json(response, { error: 'the store takes no reads: disk failed' }, 500);
  const spans = () => (state.mode === 'empty' ? [] : [...data.values()].slice(0, -1).flatMap((trace) => trace.spans));
  if (path === 'v2/services') return json(response, unique(spans().map((span) => span.localEndpoint?.serviceName)));
  if (path.startsWith('tracewell/v1/') && pageApi(path.slice('tracewell/v1/'.length), params, { data, mode: state.mode }, json, response)) return;
  return oneTrace(path, response, data);
}

function oneTrace(path, response, data) {
  const [, kind, id, detail] = /^(v2\/trace|tracewell\/v1\/trace)\/([0-9a-f]+)(?:\/span\/(\w+))?$/.exec(path) ?? [];
  const trace = data.get(id);
  if (!trace) return json(response, { error: `no trace ${id}` }, 404);
  if (kind === 'v2/trace') return json(response, trace.spans);
  if (detail === undefined) return send(response, 200, encode(id, trace.rows), 'application/vnd.tracewell.trace');
  const row = detail.length === 16 ? trace.rows.findIndex((r) => r.span.id === detail) : Number(detail);
  if (!trace.rows[row]) return json(response, { error: `no span ${detail}` }, 404);
  return json(response, trace.rows[row].span, 200, { 'tracewell-row': String(row) });
}

function file(response, name) {
  try {
    send(response, 200, readFileSync(new URL(name, dist)), TYPES[name.split('.').pop()] ?? 'application/octet-stream', { 'content-security-policy': CSP });
  } catch {
    send(response, 404, 'not found', 'text/plain');
  }
}

const unique = (list) => [...new Set(list.filter(Boolean))].sort();
const json = (response, value, status = 200, headers = {}) => send(response, status, JSON.stringify(value), 'application/json', headers);

function send(response, status, body, type, headers = {}) {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}
