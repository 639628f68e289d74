// The server's API as typed functions. In: what is asked for. Out: its JSON or bytes, or an `ApiError` that says what failed. All
// addresses are relative to <base href> (Zipkin's API v2 and docs/page-api.md).

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

export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 when there was no answer, -1 when it could not be read. */
    readonly status: number,
    /** What the server said. */
    readonly detail: string,
  ) {
    super(`${status} ${detail}`);
  }
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
  trace: (id: string, onBytes: (loaded: number, total: number) => void, signal?: AbortSignal) =>
    bytes(`${PAGE_API}trace/${encodeURIComponent(id)}`, onBytes, signal),
  /** `which` is a row, or a span id of 16 digits; the row comes back with the span. */
  span: async (id: string, which: number | string, signal?: AbortSignal): Promise<{ span: SpanJson; row: number }> => {
    const answer = await ask(`${PAGE_API}trace/${encodeURIComponent(id)}/span/${which}`, signal);
    const row = answer.headers.get('tracewell-row');
    return { span: await read(answer), row: row === null ? Number(which) : Number(row) };
  },
  downloadAddress: (id: string) => `${ZIPKIN_API}trace/${encodeURIComponent(id)}`,
};

async function json<T>(address: string, signal?: AbortSignal): Promise<T> {
  return read<T>(await ask(address, signal));
}

async function read<T>(answer: Response): Promise<T> {
  try {
    return (await answer.json()) as T;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(-1, String(error));
  }
}

async function bytes(address: string, onBytes: (loaded: number, total: number) => void, signal?: AbortSignal): Promise<ArrayBuffer> {
  const answer = await ask(address, signal);
  // With a content encoding the length is that of the compressed body, which is not what arrives here.
  const total = answer.headers.has('content-encoding') ? 0 : Number(answer.headers.get('content-length') ?? 0);
  const reader = answer.body!.getReader();
  const chunks: Uint8Array[] = [];
  let loaded = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    loaded += value.length;
    onBytes(loaded, total);
  }
  const whole = new Uint8Array(loaded);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.buffer;
}

async function ask(address: string, signal?: AbortSignal): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(new URL(address, document.baseURI), { signal });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, String((error as Error).message));
  }
  if (!answer.ok) throw new ApiError(answer.status, await detailOf(answer));
  return answer;
}

/** Our errors are `{"error": …}`, Zipkin's are plain text. */
async function detailOf(answer: Response): Promise<string> {
  const text = (await answer.text().catch(() => '')).slice(0, 500);
  try {
    return String((JSON.parse(text) as { error?: unknown }).error ?? text);
  } catch {
    return text || answer.statusText;
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
