// Every page and state at two widths: axe finds nothing in either theme, nothing is wider than the window.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axe, close, failed, kafka, LARGE, open, orphan } from './harness.mjs';

const STATES = [
  ['search', () => '', 'trace-row'],
  ['query with completion', () => '?q=service:cart+status:error', 'trace-row', { then: (page) => page.locator('#query').click() }],
  ['time range', () => '', 'trace-row', { then: (page) => page.getByRole('button', { name: /^Time range/ }).click() }],
  ['no results', () => '?q=service:cart', 'no-results', { mode: 'nothing' }],
  ['first span', () => '', 'first-span', { mode: 'empty' }],
  ['failure', () => '', 'failure', { mode: 'failing', complaints: true }],
  ['trace', () => `trace/${kafka}`, 'span-row'],
  ['trace with details and find', () => `trace/${failed}?span=0&q=error`, 'span-tags'],
  ['trace with missing parent', () => `trace/${orphan}`, 'span-row'],
  ['large trace', () => `trace/${LARGE}`, 'span-row'],
  ['unknown trace', () => 'trace/abcdef0123456789', 'trace-not-found', { complaints: true }],
  ['map', () => 'map', 'map-node'],
  ['map in focus', () => 'map?focus=gateway', 'link-row'],
  ['empty map', () => 'map', 'no-links', { mode: 'empty' }],
  ['partly searched', () => '', 'trace-row', { mode: 'partial' }],
  ['search with facets, columns and a reason', () => '?cols=http.method&sel=--200000-&why=1', 'why-row'],
  ['histogram', () => '?strip=histogram', 'trace-row'],
  ['heat', () => '?strip=heat&facets=off', 'trace-row'],
  ['flame', () => `trace/${LARGE}?view=flame`, 'flame'],
  ['trace table', () => `trace/${LARGE}?view=table`, 'table-row'],
  ['trace map', () => `trace/${failed}?view=map`, 'call-row'],
  ['trace logs', () => `trace/${failed}?view=logs`, 'log-row'],
  ['group with details', () => `trace/${LARGE}?fold=D1`, 'span-row'],
  ['compare', () => `compare?a=${failed}&b=${kafka}`, 'compare-row'],
  ['compare, empty', () => 'compare', 'compare-a'],
  ['open', () => 'open', 'drop-zone'],
  ['services', () => 'services', 'service-row'],
  ['operations', () => 'services?service=gateway', 'service-row'],
  ['no services', () => 'services', 'no-services', { mode: 'empty' }],
  ['live', () => 'live', 'live-row'],
  ['status', () => 'status', 'status-store'],
  ['palette', () => '', 'trace-row', { then: (page) => page.keyboard.press('Control+k') }],
  ['keyboard sheet', () => '', 'trace-row', { then: (page) => page.keyboard.press('?') }],
];

for (const scheme of ['light', 'dark']) {
  for (const width of [1440, 375]) {
    for (const [name, path, testid, options = {}] of STATES) {
      test(`axe: ${name}, ${scheme}, ${width} px`, async () => {
        const page = await open(path(), { ...options, scheme, width });
        await page.getByTestId(testid).first().waitFor({ state: 'attached' });
        await options.then?.(page);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
        assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 3).join(' | ')}`), []);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${overflow} px wider than the window`);
        await close(page);
      });
    }
  }
}
