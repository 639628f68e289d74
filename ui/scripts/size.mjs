// Holds the page to its size, brotli: at most 60 kB for the first load, 150 kB for everything.
import { readdirSync, readFileSync } from 'node:fs';

const FIRST_KB_MAX = 60;
const WHOLE_KB_MAX = 150;
const dist = new URL('../dist/', import.meta.url);

const html = readFileSync(new URL('index.html', dist), 'utf8');
const sizes = ['index.html', ...readdirSync(new URL('assets/', dist)).map((name) => `assets/${name}`)]
  .filter((name) => !/\.(br|gz)$/.test(name))
  .map((name) => ({ name, first: name === 'index.html' || html.includes(name), bytes: readFileSync(new URL(`${name}.br`, dist)).length }));

const sum = (list) => list.reduce((total, file) => total + file.bytes, 0) / 1000;
for (const { name, first, bytes } of sizes) console.log(`${(bytes / 1000).toFixed(1).padStart(7)} kB  ${first ? 'first load' : 'later     '}  ${name}`);
const first = sum(sizes.filter((file) => file.first));
const whole = sum(sizes);
console.log(`first load ${first.toFixed(1)} of ${FIRST_KB_MAX} kB, whole ${whole.toFixed(1)} of ${WHOLE_KB_MAX} kB (brotli)`);
if (first > FIRST_KB_MAX || whole > WHOLE_KB_MAX) {
  console.error('the page is over its budget');
  process.exit(1);
}
