// Bytes of a trace → columns, large ones in the worker, so that the page stays alive. Also what `/open` reads from files.
import { parseTrace, type Trace } from './columns';
import type { Opened } from '../open/read';
import type { SpanJson } from '../api';
import type { Answer, Request } from './worker';

/** Below this the way to a worker takes longer than the work. */
const IN_PLACE_BYTES_MAX = 500_000;

type Asked = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never;

let worker: Worker | undefined;
let last = 0;
const waiting = new Map<number, { done: (value: never) => void; failed: (error: unknown) => void }>();

/** Starts the worker ahead of its work. */
export function warm(): void {
  if (worker) return;
  worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    const asker = waiting.get(data.id);
    waiting.delete(data.id);
    if ('error' in data) asker?.failed(new Error(data.error));
    else asker?.done(data.value as never);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    for (const { failed } of waiting.values()) failed(new Error(event.message || 'the worker could not be started'));
    waiting.clear();
    worker = undefined;
  };
}

export function parse(bytes: ArrayBuffer): Promise<Trace> {
  if (bytes.byteLength <= IN_PLACE_BYTES_MAX) return Promise.resolve().then(() => parseTrace(bytes));
  return ask<Trace>({ kind: 'parse', bytes }, [bytes]);
}

/** Reads a file of spans; they stay in the worker. */
export function openFile(name: string, content: ArrayBuffer): Promise<Opened> {
  return ask<Opened>({ kind: 'open', name, content }, [content]);
}

/** A trace of the files opened. */
export function openedTrace(traceId: string): Promise<Trace> {
  return ask<Trace>({ kind: 'trace', traceId });
}

export function openedSpan(traceId: string, row: number): Promise<SpanJson> {
  return ask<SpanJson>({ kind: 'span', traceId, row });
}

/** The row of a span, by its id; -1 where there is none. */
export function openedRow(traceId: string, spanId: string): Promise<number> {
  return ask<number>({ kind: 'row', traceId, spanId });
}

function ask<T>(request: Asked, transfer: Transferable[] = []): Promise<T> {
  warm();
  const id = ++last;
  return new Promise<T>((done, failed) => {
    waiting.set(id, { done, failed });
    worker!.postMessage({ ...request, id }, transfer);
  });
}
