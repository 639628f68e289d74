// Light or dark. In: the system's wish and the user's. Out: `data-theme` on the root element (the style sheet does the rest with
// light-dark()) and a reactive `theme` for what is drawn on a canvas.

export type Wish = 'auto' | 'light' | 'dark';
const KEY = 'tracewell.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

class Theme {
  wish: Wish = $state(read());
  systemDark = $state(system.matches);
  dark = $derived(this.wish === 'auto' ? this.systemDark : this.wish === 'dark');
}

export const theme = new Theme();

export function startTheme(): void {
  show();
  system.addEventListener('change', () => (theme.systemDark = system.matches));
}

export function nextTheme(): void {
  const order: Wish[] = ['auto', 'light', 'dark'];
  theme.wish = order[(order.indexOf(theme.wish) + 1) % order.length]!;
  keep(KEY, theme.wish);
  show();
}

/** A colour of the style sheet as the canvas wants it: custom properties resolved for the theme that is on. */
export function resolveColours<K extends string>(properties: readonly K[]): Record<K, string> {
  const probe = document.body.appendChild(document.createElement('i'));
  const colours = {} as Record<K, string>;
  for (const property of properties) {
    probe.style.color = `var(--${property})`;
    colours[property] = getComputedStyle(probe).color;
  }
  probe.remove();
  return colours;
}

/** A number the user set by dragging, kept in this browser. */
export function keptNumber(key: string, otherwise: number): number {
  try {
    const value = Number(localStorage.getItem(`tracewell.${key}`) ?? NaN);
    return Number.isFinite(value) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

export function keepNumber(key: string, value: number): void {
  keep(`tracewell.${key}`, String(value));
}

function read(): Wish {
  try {
    const wish = localStorage.getItem(KEY);
    return wish === 'light' || wish === 'dark' ? wish : 'auto';
  } catch {
    return 'auto';
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

function show(): void {
  if (theme.wish === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.wish;
}
