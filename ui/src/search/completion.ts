// Completion in the query bar. In: the text and where the cursor stands. Out: which word is being typed, what may replace it and
// where the server has to be asked for that.
import { parseText, quoted, type Conditions } from './query';

/** What the list under the bar should hold for the word at the cursor. */
export interface Asked {
  start: number;
  end: number;
  source: 'keys' | 'services' | 'spans' | 'remotes' | 'values' | 'none';
  /** The tag whose values are asked for. */
  key?: string;
  /** What has been typed of it. */
  typed: string;
  conditions: Conditions;
}

export interface Offer {
  /** What is shown. */
  label: string;
  hint?: string;
  /** What the word becomes; `open` keeps the list open because the word is not done yet. */
  text: string;
  open: boolean;
}

export function askedAt(text: string, cursor: number): Asked {
  const { tokens, conditions } = parseText(text);
  const token = tokens.find((t) => t.start <= cursor && cursor <= t.end);
  const word = token ? text.slice(token.start, cursor) : '';
  const place = { start: token?.start ?? cursor, end: token?.end ?? cursor, conditions };
  const prefix = /^(service|span|name|remote):"?/i.exec(word);
  if (prefix) {
    const sources = { service: 'services', span: 'spans', name: 'spans', remote: 'remotes' } as const;
    const source = sources[prefix[1]!.toLowerCase() as keyof typeof sources];
    return { ...place, source, typed: word.slice(prefix[0].length) };
  }
  if (/^duration[<>]/i.test(word)) return { ...place, source: 'none', typed: word };
  const equals = word.startsWith('"') ? -1 : word.indexOf('=');
  if (equals > 0) return { ...place, source: 'values', key: word.slice(0, equals), typed: word.slice(equals + 1).replace(/^"/, '') };
  return { ...place, source: 'keys', typed: word };
}

/** The offers that fit what was typed: those that begin with it first, then those that contain it; at most `most`. */
export function offersFor(asked: Asked, values: readonly string[], most = 50): Offer[] {
  const typed = asked.typed.toLowerCase();
  const write = (value: string): Offer => {
    if (asked.source === 'values') return { label: value, text: `${asked.key}=${quoted(value)}`, open: false };
    if (asked.source === 'keys') return { label: value, text: `${value}=`, open: true };
    const prefix = asked.source === 'services' ? 'service:' : asked.source === 'spans' ? 'span:' : 'remote:';
    return { label: value, text: prefix + quoted(value), open: false };
  };
  const first: Offer[] = [];
  const second: Offer[] = [];
  for (const value of values) {
    const at = value.toLowerCase().indexOf(typed);
    if (at === 0) first.push(write(value));
    else if (at > 0) second.push(write(value));
    if (first.length >= most) break;
  }
  return [...first, ...second].slice(0, most);
}

/** The words the bar itself knows, offered before the server's tag keys. */
export const WORDS: readonly { text: string; open: boolean; hint: 'service' | 'span' | 'remote' | 'min' | 'max' | 'error' }[] = [
  { text: 'service:', open: true, hint: 'service' },
  { text: 'span:', open: true, hint: 'span' },
  { text: 'remote:', open: true, hint: 'remote' },
  { text: 'duration>', open: true, hint: 'min' },
  { text: 'duration<', open: true, hint: 'max' },
  { text: 'error', open: false, hint: 'error' },
];

/** The text after taking an offer, and where the cursor goes. */
export function take(text: string, asked: Asked, offer: Offer): { text: string; cursor: number } {
  const tail = text.slice(asked.end);
  const gap = offer.open || tail.startsWith(' ') ? '' : ' ';
  const cursor = asked.start + offer.text.length + (offer.open ? 0 : 1);
  return { text: text.slice(0, asked.start) + offer.text + gap + tail, cursor };
}
