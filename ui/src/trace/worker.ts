// The worker: parses large traces, and keeps what `/open` read. One request, one answer; typed arrays are handed over, not copied.
import { OpenedFiles } from '../open/read';
import { parseTrace } from './columns';

export type Request =
  | { id: number; kind: 'parse'; bytes: ArrayBuffer }
  | { id: number; kind: 'open'; name: string; content: ArrayBuffer }
  | { id: number; kind: 'trace'; traceId: string }
  | { id: number; kind: 'span'; traceId: string; row: number }
  | { id: number; kind: 'row'; traceId: string; spanId: string };

export type Answer = { id: number; value: unknown } | { id: number; error: string };

const files = new OpenedFiles();

self.onmessage = ({ data }: MessageEvent<Request>) => {
  try {
    const value = answer(data);
    const buffers = new Set<ArrayBuffer>();
    collectBuffers(value, buffers);
    (self as unknown as Worker).postMessage({ id: data.id, value } satisfies Answer, [...buffers]);
  } catch (error) {
    (self as unknown as Worker).postMessage({ id: data.id, error: (error as Error).message } satisfies Answer);
  }
};

function answer(request: Request): unknown {
  switch (request.kind) {
    case 'parse':
      return parseTrace(request.bytes);
    case 'open':
      return files.open(request.name, request.content);
    case 'trace':
      return parseTrace(files.columns(request.traceId));
    case 'span':
      return files.span(request.traceId, request.row);
    case 'row':
      return files.row(request.traceId, request.spanId);
  }
}

function collectBuffers(value: unknown, into: Set<ArrayBuffer>): void {
  if (ArrayBuffer.isView(value)) into.add(value.buffer as ArrayBuffer);
  else if (value && typeof value === 'object' && !Array.isArray(value)) for (const part of Object.values(value)) collectBuffers(part, into);
}
