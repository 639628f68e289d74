// The server's API as typed functions. In: what is asked for. Out: its JSON or bytes, or an `ApiError` that says what failed. All
// addresses are relative to <base href> (Zipkin's API v2 and docs/page-api.md).
import { ask as askServer, readBytes, readJson } from './http';

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

export interface LinkJson {
  parent: string;
  child: string;
  callCount: number;
  errorCount?: number;
}

/** What this page takes from Zipkin's `config.json`. */
export interface Config {
  environment: string;
  defaultLookback: number;
  searchEnabled: boolean;
  dependency: { enabled: boolean };
}

const CONFIG: Config = { environment: '', defaultLookback: 900_000, searchEnabled: true, dependency: { enabled: true } };
const PAGE_API = 'api/tracewell/v1/';
const ZIPKIN_API = 'api/v2/';

export const api = {
  config: async (): Promise<Config> => ({ ...CONFIG, ...(await json<Partial<Config>>('config.json')) }),
  services: (signal?: AbortSignal) => json<string[]>(`${ZIPKIN_API}services`, signal),
  spans: (service: string) => json<string[]>(`${ZIPKIN_API}spans?${new URLSearchParams({ serviceName: service })}`),
  remotes: (service: string) => json<string[]>(`${ZIPKIN_API}remoteServices?${new URLSearchParams({ serviceName: service })}`),
  tagKeys: () => json<string[]>(`${ZIPKIN_API}autocompleteKeys`),
  tagValues: (key: string) => json<string[]>(`${ZIPKIN_API}autocompleteValues?${new URLSearchParams({ key })}`),
  dependencies: (params: URLSearchParams, signal?: AbortSignal) => json<LinkJson[]>(`${ZIPKIN_API}dependencies?${params}`, signal),
  traces: async (params: URLSearchParams, signal?: AbortSignal) =>
    (await json<{ traces: Summary[] }>(`${PAGE_API}traces?${params}`, signal)).traces,
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
