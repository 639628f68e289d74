// The files opened in this browser, kept in the worker. In: files' contents. Out: summaries of the traces they hold, the columns of one,
// one of its spans. Nothing leaves the browser.
import type { SpanJson, Summary } from '../api';
import { parseTrace } from '../trace/columns';
import { readFile, type FormatName } from './formats';
import { layOutSpans, type LaidOut } from './layout';

export interface Opened {
  format: FormatName;
  /** All traces opened so far, those of this file among them. */
  traces: Summary[];
  /** The traces of this file. */
  traceIds: string[];
}

export class OpenedFiles {
  private readonly spans = new Map<string, SpanJson[]>();
  private readonly summaries = new Map<string, Summary>();
  private laidOut: { traceId: string; trace: LaidOut } | undefined;

  open(_name: string, content: ArrayBuffer): Opened {
    const { format, spans } = readFile(content);
    const traceIds = new Set<string>();
    for (const span of spans) {
      const list = this.spans.get(span.traceId);
      if (list) list.push(span);
      else this.spans.set(span.traceId, [span]);
      traceIds.add(span.traceId);
    }
    this.laidOut = undefined;
    for (const id of traceIds) this.summaries.set(id, summarise(id, layOutSpans(id, this.spans.get(id)!)));
    return { format, traces: [...this.summaries.values()], traceIds: [...traceIds] };
  }

  columns(traceId: string): ArrayBuffer {
    return this.trace(traceId).bytes.slice(0);
  }

  span(traceId: string, row: number): SpanJson {
    const span = this.trace(traceId).spans[row];
    if (!span) throw new Error(`the trace has no row ${row}`);
    return span;
  }

  row(traceId: string, spanId: string): number {
    return this.trace(traceId).spans.findIndex((span) => span.id === spanId);
  }

  private trace(traceId: string): LaidOut {
    if (this.laidOut?.traceId === traceId) return this.laidOut.trace;
    const spans = this.spans.get(traceId);
    if (!spans) throw new Error(`no file that was opened holds the trace ${traceId}`);
    const trace = layOutSpans(traceId, spans);
    this.laidOut = { traceId, trace };
    return trace;
  }
}

function summarise(traceId: string, laidOut: LaidOut): Summary {
  const trace = parseTrace(laidOut.bytes);
  const services = new Map<string, { name: string; spanCount: number; errorCount: number; selfTime: number }>();
  for (let row = 0; row < trace.spanCount; row++) {
    const name = trace.services[trace.service[row]!]!;
    const of = services.get(name) ?? { name, spanCount: 0, errorCount: 0, selfTime: 0 };
    services.set(name, of);
    of.spanCount++;
    of.errorCount += trace.flags[row]! & 1;
    of.selfTime += trace.self[row]!;
  }
  return {
    traceId,
    rootService: trace.services[trace.service[0]!]!,
    rootName: trace.names[trace.name[0]!]!,
    timestamp: trace.start_us,
    duration: trace.duration_us,
    spanCount: trace.spanCount,
    errorCount: trace.errorsBefore[trace.spanCount]!,
    services: [...services.values()].sort((a, b) => b.selfTime - a.selfTime),
  };
}
