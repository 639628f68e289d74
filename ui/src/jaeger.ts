// Addresses of Jaeger's page that people have in chats and dashboards. In: the parameters of its search. Out: ours.
// `/search?service=x&operation=y&tags={"a":"b"}&minDuration=100ms&limit=20&lookback=1h&start=µs&end=µs`, as Jaeger 1.x and 2.x write it.

const US_PER_MS = 1_000;

export function fromJaegerSearch(theirs: URLSearchParams): URLSearchParams {
  const ours = new URLSearchParams();
  const terms: string[] = [];
  const service = theirs.get('service');
  const operation = theirs.get('operation');
  if (service) ours.set('serviceName', service);
  if (operation && operation !== 'all') ours.set('spanName', operation);
  for (const [key, value] of tagsOf(theirs)) terms.push(key === 'error' && value === 'true' ? 'error' : `${key}=${value}`);
  if (terms.length > 0) ours.set('annotationQuery', terms.join(' and '));
  for (const bound of ['minDuration', 'maxDuration']) {
    const value = theirs.get(bound);
    if (value) ours.set(bound, value);
  }
  const limit = Number(theirs.get('limit'));
  if (limit > 0) ours.set('limit', String(limit));
  const lookback = theirs.get('lookback');
  const [start, end] = [Number(theirs.get('start')), Number(theirs.get('end'))];
  // With a lookback the times are those of the moment the link was made: the link means that stretch.
  if (start > 0 && end > start) {
    ours.set('lookback', 'range');
    ours.set('startTs', String(Math.floor(start / US_PER_MS)));
    ours.set('endTs', String(Math.ceil(end / US_PER_MS)));
  } else if (lookback && lookback !== 'custom') ours.set('lookback', lookback);
  return ours;
}

/** `tags` is a JSON object, `tag` a `key:value`; each may come more than once. */
function tagsOf(params: URLSearchParams): [string, string][] {
  const pairs: [string, string][] = [];
  for (const text of params.getAll('tags')) {
    try {
      pairs.push(...Object.entries(JSON.parse(text) as Record<string, unknown>).map(([key, value]): [string, string] => [key, String(value)]));
    } catch {
      // What was no JSON there searched for nothing there either.
    }
  }
  for (const text of params.getAll('tag')) {
    const colon = text.indexOf(':');
    if (colon > 0) pairs.push([text.slice(0, colon), text.slice(colon + 1)]);
  }
  return pairs;
}

