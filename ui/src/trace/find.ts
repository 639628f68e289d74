// Find in a trace. In: the text typed. Out: one byte a span, 1 where all its words match. Words are looked up in the string tables
// once; a span then costs a few table look-ups, whatever the size of the trace.
import { parseDuration } from '../format';
import { FLAG_ERROR, NO_REMOTE, type Trace } from './columns';

export interface Found {
  matches: Uint8Array;
  count: number;
}

type Test = (row: number) => boolean;

/** `undefined` where nothing is looked for. Words: `error`, `duration>10ms`, `service:x`, `span:x`, `remote:x`, or part of any name. */
export function findSpans(trace: Trace, text: string): Found | undefined {
  const words = text.toLowerCase().match(/(?:[^\s"]|"[^"]*"?)+/g);
  if (!words) return undefined;
  const tests = words.map((word) => test(trace, word.replaceAll('"', '')));
  const matches = new Uint8Array(trace.spanCount);
  let count = 0;
  for (let row = 0; row < trace.spanCount; row++) {
    if (!tests.every((fits) => fits(row))) continue;
    matches[row] = 1;
    count++;
  }
  return { matches, count };
}

function test(trace: Trace, word: string): Test {
  if (word === 'error') return (row) => (trace.flags[row]! & FLAG_ERROR) !== 0;
  const bound = /^duration(>=?|<=?)(.+)$/.exec(word);
  const us = bound ? parseDuration(bound[2]!) : undefined;
  if (bound && us !== undefined) {
    return bound[1]!.startsWith('>') ? (row) => trace.duration[row]! >= us : (row) => trace.duration[row]! <= us;
  }
  const [, field, rest] = /^(service|span|name|remote):(.*)$/.exec(word) ?? [undefined, '', word];
  const services = tableOf(trace.services, rest!);
  const names = tableOf(trace.names, rest!);
  const service: Test = (row) => services[trace.service[row]!] === 1;
  const name: Test = (row) => names[trace.name[row]!] === 1;
  const remote: Test = (row) => trace.remote[row]! !== NO_REMOTE && services[trace.remote[row]!] === 1;
  if (field === 'service') return service;
  if (field === 'remote') return remote;
  if (field !== '') return name;
  return (row) => name(row) || service(row) || remote(row);
}

function tableOf(strings: readonly string[], part: string): Uint8Array {
  return Uint8Array.from(strings, (text) => (text.toLowerCase().includes(part) ? 1 : 0));
}
