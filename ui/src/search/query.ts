// What is searched for. In: an address (Zipkin's parameter names, so that old links work) or the text of the query bar. Out: a
// `SearchQuery`, and back as text, address or parameters of the API.
import { parseDuration, writeDuration } from '../format';
import { apiTimeRange, readTimeRange, writeTimeRange, type TimeRange } from '../timerange';

/** A condition on tags and annotations: a key (or an annotation's text) alone, or a tag and its value. */
export interface TagTerm {
  key: string;
  value?: string;
}

export interface Conditions {
  service?: string;
  span?: string;
  remote?: string;
  tags: TagTerm[];
  min_us?: number;
  max_us?: number;
}

export interface SearchQuery extends Conditions {
  time: TimeRange;
  limit: number;
}

export type TokenKind = 'service' | 'span' | 'remote' | 'duration' | 'tag';

/** One word of the query bar: where it stands, what it means, what is wrong with it. */
export interface Token {
  start: number;
  end: number;
  kind: TokenKind;
  text: string;
  problem?: Problem;
}

export type Problem = 'duration' | 'empty' | 'twice' | 'and' | 'quote';

export const LIMITS: readonly number[] = [20, 100, 250, 1000];
export const LIMIT_MAX = 10_000;

export function readQuery(params: URLSearchParams, defaults: { lookback_ms: number; limit: number }): SearchQuery {
  const limit = Number(params.get('limit'));
  return {
    service: named(params.get('serviceName')),
    span: named(params.get('spanName')),
    remote: named(params.get('remoteServiceName')),
    tags: parseAnnotationQuery(params.get('annotationQuery') ?? ''),
    min_us: duration(params.get('minDuration')),
    max_us: duration(params.get('maxDuration')),
    time: readTimeRange(params, defaults.lookback_ms),
    limit: Number.isInteger(limit) && limit > 0 ? Math.min(limit, LIMIT_MAX) : defaults.limit,
  };
}

/** The address of a search; what equals the default stays out, so that the plain page has a plain address. */
export function writeQuery(query: SearchQuery, defaults: { lookback_ms: number; limit: number }): URLSearchParams {
  const params = new URLSearchParams();
  writeConditions(params, query);
  if (query.time.kind !== 'last' || query.time.ms !== defaults.lookback_ms) writeTimeRange(params, query.time);
  if (query.limit !== defaults.limit) params.set('limit', String(query.limit));
  return params;
}

export function apiParams(query: SearchQuery): URLSearchParams {
  const params = new URLSearchParams();
  writeConditions(params, query);
  apiTimeRange(params, query.time);
  params.set('limit', String(query.limit));
  return params;
}

/** Splits the query bar's text. Never fails: what cannot be searched for carries a problem. */
export function parseText(text: string): { tokens: Token[]; conditions: Conditions } {
  const tokens: Token[] = [];
  const conditions: Conditions = { tags: [] };
  for (const word of words(text)) {
    const token: Token = { ...word, kind: 'tag' };
    if (word.open) token.problem = 'quote';
    read(token, conditions);
    tokens.push(token);
  }
  return { tokens, conditions };
}

export function writeText(conditions: Conditions): string {
  const parts: string[] = [];
  if (conditions.service) parts.push(`service:${quoted(conditions.service)}`);
  if (conditions.span) parts.push(`span:${quoted(conditions.span)}`);
  if (conditions.remote) parts.push(`remote:${quoted(conditions.remote)}`);
  if (conditions.min_us !== undefined) parts.push(`duration>${writeDuration(conditions.min_us)}`);
  if (conditions.max_us !== undefined) parts.push(`duration<${writeDuration(conditions.max_us)}`);
  for (const { key, value } of conditions.tags) parts.push(value === undefined ? quoted(key) : `${key}=${quoted(value)}`);
  return parts.join(' ');
}

/** Zipkin's `a and b=c`; the last of several values of one key wins, as there. */
export function parseAnnotationQuery(text: string): TagTerm[] {
  const terms: TagTerm[] = [];
  for (const part of text.split(' and ')) {
    const term = part.trim();
    if (term === '') continue;
    const equals = term.indexOf('=');
    if (equals <= 0) terms.push({ key: term });
    else terms.push({ key: term.slice(0, equals).trim(), value: term.slice(equals + 1).trim() });
  }
  return terms;
}

export function writeAnnotationQuery(terms: readonly TagTerm[]): string {
  return terms.map(({ key, value }) => (value === undefined ? key : `${key}=${value}`)).join(' and ');
}

/** A trace id typed or pasted into the query bar. */
export function asTraceId(text: string): string | undefined {
  const id = text.trim().toLowerCase();
  return /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/.test(id) ? id : undefined;
}

export function countTerms(conditions: Conditions): number {
  return writeTerms(conditions).length;
}

/** Every condition as text with the query that lacks it: what "drop one term" offers. */
export function writeTerms(conditions: Conditions): { text: string; without: Conditions }[] {
  const list: { text: string; without: Conditions }[] = [];
  for (const key of ['service', 'span', 'remote', 'min_us', 'max_us'] as const) {
    if (conditions[key] === undefined) continue;
    list.push({ text: writeText({ tags: [], [key]: conditions[key] }), without: { ...conditions, [key]: undefined } });
  }
  conditions.tags.forEach((term, index) =>
    list.push({ text: writeText({ tags: [term] }), without: { ...conditions, tags: conditions.tags.filter((_, i) => i !== index) } }),
  );
  return list;
}

export function quoted(text: string): string {
  return /[\s"]/.test(text) || text === '' ? `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : text;
}

function writeConditions(params: URLSearchParams, query: Conditions): void {
  if (query.service) params.set('serviceName', query.service);
  if (query.span) params.set('spanName', query.span);
  if (query.remote) params.set('remoteServiceName', query.remote);
  if (query.tags.length > 0) params.set('annotationQuery', writeAnnotationQuery(query.tags));
  if (query.min_us !== undefined) params.set('minDuration', String(query.min_us));
  if (query.max_us !== undefined) params.set('maxDuration', String(query.max_us));
}

const PREFIXES: Record<string, 'service' | 'span' | 'remote'> = {
  'service:': 'service',
  'span:': 'span',
  'name:': 'span',
  'remote:': 'remote',
};

function read(token: Token, conditions: Conditions): void {
  for (const [prefix, key] of Object.entries(PREFIXES)) {
    if (!token.text.toLowerCase().startsWith(prefix)) continue;
    token.kind = key;
    const value = unquoted(token.text.slice(prefix.length));
    if (value === '') token.problem = 'empty';
    else if (conditions[key] !== undefined) token.problem = 'twice';
    else conditions[key] = value;
    return;
  }
  const bound = /^duration(>=?|<=?)(.*)$/i.exec(token.text);
  if (bound) return readBound(token, bound[1]!, bound[2]!, conditions);
  readTag(token, conditions);
}

function readBound(token: Token, sign: string, text: string, conditions: Conditions): void {
  token.kind = 'duration';
  const key = sign.startsWith('>') ? 'min_us' : 'max_us';
  const us = parseDuration(text);
  if (us === undefined) token.problem = 'duration';
  else if (conditions[key] !== undefined) token.problem = 'twice';
  else conditions[key] = us;
}

function readTag(token: Token, conditions: Conditions): void {
  const equals = token.text.startsWith('"') ? -1 : token.text.indexOf('=');
  const term: TagTerm =
    equals > 0
      ? { key: token.text.slice(0, equals), value: unquoted(token.text.slice(equals + 1)) }
      : { key: unquoted(token.text) };
  // Zipkin's API joins terms with " and " and knows no escape: such a value cannot be asked for.
  if (` ${term.key} ${term.value ?? ''} `.includes(' and ') && term.key !== 'and') token.problem = 'and';
  else if (term.value === '' || term.key === '') token.problem = 'empty';
  else if (term.key.toLowerCase() !== 'and') conditions.tags.push(term);
}

function words(text: string): { start: number; end: number; text: string; open: boolean }[] {
  const found = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at++;
      continue;
    }
    const start = at;
    let open = false;
    while (at < text.length && (open || !/\s/.test(text[at]!))) {
      if (text[at] === '\\' && open) at++;
      else if (text[at] === '"') open = !open;
      at++;
    }
    at = Math.min(at, text.length);
    found.push({ start, end: at, text: text.slice(start, at), open });
  }
  return found;
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  const body = text.endsWith('"') && text.length > 1 ? text.slice(1, -1) : text.slice(1);
  return body.replace(/\\(.)/g, '$1');
}

function named(text: string | null): string | undefined {
  // Zipkin's pages write "all" for "any".
  return text === null || text === '' || text === 'all' ? undefined : text;
}

function duration(text: string | null): number | undefined {
  const us = text === null || text === '' ? undefined : parseDuration(text);
  return us === 0 ? undefined : us;
}
