// Service colours. In: the names of all services on a page. Out: a slot for each. The slot comes from a hash of the name, so that a
// service looks the same for everybody; two services of one page that hash alike are told apart in name order. After twelve
// services the same hues come again with stripes. The hues keep clear of red, which means error and nothing else.

export const HUES = 12;

/** [light theme, dark theme]; pairwise distance and contrast were measured, also under simulated colour blindness. */
export const PALETTE: readonly (readonly [string, string])[] = [
  ['#668af9', '#9bacf7'],
  ['#47707d', '#46717b'],
  ['#8b9d26', '#f9e03f'],
  ['#332492', '#6e4fc1'],
  ['#8d7f5e', '#b1b590'],
  ['#6e9c9f', '#9fecff'],
  ['#5a56c7', '#9284fb'],
  ['#3c5b46', '#588e6a'],
  ['#726c03', '#b59500'],
  ['#8871b9', '#a290b0'],
  ['#3e4100', '#8d5e00'],
  ['#403754', '#b4f1ad'],
];

/** Service name → slot; slots from `HUES` on are striped. */
export type Slots = ReadonlyMap<string, number>;

export function assignSlots(names: Iterable<string>): Slots {
  const slots = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of [...new Set(names)].sort()) {
    const slot = freeSlot(hash(name) % HUES, taken);
    slots.set(name, slot);
    taken.add(slot);
  }
  return slots;
}

/** The class that paints a DOM element in a slot's colour (`paintPalette` defines what it shows). */
export function slotClass(slot: number): string {
  return `hue-${slot % HUES}${slot >= HUES ? ' striped' : ''}`;
}

/** Hands the palette to the style sheet: one custom property a hue, light and dark. */
export function paintPalette(style: CSSStyleDeclaration): void {
  PALETTE.forEach(([light, dark], hue) => style.setProperty(`--hue-${hue}`, `light-dark(${light}, ${dark})`));
}

function freeSlot(first: number, taken: ReadonlySet<number>): number {
  for (const stripes of [0, HUES]) {
    for (let step = 0; step < HUES; step++) {
      const slot = ((first + step * 5) % HUES) + stripes;
      if (!taken.has(slot)) return slot;
    }
  }
  return first;
}

/** FNV-1a over UTF-16 units. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return (value ^ (value >>> 15)) >>> 0;
}
