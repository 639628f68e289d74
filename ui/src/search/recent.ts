// The queries searched for in this browser, the newest first.
const KEY = 'tracewell.recent';
const MOST = 8;

export function recentQueries(): string[] {
  try {
    const list = JSON.parse(localStorage.getItem(KEY) ?? '[]') as unknown;
    return Array.isArray(list) ? list.filter((q): q is string => typeof q === 'string').slice(0, MOST) : [];
  } catch {
    return [];
  }
}

export function rememberQuery(text: string): void {
  const q = text.trim();
  if (q === '') return;
  try {
    localStorage.setItem(KEY, JSON.stringify([q, ...recentQueries().filter((other) => other !== q)].slice(0, MOST)));
  } catch {
    // Storage may be forbidden: then nothing is remembered.
  }
}
