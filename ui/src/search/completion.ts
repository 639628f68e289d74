// Completion in the query bar. In: the text and where the cursor stands. Out: which word is being typed, what may replace it and
// where the server has to be asked for that.
import { quoted, tokens } from './query';

/** What the list under the bar should hold for the word at the cursor. */
export interface Asked {
  start: number;
  end: number;
  /** What the server is asked for: keys of tags, a field's or tag's values, or nothing. */
  source: 'keys' | 'values' | 'fixed' | 'none';
  /** The field or the tag whose values are asked for; `has` takes keys. */
  key: string;
  /** What stands before the value: `-service:`, `http.route!=`. */
  lead: string;
  /** What has been typed of it. */
  typed: string;
  /** The service the text names, for names of spans. */
  service: string;
}

export interface Offer {
  /** What is shown. */
  label: string;
  hint?: string;
  /** What the word becomes; `open` keeps the list open because the word is not done yet. */
  text: string;
  open: boolean;
}

const FIXED: Record<string, readonly string[]> = {
  kind: ['client', 'server', 'producer', 'consumer', 'internal', 'unset'],
  status: ['error', 'ok', 'unset'],
};
const SAME: Record<string, string> = { span: 'name', operation: 'name' };

export function askedAt(text: string, cursor: number): Asked {
  const list = tokens(text);
  const token = list.find((t) => t.start <= cursor && cursor <= t.end && t.kind !== 'word');
  const word = token ? text.slice(token.start, cursor) : '';
  const service = /^service[:=]"?([^"]+)"?$/i.exec(list.find((t) => t !== token && /^service[:=]/i.test(t.text))?.text ?? '')?.[1] ?? '';
  const place = { start: token?.start ?? cursor, end: token?.end ?? cursor, service };
  const field = /^(-?)(service|name|span|operation|remote|kind|status|has)(:|!?=)"?/i.exec(word);
  if (field) {
    const key = field[2]!.toLowerCase();
    const lead = `${field[1]!}${key}${field[3]!}`;
    const typed = word.slice(field[0].length);
    if (key in FIXED) return { ...place, source: 'fixed', key, lead, typed };
    return { ...place, source: key === 'has' ? 'keys' : 'values', key: SAME[key] ?? key, lead, typed };
  }
  if (/^-?(duration|start)[<>=!]/i.test(word)) return { ...place, source: 'none', key: '', lead: '', typed: word };
  const tag = /^-?("(?:[^"\\]|\\.)*"|[^"\s<>=!:]+)(!?=)"?/.exec(word);
  if (tag) return { ...place, source: 'values', key: tag[1]!.replace(/^"|"$/g, ''), lead: word.startsWith('-') ? `-${tag[1]!}${tag[2]!}` : `${tag[1]!}${tag[2]!}`, typed: word.slice(tag[0].length) };
  return { ...place, source: 'keys', key: '', lead: word.startsWith('-') ? '-' : '', typed: word.replace(/^-/, '') };
}

/** The offers that fit what was typed: those that begin with it first, then those that contain it; at most `most`. */
export function offersFor(asked: Asked, values: readonly string[], most = 50): Offer[] {
  const typed = asked.typed.toLowerCase();
  const keys = asked.source === 'keys' && asked.key !== 'has';
  const write = (value: string): Offer => ({ label: value, text: keys ? `${asked.lead}${value}=` : `${asked.lead}${quoted(value)}`, open: keys });
  const first: Offer[] = [];
  const second: Offer[] = [];
  for (const value of asked.source === 'fixed' ? FIXED[asked.key]! : values) {
    const at = value.toLowerCase().indexOf(typed);
    if (at === 0) first.push(write(value));
    else if (at > 0) second.push(write(value));
    if (first.length >= most) break;
  }
  return [...first, ...second].slice(0, most);
}

/** The words the bar itself knows, offered before the server's tag keys. */
export const WORDS: readonly { text: string; open: boolean; hint: 'service' | 'name' | 'remote' | 'min' | 'max' | 'error' | 'kind' | 'has' }[] = [
  { text: 'service:', open: true, hint: 'service' },
  { text: 'name:', open: true, hint: 'name' },
  { text: 'status:error', open: false, hint: 'error' },
  { text: 'duration>', open: true, hint: 'min' },
  { text: 'duration<', open: true, hint: 'max' },
  { text: 'remote:', open: true, hint: 'remote' },
  { text: 'kind:', open: true, hint: 'kind' },
  { text: 'has:', open: true, hint: 'has' },
];

/** The text after taking an offer, and where the cursor goes. */
export function take(text: string, asked: Asked, offer: Offer): { text: string; cursor: number } {
  const tail = text.slice(asked.end);
  const gap = offer.open || tail.startsWith(' ') ? '' : ' ';
  const cursor = asked.start + offer.text.length + (offer.open ? 0 : 1);
  return { text: text.slice(0, asked.start) + offer.text + gap + tail, cursor };
}
