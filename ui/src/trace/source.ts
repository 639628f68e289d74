// Where a trace's spans come from: the server, or a file opened in this browser.
import { api, type SpanJson } from '../api';
import { parse, openedRow, openedSpan, openedTrace } from './parser';
import { loadBytes } from './load';
import type { Trace } from './columns';

export interface Source {
  /** True where nothing of it is on a server: no links, no downloads. */
  local: boolean;
  trace(onBytes: (loaded: number, total: number) => void, signal: AbortSignal): Promise<Trace>;
  span(row: number, signal?: AbortSignal): Promise<SpanJson>;
  /** The first row with this span id; fails or is negative where there is none. */
  rowOf(spanId: string): Promise<number>;
}

export function serverSource(traceId: string): Source {
  return {
    local: false,
    trace: async (onBytes, signal) => parse(await loadBytes(traceId, onBytes, signal)),
    span: async (row, signal) => (await api.span(traceId, row, signal)).span,
    rowOf: async (spanId) => (await api.span(traceId, spanId)).row,
  };
}

export function fileSource(traceId: string): Source {
  return {
    local: true,
    trace: () => openedTrace(traceId),
    span: (row) => openedSpan(traceId, row),
    rowOf: (spanId) => openedRow(traceId, spanId),
  };
}
