// The page's own API over recorded traces, for tests/browser.mjs: as docs/page-api.md says it, with a query language that knows what the
// tests type. What the real server answers is tested in Rust; how the page takes it to the user, with the real server too.

const WORD = /(?:[^\s"()]|"[^"]*")+/g;

/** A test of one span, or a problem as the server words it. */
function compile(q) {
  const tests = [];
  for (const match of q.matchAll(WORD)) {
    const word = match[0];
    const start = match.index;
    const problem = (error, code) => ({ error, problem: { code, parameter: 'q', start, end: start + word.length } });
    const plain = (text) => text.replaceAll('"', '');
    const bound = /^duration(>=?|<=?)(.*)$/.exec(word);
    if (bound) {
      const us = /^(\d+)(us|ms|s)$/.exec(bound[2]);
      if (!us) return problem('expected a duration such as 200ms', 'bad-duration');
      const limit = Number(us[1]) * { us: 1, ms: 1e3, s: 1e6 }[us[2]];
      tests.push((span) => (bound[1].startsWith('>') ? (span.duration ?? 0) >= limit : (span.duration ?? 0) <= limit));
      continue;
    }
    const began = /^start([<>])=(\d+)$/.exec(word);
    if (began) {
      tests.push((span) => (began[1] === '>' ? span.timestamp >= Number(began[2]) : span.timestamp <= Number(began[2])));
      continue;
    }
    const field = /^(\w+):(.*)$/.exec(word);
    const of = { service: (s) => s.localEndpoint?.serviceName, name: (s) => s.name, remote: (s) => s.remoteEndpoint?.serviceName, kind: (s) => (s.kind ?? 'unset').toLowerCase(), status: (s) => (s.tags && 'error' in s.tags ? 'error' : 'unset') };
    if (field && field[1] === 'has') tests.push((span) => plain(field[2]) in (span.tags ?? {}) || (span.annotations ?? []).some((a) => a.value === plain(field[2])));
    else if (field && of[field[1]]) tests.push((span) => of[field[1]](span) === plain(field[2]));
    else if (field) return problem(`there is no such field; write "${word}" for text`, 'unknown-field');
    else if (word.includes('=')) {
      const [key, value] = [plain(word.slice(0, word.indexOf('='))), plain(word.slice(word.indexOf('=') + 1))];
      tests.push((span) => span.tags?.[key] === value);
    } else tests.push((span) => JSON.stringify([span.name, span.tags, span.annotations]).includes(plain(word)));
  }
  return (span) => tests.every((test) => test(span));
}

/** Handles `path` below `tracewell/v1/`; false where it is not of this API. */
export function pageApi(path, params, { data, mode }, json, response) {
  const fits = compile(params.get('q') ?? '');
  if (typeof fits !== 'function') return json(response, fits, 400), true;
  const start = Number(params.get('start') ?? 0);
  const end = Number(params.get('end') ?? Infinity);
  const searched = { complete: mode !== 'partial', spans: 500_000, traces: data.size, backTo: start + 60e6, spansMax: 500_000, timeMaxMs: 2000 };
  const found = mode === 'empty' || mode === 'nothing' ? [] : find([...data.values()], fits, start, end);
  const answers = {
    parse: () => ({ q: params.get('q') ?? '', terms: [] }),
    search: () => page(found, params, searched),
    histogram: () => histogram(found, start, end, Number(params.get('buckets') ?? 60), searched),
    facets: () => facets(found.flatMap(({ spans }) => spans), searched),
    complete: () => complete(data, params, mode),
    services: () => services(found, params, start, end, searched),
    map: () => map(found, searched),
    percentile: () => ({ count: 812, percentile: 97.4, p50: 1400, p95: 5200, p99: 9100, searched }),
    compare: () => compare(found, compile(params.get('select') ?? ''), regionOf(params.get('region')), searched),
    status: () => STATUS(),
  };
  if (path === 'live') return live(response, data), true;
  if (!answers[path]) return false;
  json(response, answers[path]());
  return true;
}

function find(traces, fits, start, end) {
  return traces
    .map((trace) => ({ trace, spans: trace.spans.filter((span) => span.timestamp >= start && span.timestamp <= end && fits(span)) }))
    .filter(({ spans }) => spans.length > 0)
    .sort((a, b) => b.trace.summary.timestamp - a.trace.summary.timestamp);
}

function page(found, params, searched) {
  const from = Number(params.get('cursor') ?? 0);
  const to = from + Math.min(Number(params.get('limit') ?? 20), 50);
  const keys = (params.get('columns') ?? '').split(',').filter(Boolean);
  const traces = found.slice(from, to).map(({ trace, spans }) => ({
    ...trace.summary,
    matchTime: spans[0].timestamp,
    matchCount: spans.length,
    matches: spans.slice(0, 20).map((span) => span.id),
    columns: Object.fromEntries(keys.map((key) => [key, trace.spans.find((span) => span.tags?.[key])?.tags[key]]).filter(([, value]) => value)),
  }));
  return { traces, next: to < found.length ? String(to) : null, searched };
}

const at = (sorted, share) => (sorted.length === 0 ? null : sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)]);
const figures = (durations) => {
  const sorted = [...durations].sort((a, b) => a - b);
  return { p50: at(sorted, 0.5), p95: at(sorted, 0.95), p99: at(sorted, 0.99) };
};

function histogram(found, start, end, count, searched) {
  const bucketWidth = Math.ceil((end - start) / count);
  const list = found.map(({ trace }) => trace.summary);
  const used = [...new Set(list.map(({ duration }) => Math.floor(Math.log2(Math.max(duration, 1)) * 2)))].sort((a, b) => a - b);
  const buckets = Array.from({ length: count }, (_, i) => ({ start: start + i * bucketWidth, count: 0, errors: 0, latencies: used.map(() => 0) }));
  for (const { timestamp, duration, errorCount } of list) {
    const bucket = buckets[Math.min(Math.max(Math.floor((timestamp - start) / bucketWidth), 0), count - 1)];
    bucket.count++;
    if (errorCount > 0) bucket.errors++;
    bucket.latencies[used.indexOf(Math.floor(Math.log2(Math.max(duration, 1)) * 2))]++;
  }
  const total = { count: list.length, errors: list.filter((one) => one.errorCount > 0).length, ...figures(list.map((one) => one.duration)) };
  return { of: 'traces', start, end, bucketWidth, buckets, latencies: used.map((power) => ({ from: 2 ** (power / 2), to: 2 ** ((power + 1) / 2) })), total, searched };
}

function counted(values) {
  const sums = new Map();
  for (const value of values) if (value !== undefined && value !== '') sums.set(value, (sums.get(value) ?? 0) + 1);
  return [...sums].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count).slice(0, 50);
}

function facets(spans, searched) {
  const keys = counted(spans.flatMap((span) => Object.keys(span.tags ?? {}))).slice(0, 12);
  return {
    spans: spans.length,
    services: counted(spans.map((span) => span.localEndpoint?.serviceName)),
    operations: counted(spans.map((span) => span.name)).map((one) => ({ ...one, service: '' })),
    statuses: counted(spans.map((span) => (span.tags && 'error' in span.tags ? 'error' : 'unset'))),
    kinds: counted(spans.map((span) => (span.kind ?? 'unset').toLowerCase())),
    attributes: keys.map(({ value: key, count }) => {
      const values = counted(spans.map((span) => span.tags?.[key]));
      return { key, count, distinct: values.length, values: values.slice(0, 10) };
    }),
    searched,
  };
}

function complete(data, params, mode) {
  const spans = mode === 'empty' ? [] : [...data.values()].filter((trace) => trace.spans.length < 1000).flatMap((trace) => trace.spans);
  const key = params.get('key') ?? '';
  const of = { '': (s) => Object.keys(s.tags ?? {}), service: (s) => [s.localEndpoint?.serviceName], name: (s) => [s.name], remote: (s) => [s.remoteEndpoint?.serviceName] }[key] ?? ((s) => [s.tags?.[key]]);
  const service = params.get('service');
  const prefix = (params.get('prefix') ?? '').toLowerCase();
  const values = counted(spans.filter((span) => !service || span.localEndpoint?.serviceName === service).flatMap(of));
  return { values: values.filter(({ value }) => value.toLowerCase().includes(prefix)), searched: null };
}

const red = (spans, seconds) => {
  const errors = spans.filter((span) => span.tags && 'error' in span.tags).length;
  return { count: spans.length, errors, rate: spans.length / seconds, errorRate: errors / Math.max(spans.length, 1), ...figures(spans.map((span) => span.duration ?? 0)) };
};

function grouped(spans, keyOf) {
  const groups = new Map();
  for (const span of spans) {
    const key = keyOf(span);
    if (key !== undefined) groups.set(key, [...(groups.get(key) ?? []), span]);
  }
  return [...groups];
}

function services(found, params, start, end, searched) {
  const seconds = Math.max((end - start) / 1e6, 1);
  const entry = found.filter(({ trace }) => trace.spans.length < 1000).flatMap(({ spans }) => spans.filter((span) => span.kind === 'SERVER' || !span.parentId));
  const spark = (spans) => Array.from({ length: 30 }, (_, i) => {
    const own = spans.filter((span) => Math.floor(((span.timestamp - start) / (end - start)) * 30) === i);
    return { count: own.length, errors: own.filter((span) => span.tags && 'error' in span.tags).length, p95: null };
  });
  const line = ([service, spans]) => ({ service, ...red(spans, seconds), sparkline: spark(spans) });
  const asked = params.get('service');
  const operations = asked ? grouped(entry.filter((span) => span.localEndpoint?.serviceName === asked), (span) => span.name).map(([name, spans]) => ({ ...line([asked, spans]), name, kind: 'server' })) : [];
  return { start, end, bucketWidth: (end - start) / 30, services: grouped(entry, (span) => span.localEndpoint?.serviceName).map(line), operations, searched };
}

function map(found, searched) {
  const calls = [];
  for (const { trace } of found) {
    if (trace.rows.length > 1000) continue;
    for (const { span, parent, children } of trace.rows) {
      const [own, above, remote] = [span.localEndpoint?.serviceName, parent?.span.localEndpoint?.serviceName, span.remoteEndpoint?.serviceName];
      if (above && own && above !== own) calls.push({ ...span, link: `${above}\n${own}` });
      if (children.length === 0 && own && remote && own !== remote) calls.push({ ...span, link: `${own}\n${remote}` });
    }
  }
  const links = grouped(calls, (call) => call.link).map(([link, spans]) => ({ parent: link.split('\n')[0], child: link.split('\n')[1], ...red(spans, 900) }));
  return { services: [], links, searched };
}

function regionOf(text) {
  const [from, to, shortest, longest] = (text ?? '---').split('-').map((bound) => (bound === '' ? undefined : Number(bound)));
  const within = (value, low, high) => (low === undefined || value >= low) && (high === undefined || value <= high);
  return ({ timestamp, duration }) => within(timestamp, from, to) && within(duration, shortest, longest);
}

function compare(found, selects, isInRegion, searched) {
  const isSelected = ({ spans, trace }) => spans.some(selects) && isInRegion(trace.summary);
  const selected = found.filter(isSelected);
  const rest = found.filter((one) => !isSelected(one));
  const share = (side, key, value) => side.filter(({ trace }) => trace.spans.slice(0, 200).some((span) => span.tags?.[key] === value)).length / Math.max(side.length, 1);
  const pairs = new Set(selected.flatMap(({ trace }) => trace.spans.slice(0, 200).flatMap((span) => Object.entries(span.tags ?? {}).map((pair) => pair.join('\n')))));
  const differences = [...pairs].map((pair) => {
    const [key, value] = pair.split('\n');
    const [a, b] = [share(selected, key, value), share(rest, key, value)];
    return { service: 'gateway', key, value, times: null, and: null, selectedCount: Math.round(a * selected.length), restCount: Math.round(b * rest.length), selectedShare: a, restShare: b, score: a - b, query: `${key}="${value}"` };
  });
  const slower = [{ service: 'payment', name: 'authorize', selectedSelfTime: 180_000, restSelfTime: 900, share: 0.93 }];
  return { selected: selected.length, rest: rest.length, differences: differences.sort((a, b) => Math.abs(b.score) - Math.abs(a.score)).slice(0, 30), slower, searched };
}

function live(response, data) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const [trace] = [...data.values()].filter(({ spans }) => spans.length < 40);
  const spans = trace.spans.map((span) => ({ traceId: span.traceId, spanId: span.id, parentId: span.parentId ?? null, service: span.localEndpoint?.serviceName ?? '', name: span.name, kind: (span.kind ?? 'unset').toLowerCase(), timestamp: span.timestamp, duration: span.duration ?? null, error: Boolean(span.tags && 'error' in span.tags) }));
  response.write(`event: spans\ndata: ${JSON.stringify(spans)}\n\nevent: lost\ndata: {"spans":7}\n\n`);
}

const STATUS = () => ({
  version: '0.1.0', now: Date.now() * 1000, started: Date.now() * 1000 - 3600e6,
  ingest: [{ protocol: 'http', messages: 900, messagesDropped: 0, bytes: 4_100_000, spans: Math.floor(Date.now() / 10) % 1e6, spansDropped: 0, refused: { malformed: 3 } }],
  store: { durable: true, takesWrites: true, writesRefusedBecause: null, damage: [], spans: 81_000, logBytes: 1_200_000, memoryBytes: 900_000, memorySpans: 12_000, segments: 3, segmentBytes: 4_000_000, segmentSpans: 69_000, segmentsExpired: 0, writeQueueBytes: 0, writesRefused: 0, spansWritten: 81_000 },
  retention: { age: 604_800_000_000, bytesMax: null },
  memory: { residentBytes: 48_000_000, bodiesHeldBytes: 0, storeBytesMax: 64_000_000 },
  queries: { waiting: 0, refused: 0, timedOut: 0 }, connections: { open: 3, accepted: 900 }, live: { listeners: 1, spansLost: 0 },
});
