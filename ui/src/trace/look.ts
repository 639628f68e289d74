// How the canvases look. In: the theme. Out: resolved colours of the style sheet, one fill for each palette slot (striped ones as
// patterns), and the sizes that painting and hit testing share.
import { HUES, PALETTE } from '../colour';
import { resolveColours } from '../theme.svelte';

export const ROW_HEIGHT = 22;
export const BAR_HEIGHT = 12;
export const INDENT = 12;
export const FONT = '12.5px';
export const SMALL_FONT = '11.5px';

const PROPERTIES = ['ground', 'raised', 'hover', 'chosen', 'line', 'line-strong', 'ink', 'ink-2', 'accent', 'error', 'error-ground', 'warning', 'match'] as const;

export interface Look {
  colours: Record<(typeof PROPERTIES)[number], string>;
  dark: boolean;
  sans: string;
  /** Fill of a slot, solid. */
  fills: (string | CanvasPattern)[];
  /** `#rrggbb` of a slot's hue. */
  hues: string[];
  /** Laid over what outlives its parent. */
  hatch: CanvasPattern;
}

export function makeLook(dark: boolean, context: CanvasRenderingContext2D): Look {
  const colours = resolveColours(PROPERTIES);
  const hues = Array.from({ length: HUES * 2 }, (_, slot) => PALETTE[slot % HUES]![dark ? 1 : 0]);
  const fills = hues.map((hue, slot) => (slot < HUES ? hue : stripes(context, hue, colours.ground)));
  return { colours, dark, sans: getComputedStyle(document.body).fontFamily, fills, hues, hatch: hatching(context, colours.ground) };
}

function hatching(context: CanvasRenderingContext2D, ground: string): CanvasPattern {
  const tile = new OffscreenCanvas(4, 4);
  const pen = tile.getContext('2d')!;
  pen.strokeStyle = ground;
  pen.lineWidth = 1.4;
  pen.beginPath();
  for (const at of [-4, 0, 4]) {
    pen.moveTo(at - 1, -1);
    pen.lineTo(at + 5, 5);
  }
  pen.stroke();
  return context.createPattern(tile, 'repeat')!;
}

function stripes(context: CanvasRenderingContext2D, hue: string, ground: string): CanvasPattern {
  const size = 6;
  const tile = new OffscreenCanvas(size, size);
  const pen = tile.getContext('2d')!;
  pen.fillStyle = hue;
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = ground;
  pen.globalAlpha = 0.6;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (const at of [-size, 0, size]) {
    pen.moveTo(at - 1, size + 1);
    pen.lineTo(at + size + 1, -1);
  }
  pen.stroke();
  return context.createPattern(tile, 'repeat')!;
}

/** Text cut to a width with an ellipsis; measured once for each text and width. */
export class TextFitter {
  private readonly kept = new Map<string, string>();
  private static readonly KEPT_MAX = 20_000;

  fit(context: CanvasRenderingContext2D, text: string, width: number): string {
    const key = `${Math.round(width)}|${context.font.length}|${text}`;
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    if (this.kept.size > TextFitter.KEPT_MAX) this.kept.clear();
    const cut = this.cut(context, text, width);
    this.kept.set(key, cut);
    return cut;
  }

  private cut(context: CanvasRenderingContext2D, text: string, width: number): string {
    if (context.measureText(text).width <= width) return text;
    let low = 0;
    let high = Math.min(text.length, 400);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
      else high = middle - 1;
    }
    return low === 0 ? '' : `${text.slice(0, low)}…`;
  }
}
