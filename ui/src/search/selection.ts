// A region of the picture over the results: a stretch of time, of durations, or both. In: an address. Out: a `Selection`, and back; the
// condition that selects the same spans (docs/page-api.md, `compare`).
import { writeDuration } from '../format';

export interface Selection {
  /** Microseconds since the epoch; absent where the whole time is meant. */
  from_us?: number;
  to_us?: number;
  /** Microseconds. */
  min_us?: number;
  max_us?: number;
}

/** `from-to-min-max`, empty where there is no bound. */
export function readSelection(text: string | null): Selection | undefined {
  const match = /^(\d*)-(\d*)-(\d*)-(\d*)$/.exec(text ?? '');
  if (!match || match[0] === '---') return undefined;
  const [from_us, to_us, min_us, max_us] = match.slice(1).map((part) => (part === '' ? undefined : Number(part)));
  return { from_us, to_us, min_us, max_us };
}

export function writeSelection({ from_us, to_us, min_us, max_us }: Selection): string {
  return [from_us, to_us, min_us, max_us].map((bound) => (bound === undefined ? '' : String(Math.round(bound)))).join('-');
}

export function conditionsOf({ from_us, to_us, min_us, max_us }: Selection): string {
  const terms: string[] = [];
  if (from_us !== undefined) terms.push(`start>=${Math.round(from_us)}`);
  if (to_us !== undefined) terms.push(`start<=${Math.round(to_us)}`);
  if (min_us !== undefined) terms.push(`duration>=${writeDuration(Math.round(min_us))}`);
  if (max_us !== undefined) terms.push(`duration<=${writeDuration(Math.round(max_us))}`);
  return terms.join(' ');
}

export function isInside(selection: Selection, start_us: number, duration_us: number): boolean {
  const { from_us = -Infinity, to_us = Infinity, min_us = -Infinity, max_us = Infinity } = selection;
  return start_us >= from_us && start_us <= to_us && duration_us >= min_us && duration_us <= max_us;
}
