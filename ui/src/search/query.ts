// What is searched for. In: an address: ours, or Zipkin's, which is translated. Out: a `SearchQuery`, a text in the server's query
// language (docs/query-language.md) and a time range; and back. The server alone judges whether a text is a query: what is found out
// here about its words serves colours and completion.
import { parseDuration, writeDuration } from '../format';
import { readTimeRange, writeTimeRange, type TimeRange } from '../timerange';

export interface SearchQuery {
  q: string;
  time: TimeRange;
}

export type TokenKind = 'field' | 'duration' | 'tag' | 'text' | 'word';

/** One word of the query bar: where it stands and what it looks like. */
export interface Token {
  start: number;
  end: number;
  kind: TokenKind;
  text: string;
}

export function readQuery(params: URLSearchParams, defaults: { lookback_ms: number }): SearchQuery {
  return { q: params.get('q')?.trim() ?? fromZipkin(params), time: readTimeRange(params, defaults.lookback_ms) };
}

/** The address of a search; what equals the default stays out, so that the plain page has a plain address. */
export function writeQuery(query: SearchQuery, defaults: { lookback_ms: number }): URLSearchParams {
  const params = new URLSearchParams();
  if (query.q !== '') params.set('q', query.q);
  if (query.time.kind !== 'last' || query.time.ms !== defaults.lookback_ms) writeTimeRange(params, query.time);
  return params;
}

/** Zipkin's parameters, those of `/zipkin/?serviceName=…` and of its older pages, as a text. */
export function fromZipkin(params: URLSearchParams): string {
  const terms: string[] = [];
  const named = (parameter: string, field: string) => {
    const value = params.get(parameter);
    // Zipkin's pages write "all" for "any".
    if (value && value !== 'all') terms.push(term(field, value));
  };
  named('serviceName', 'service');
  named('spanName', 'name');
  named('remoteServiceName', 'remote');
  for (const [parameter, sign] of [['minDuration', '>='], ['maxDuration', '<=']] as const) {
    const us = parseDuration(params.get(parameter) ?? '');
    if (us) terms.push(`duration${sign}${writeDuration(us)}`);
  }
  for (const part of (params.get('annotationQuery') ?? '').split(' and ')) {
    const text = part.trim();
    const equals = text.indexOf('=');
    if (text === '') continue;
    if (text === 'error') terms.push('status:error');
    else if (equals <= 0) terms.push(`has:${quoted(text)}`);
    else terms.push(tagTerm(text.slice(0, equals).trim(), text.slice(equals + 1).trim()));
  }
  return terms.join(' ');
}

/** True where an address holds a search in Zipkin's words. */
export function isZipkins(params: URLSearchParams): boolean {
  return !params.has('q') && fromZipkin(params) !== '';
}

export function term(field: string, value: string): string {
  return `${field}:${quoted(value)}`;
}

const FIELDS = ['service', 'name', 'span', 'operation', 'remote', 'kind', 'status', 'duration', 'start', 'has'];

/** A tag whose key is a field's name, or holds what the language uses, stands in quotes. */
export function tagTerm(key: string, value: string): string {
  const own = /^[\w./-]+$/.test(key) && !key.startsWith('-') && !FIELDS.includes(key.toLowerCase());
  return `${own ? key : `"${escaped(key)}"`}=${quoted(value)}`;
}

export function quoted(text: string): string {
  return /^[\w./@%+-]+$/.test(text) && !text.startsWith('-') && !/^(and|or|not)$/i.test(text) ? text : `"${escaped(text)}"`;
}

/** The text with a term more, or without it where it has it. */
export function toggleTerm(q: string, wanted: string): string {
  const found = tokens(q).find((token) => token.text === wanted);
  if (found) return (q.slice(0, found.start) + q.slice(found.end)).replace(/\s+/g, ' ').trim();
  const both = isSimple(q) || q.trim() === '' ? q.trim() : `(${q.trim()})`;
  return `${both} ${wanted}`.trim();
}

export function hasTerm(q: string, wanted: string): boolean {
  return tokens(q).some((token) => token.text === wanted);
}

/** No "or": every word has to hold, and may be left out by itself. */
export function isSimple(q: string): boolean {
  return !tokens(q).some((token) => token.kind === 'word');
}

/** Every condition as text, with the query that lacks it: what "drop one term" offers. */
export function withoutEach(q: string): { text: string; without: string }[] {
  if (!isSimple(q)) return [];
  return tokens(q).map((token) => ({ text: token.text, without: (q.slice(0, token.start) + q.slice(token.end)).replace(/\s+/g, ' ').trim() }));
}

/** The words of a text. Never fails. */
export function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at++;
      continue;
    }
    const start = at;
    if (text[at] === '(' || text[at] === ')') at++;
    else {
      let open = false;
      while (at < text.length && (open || !/[\s()]/.test(text[at]!))) {
        if (text[at] === '\\') at++;
        else if (text[at] === '"') open = !open;
        at++;
      }
      at = Math.min(at, text.length);
    }
    const word = text.slice(start, at);
    found.push({ start, end: at, text: word, kind: kindOf(word) });
  }
  return found;
}

function kindOf(word: string): TokenKind {
  if (/^(and|or|not|[()])$/i.test(word)) return 'word';
  if (/^-?(duration|start)[<>=!]/i.test(word)) return 'duration';
  if (/^-?(service|name|span|operation|remote|kind|status|has)(:|!?=)/i.test(word)) return 'field';
  return /^-?(?:[^"\s<>=!]+|"[^"]*")(!=|[<>]=?|=)/.test(word) ? 'tag' : 'text';
}

/** A trace id typed or pasted into the query bar. */
export function asTraceId(text: string): string | undefined {
  const id = text.trim().toLowerCase();
  return /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/.test(id) ? id : undefined;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
