// The trace that is measured: `count` spans over 12 services, 6 tags a span, one span in two hundred failing, an event on one in eight,
// calls in waves below long parents and runs of equal database calls, so that grouping and the critical path have their work.

const SERVICES = ['gateway', 'cart', 'catalog', 'payment', 'users', 'stock', 'mail', 'search', 'ads', 'prices', 'ledger', 'audit'];
const VERBS = ['get', 'post', 'select', 'publish'];
const ROOT_US = 60_000_000;

/** Spans of Zipkin's v2 JSON, parents before children, one at a time: a million of them need no room. */
export function* measuredSpans(count, traceId, start_us = (Date.now() - 300_000) * 1000) {
  const random = randomFrom(7);
  // Times of the spans so far, by number: what a child needs of its parent.
  const start = new Float64Array(count + 1);
  const duration = new Float64Array(count + 1);
  start[1] = start_us;
  duration[1] = ROOT_US;
  yield span(traceId, 1, 0, 'gateway', 'get /everything', 'SERVER', start_us, ROOT_US, false, random);
  for (let i = 2; i <= count; i++) {
    const parent = i < 12 ? 1 : 1 + Math.floor(random() * random() * (i - 2));
    duration[i] = Math.max(20, Math.floor(duration[parent] * (0.05 + random() * 0.6) * (i < 12 ? 0.4 : 0.5)));
    start[i] = start[parent] + Math.floor(random() * Math.max(duration[parent] - duration[i], 1));
    const service = SERVICES[Math.floor(random() * SERVICES.length)];
    yield span(traceId, i, parent, service, `${VERBS[i % 4]} /${service}/${i % 40}`, i % 3 === 0 ? 'CLIENT' : 'SERVER', start[i], duration[i], random() < 0.005, random);
  }
}

function span(traceId, number, parent, service, name, kind, timestamp, duration, failed, random) {
  return {
    traceId,
    id: hex(number),
    ...(parent > 0 ? { parentId: hex(parent) } : {}),
    name,
    kind,
    timestamp,
    duration,
    localEndpoint: { serviceName: service },
    ...(number % 8 === 0 ? { annotations: [{ timestamp: timestamp + Math.floor(duration / 2), value: `cache miss of shard ${number % 64}` }] } : {}),
    tags: {
      'http.method': VERBS[number % 2].toUpperCase(),
      'http.route': `/${service}/{id}`,
      'http.status_code': failed ? '504' : '200',
      'host.name': `${service}-${number % 16}`,
      'user.id': String(Math.floor(random() * 10_000)),
      ...(failed ? { error: 'deadline exceeded' } : { 'component.version': '1.4.2' }),
    },
  };
}

function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const hex = (value) => value.toString(16).padStart(16, '0');
