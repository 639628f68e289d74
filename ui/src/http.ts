// Asking a server, with one kind of error for all that may go wrong. No page needed: workers use it too.

export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 when there was no answer, -1 when it could not be read. */
    readonly status: number,
    /** What the server said. */
    readonly detail: string,
    /** The whole error answer, where it was JSON. */
    readonly body?: Record<string, unknown>,
  ) {
    super(`${status} ${detail}`);
  }
}

export async function ask(address: URL, options: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, String((error as Error).message));
  }
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

export async function readJson<T>(answer: Response): Promise<T> {
  try {
    return (await answer.json()) as T;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(-1, String(error));
  }
}

/** The body; `onBytes` hears how much has come, and of how much where that is known. */
export async function readBytes(answer: Response, onBytes: (loaded: number, total: number) => void): Promise<ArrayBuffer> {
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

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** Our errors are `{"error": …}`, Zipkin's are plain text. */
async function errorOf(answer: Response): Promise<ApiError> {
  const text = await answer.text().catch(() => '');
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    return new ApiError(answer.status, String(body.error ?? text).slice(0, 500), body);
  } catch {
    return new ApiError(answer.status, text.slice(0, 500) || answer.statusText);
  }
}
