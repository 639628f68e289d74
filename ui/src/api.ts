// The server's API as typed functions. In: what is asked for. Out: its JSON or bytes, or an `ApiError` that says what failed. All
// addresses are relative to <base href> (Zipkin's API v2 and docs/page-api.md).
import { ask as askServer, readBytes, readJson } from './http';

import { ApiError } from './http';

export { ApiError, isAbort } from './http';

export interface ServiceShare {
  name: string;
  spanCount: number;
  errorCount: number;
  /** Microseconds. */
  selfTime: number;
}

export interface Summary {
  traceId: string;
  rootService: string;
  rootName: string;
  /** Microseconds since the epoch. */
  timestamp: number;
  /** Microseconds. */
  duration: number;
  spanCount: number;
  errorCount: number;
  services: ServiceShare[];
}

export interface Endpoint {
  serviceName?: string;
  ipv4?: string;
  ipv6?: string;
  port?: number;
}

/** A span of Zipkin's v2 JSON. */
export interface SpanJson {
  traceId: string;
  id: string;
  parentId?: string;
  name?: string;
  kind?: string;
  timestamp?: number;
  duration?: number;
  debug?: boolean;
  shared?: boolean;
  localEndpoint?: Endpoint;
  remoteEndpoint?: Endpoint;
  annotations?: { timestamp: number; value: string }[];
  tags?: Record<string, string>;
}

/** What this page takes from Zipkin's `config.json`. */
export interface Config {
  environment: string;
  defaultLookback: number;
  searchEnabled: boolean;
  dependency: { enabled: boolean };
}

/** How far the server looked: what is counted is that of the newest spans when `complete` is false. */
export interface Searched {
  complete: boolean;
  spans: number;
  traces: number;
  backTo: number | null;
}

/** A trace a query found. */
export interface FoundTrace extends Summary {
  matchTime: number;
  matchCount: number;
  /** Ids of spans that meet the query. */
  matches: string[];
  columns?: Record<string, string>;
}

export interface SearchAnswer {
  traces: FoundTrace[];
  next: string | null;
  searched: Searched;
}

export interface Histogram {
  start: number;
  end: number;
  bucketWidth: number;
  buckets: { start: number; count: number; errors: number; latencies: number[] }[];
  latencies: { from: number; to: number }[];
  total: { count: number; errors: number; p50: number | null; p95: number | null; p99: number | null };
  searched: Searched;
}

export interface FacetValue {
  value: string;
  count: number;
}

export interface Facets {
  spans: number;
  services: FacetValue[];
  operations: (FacetValue & { service: string })[];
  statuses: FacetValue[];
  kinds: FacetValue[];
  attributes: { key: string; count: number; distinct: number; values: FacetValue[] }[];
  searched: Searched;
}

export interface Difference {
  service: string;
  key: string;
  value: string | null;
  /** An operation that is called so often at least. */
  times: number | null;
  /** What the same span has besides. */
  and: { key: string; value: string | null } | null;
  selectedCount: number;
  restCount: number;
  selectedShare: number;
  restShare: number;
  score: number;
  query: string;
}

export interface Comparison {
  selected: number;
  rest: number;
  differences: Difference[];
  slower: { service: string; name: string; selectedSelfTime: number; restSelfTime: number; share: number }[];
  searched: Searched;
}

/** Rate, errors, durations. `rate` is a second. */
export interface Red {
  count: number;
  errors: number;
  rate: number;
  errorRate: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface Spark {
  count: number;
  errors: number;
  p95: number | null;
}

export interface ServicesAnswer {
  start: number;
  end: number;
  bucketWidth: number;
  services: (Red & { service: string; sparkline: Spark[] })[];
  operations: (Red & { service: string; name: string; kind: string; sparkline: Spark[] })[];
  searched: Searched;
}

export interface MapAnswer {
  services: (Red & { service: string })[];
  links: (Red & { parent: string; child: string })[];
  searched: Searched;
}

export interface Percentile {
  count: number;
  percentile: number | null;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface ParsedQuery {
  q: string;
  terms: { start: number; end: number; text: string }[];
}

export interface LiveSpan {
  traceId: string;
  spanId: string;
  parentId: string | null;
  service: string;
  name: string;
  kind: string;
  timestamp: number;
  duration: number | null;
  error: boolean;
}

export interface Status {
  version: string;
  now: number;
  started: number;
  ingest: { protocol: string; messages: number; messagesDropped: number; bytes: number; spans: number; spansDropped: number; refused: Record<string, number> }[];
  store: Record<string, number | boolean | string | null | unknown[]> & { durable: boolean; takesWrites: boolean; writesRefusedBecause: string | null };
  retention: { age: number | null; bytesMax: number | null };
  memory: Record<string, number | null>;
  queries: Record<string, number>;
  connections: Record<string, number>;
  live: { listeners: number; spansLost: number };
}

/** Where in the query's text something is wrong. */
export interface QueryProblem {
  code: string;
  parameter: string;
  start: number;
  end: number;
  expected?: string[];
  text: string;
}

export function problemOf(error: unknown): QueryProblem | undefined {
  if (!(error instanceof ApiError) || error.status !== 400) return undefined;
  const problem = error.body?.problem as Omit<QueryProblem, 'text'> | undefined;
  return problem?.parameter === 'q' ? { ...problem, text: error.detail } : undefined;
}

const CONFIG: Config = { environment: '', defaultLookback: 900_000, searchEnabled: true, dependency: { enabled: true } };
const PAGE_API = 'api/tracewell/v1/';
const ZIPKIN_API = 'api/v2/';

export const api = {
  config: async (): Promise<Config> => ({ ...CONFIG, ...(await json<Partial<Config>>('config.json')) }),
  services: (signal?: AbortSignal) => json<string[]>(`${ZIPKIN_API}services`, signal),
  search: (params: URLSearchParams, signal?: AbortSignal) => json<SearchAnswer>(`${PAGE_API}search?${params}`, signal),
  histogram: (params: URLSearchParams, signal?: AbortSignal) => json<Histogram>(`${PAGE_API}histogram?${params}`, signal),
  facets: (params: URLSearchParams, signal?: AbortSignal) => json<Facets>(`${PAGE_API}facets?${params}`, signal),
  why: (params: URLSearchParams, signal?: AbortSignal) => json<Comparison>(`${PAGE_API}compare?${params}`, signal),
  red: (params: URLSearchParams, signal?: AbortSignal) => json<ServicesAnswer>(`${PAGE_API}services?${params}`, signal),
  map: (params: URLSearchParams, signal?: AbortSignal) => json<MapAnswer>(`${PAGE_API}map?${params}`, signal),
  percentile: (params: URLSearchParams, signal?: AbortSignal) => json<Percentile>(`${PAGE_API}percentile?${params}`, signal),
  parse: (q: string, signal?: AbortSignal) => json<ParsedQuery>(`${PAGE_API}parse?${new URLSearchParams({ q })}`, signal),
  status: (signal?: AbortSignal) => json<Status>(`${PAGE_API}status`, signal),
  complete: async (params: Record<string, string>) => (await json<{ values: { value: string; count: number | null }[] }>(`${PAGE_API}complete?${new URLSearchParams(params)}`)).values,
  liveAddress: (q: string) => new URL(`${PAGE_API}live?${new URLSearchParams({ q })}`, document.baseURI),
  trace: async (id: string, onBytes: (loaded: number, total: number) => void, signal?: AbortSignal) =>
    readBytes(await ask(`${PAGE_API}trace/${encodeURIComponent(id)}`, signal), onBytes),
  /** `which` is a row, or a span id of 16 digits; the row comes back with the span. */
  span: async (id: string, which: number | string, signal?: AbortSignal): Promise<{ span: SpanJson; row: number }> => {
    const answer = await ask(`${PAGE_API}trace/${encodeURIComponent(id)}/span/${which}`, signal);
    const row = answer.headers.get('tracewell-row');
    return { span: await readJson<SpanJson>(answer), row: row === null ? Number(which) : Number(row) };
  },
  downloadAddress: (id: string) => `${ZIPKIN_API}trace/${encodeURIComponent(id)}`,
};

async function json<T>(address: string, signal?: AbortSignal): Promise<T> {
  return readJson<T>(await ask(address, signal));
}

function ask(address: string, signal?: AbortSignal): Promise<Response> {
  return askServer(new URL(address, document.baseURI), { signal });
}
