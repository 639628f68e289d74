// Find in a trace. In: the text typed. Out: one byte a span, 1 where all its words match. Words are looked up in the string tables
// once; a span then costs a few table look-ups, whatever the size of the trace.
import { parseDuration } from '../format';
import { FLAG_ERROR, KINDS, NO_REMOTE, type Trace } from './columns';

export interface Found {
  matches: Uint8Array;
  count: number;
}

type Test = (row: number) => boolean;

/**
 * `undefined` where nothing is looked for. Words: `error`, `critical`, `duration>10ms`, `self>10ms`, `service:x`, `span:x`, `remote:x`,
 * `kind:client`, `event:x`, or part of any name; `-` before a word turns it round.
 */
export function findSpans(trace: Trace, text: string): Found | undefined {
  const words = text.toLowerCase().match(/(?:[^\s"]|"[^"]*"?)+/g);
  if (!words) return undefined;
  const tests = words.map((word) => negatable(trace, word.replaceAll('"', '')));
  const matches = new Uint8Array(trace.spanCount);
  let count = 0;
  for (let row = 0; row < trace.spanCount; row++) {
    if (!tests.every((fits) => fits(row))) continue;
    matches[row] = 1;
    count++;
  }
  return { matches, count };
}

function negatable(trace: Trace, word: string): Test {
  if (!word.startsWith('-') || word.length < 2) return test(trace, word);
  const fits = test(trace, word.slice(1));
  return (row) => !fits(row);
}

function test(trace: Trace, word: string): Test {
  if (word === 'error' || word === 'status:error') return (row) => (trace.flags[row]! & FLAG_ERROR) !== 0;
  if (word === 'critical') return (row) => trace.critical.share[row]! > 0;
  const [, what, sign, bound] = /^(duration|self)(>=?|<=?)(.+)$/.exec(word) ?? [];
  const us = bound === undefined ? undefined : parseDuration(bound);
  if (us !== undefined) {
    const times = what === 'self' ? trace.self : trace.duration;
    return sign!.startsWith('>') ? (row) => times[row]! >= us : (row) => times[row]! <= us;
  }
  const [, field, rest] = /^(service|span|name|remote|kind|event):(.*)$/.exec(word) ?? [undefined, '', word];
  if (field === 'kind') return (row) => KINDS[trace.kind[row]!]!.startsWith(rest!);
  if (field === 'event') return withEvent(trace, rest!);
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

function withEvent(trace: Trace, part: string): Test {
  const texts = tableOf(trace.eventTexts, part);
  const rows = new Uint8Array(trace.spanCount);
  for (let i = 0; i < trace.eventCount; i++) if (texts[trace.eventText[i]!] === 1) rows[trace.eventRow[i]!] = 1;
  return (row) => rows[row] === 1;
}

function tableOf(strings: readonly string[], part: string): Uint8Array {
  return Uint8Array.from(strings, (text) => (text.toLowerCase().includes(part) ? 1 : 0));
}
