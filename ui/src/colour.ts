// Service colours. In: the names of the services on a page and of all the server knows. Out: a slot for each. The slot comes from a hash
// of the name; services that hash alike are told apart in name order. Where the server knows no more than twelve, that is done among all
// of them, and a service looks the same on every page and for everybody; beyond, it is done page by page, because stripes (the same hues
// again, from the thirteenth service on) would fill pages that need none. The hues keep clear of red, which means error and nothing else.

export const HUES = 12;

/**
 * [light theme, dark theme]. Measured: smallest distance of two hues in OKLab × 100 is 9.4 and 10.4, under simulated protanopia 9.4 and
 * 10.1, deuteranopia 9.3 and 10.2; contrast to the ground is at least 3:1; distance to the error red is at least 21.9 and 17.6.
 */
export const PALETTE: readonly (readonly [string, string])[] = [
  ['#6390bd', '#9bacf7'],
  ['#218579', '#46717b'],
  ['#b88833', '#f9e03f'],
  ['#645bdf', '#6e4fc1'],
  ['#293ebb', '#b1b590'],
  ['#3873a7', '#9fecff'],
  ['#9180fa', '#9284fb'],
  ['#02685e', '#588e6a'],
  ['#6c6f13', '#b59500'],
  ['#444883', '#a290b0'],
  ['#585000', '#8d5e00'],
  ['#59a383', '#b4f1ad'],
];

/** Service name → slot; slots from `HUES` on are striped. */
export type Slots = ReadonlyMap<string, number>;

export function assignSlots(names: Iterable<string>, known: readonly string[] = []): Slots {
  const homes = pass(known.length <= HUES ? known : [], (name) => hash(name) % HUES);
  const sorted = [...new Set(names)].sort();
  // Those with a home go first: a service the server does not list (a database, say) must not take one away.
  return pass([...sorted.filter((name) => homes.has(name)), ...sorted.filter((name) => !homes.has(name))], (name) => homes.get(name) ?? hash(name) % HUES, true);
}

/** The class that paints a DOM element in a slot's colour (`paintPalette` defines what it shows). */
export function slotClass(slot: number): string {
  return `hue-${slot % HUES}${slot >= HUES ? ' striped' : ''}`;
}

/** Hands the palette to the style sheet: one custom property a hue, light and dark. */
export function paintPalette(style: CSSStyleDeclaration): void {
  PALETTE.forEach(([light, dark], hue) => style.setProperty(`--hue-${hue}`, `light-dark(${light}, ${dark})`));
}

function pass(names: readonly string[], wanted: (name: string) => number, ordered = false): Map<string, number> {
  const slots = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of ordered ? names : [...names].sort()) {
    const slot = freeSlot(wanted(name), taken);
    slots.set(name, slot);
    taken.add(slot);
  }
  return slots;
}

/** The slot wanted, else the next free one without stripes, else with; when all are taken services share. */
function freeSlot(first: number, taken: ReadonlySet<number>): number {
  if (!taken.has(first)) return first;
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
