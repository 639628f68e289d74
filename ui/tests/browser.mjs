// The page in headless Chromium against the fixture server: what a person does on each page, every state, and axe on all of them in
// both themes. Run by `npm run test:browser` after `npm run build`; CHROMIUM names another browser than Debian's.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startFixtureServer } from './fixture-server.mjs';

const ARGS = '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const LARGE = '00000000000000000000000b16002710';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let server, profile, context, kafka, failed, orphan;

before(async () => {
  server = await startFixtureServer();
  profile = mkdtempSync(join(tmpdir(), 'tracewell-ui-'));
  context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ARGS.split(' '),
    viewport: { width: 1440, height: 900 },
    bypassCSP: false,
  });
  const traces = [...server.data];
  kafka = traces.find(([, trace]) => trace.spans.length === 28)[0];
  failed = traces.find(([id, trace]) => id.startsWith('5af7') && trace.summary.errorCount > 0)[0];
  orphan = traces.find(([, trace]) => trace.rows[0].missing)[0];
});

after(async () => {
  await context?.close();
  server?.stop();
  if (profile) rmSync(profile, { recursive: true, force: true });
});

/** A page at an address below the base; what it complains about on its console fails the test. */
async function open(path, { mode = 'normal', scheme = 'light', width = 1440, complaints = false } = {}) {
  server.state.mode = mode;
  const page = await context.newPage();
  page.heard = [];
  page.on('console', (message) => message.type() === 'error' && page.heard.push(message.text()));
  page.on('pageerror', (error) => page.heard.push(String(error)));
  page.complaints = complaints;
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
  await page.setViewportSize({ width, height: 900 });
  await page.goto(`${server.origin}/zipkin/${path}`);
  return page;
}

async function close(page) {
  // A failing request is reported by the browser itself; a violated CSP or an exception never is all right.
  const heard = page.complaints ? page.heard.filter((text) => !text.startsWith('Failed to load resource')) : page.heard;
  assert.deepEqual(heard, []);
  await page.close();
}

const rows = (page) => page.getByTestId('span-row');
const names = (page) => rows(page).evaluateAll((list) => list.map((row) => `${row.dataset.depth} ${row.dataset.service} ${row.dataset.name}`));
const search = (page) => new URL(page.url()).search;
const until = (page, what, argument) => page.waitForFunction(what, argument, { timeout: 10_000 });

test('search shows traces at once, and a row leads to its trace', async () => {
  const page = await open('');
  const row = page.locator(`[data-trace-id="${failed}"]`);
  await page.getByTestId('trace-row').first().waitFor();
  await page.getByLabel('Sort').selectOption('errors');
  await until(page, () => location.search.includes('sort=errors'));
  assert.match(await page.getByTestId('trace-row').first().textContent(), /252 Errors/);
  await row.click();
  await rows(page).first().waitFor();
  assert.equal(new URL(page.url()).pathname, `/zipkin/trace/${failed}`);
  assert.deepEqual((await names(page)).slice(0, 3).map((name) => name.split(' ').slice(0, 2).join(' ')), ['0 gateway', '1 gateway', '2 cart']);
  await page.goBack();
  await page.getByTestId('trace-row').first().waitFor();
  await close(page);
});

test('the query bar completes from the server and writes the address', async () => {
  const page = await open('');
  await page.getByTestId('trace-row').first().waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('service:ca');
  await page.getByRole('option', { name: 'cart', exact: true }).click();
  await page.keyboard.type('http.me');
  await page.getByRole('option', { name: /^http.method/ }).click();
  await page.getByRole('option', { name: 'POST' }).click();
  await page.keyboard.type('duration>1ms');
  await page.keyboard.press('Enter');
  await until(page, () => location.search.includes('minDuration=1000'));
  assert.equal(search(page), '?serviceName=cart&annotationQuery=http.method%3DPOST&minDuration=1000');
  await until(page, () => document.querySelector('[data-testid="trace-row"] b')?.textContent === 'post /checkout');
  assert.equal(await page.locator('#query').inputValue(), 'service:cart duration>1ms http.method=POST');
  await close(page);
});

test('a wrong word is named, and a trace id goes to its trace', async () => {
  const page = await open('');
  await page.locator('#query').fill('duration>fast');
  await page.keyboard.press('Enter');
  await page.locator('#query-problem').waitFor();
  assert.equal(search(page), '');
  await page.locator('#query').fill(kafka);
  await page.keyboard.press('Enter');
  await rows(page).first().waitFor();
  await close(page);
});

test("Zipkin's addresses open the same page here", async () => {
  const page = await open(`traces/${kafka}`);
  await rows(page).first().waitFor();
  assert.equal(new URL(page.url()).pathname, `/zipkin/trace/${kafka}`);
  const now = Date.now();
  await page.goto(`${server.origin}/zipkin/dependency?startTime=${now - 3600e3}&endTime=${now}`);
  await page.getByTestId('map-node').first().waitFor();
  assert.equal(page.url(), `${server.origin}/zipkin/map?startTs=${now - 3600e3}&endTs=${now}`);
  await page.goto(`${server.origin}/zipkin/?serviceName=gateway&annotationQuery=error&lookback=15m&endTs=${now}&limit=10`);
  await page.getByTestId('trace-row').first().waitFor();
  assert.equal(await page.locator('#query').inputValue(), 'service:gateway error');
  await close(page);
});

test('a trace is walked, folded, searched and linked by keyboard', async () => {
  const page = await open(`trace/${kafka}`);
  await rows(page).first().waitFor();
  assert.equal(await rows(page).count(), 28);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('h');
  await until(page, () => document.querySelectorAll('[data-testid="span-row"]').length < 28);
  const folded = await names(page);
  await page.keyboard.press('Enter');
  await page.getByTestId('span-detail').waitFor();
  await until(page, () => /span=[0-9a-f]{16}/.test(location.search) && location.search.includes('fold=1'));
  await page.reload();
  await page.getByTestId('span-detail').waitFor();
  assert.deepEqual(await names(page), folded);
  assert.equal(await page.locator('[aria-selected="true"][role="row"]').getAttribute('data-row'), '1');
  await page.keyboard.press('l');
  await page.keyboard.press('e');
  await until(page, () => document.querySelector('[role="row"][aria-selected="true"]')?.hasAttribute('data-error'));
  await page.keyboard.press('/');
  await page.keyboard.type('service:serviceb');
  await page.keyboard.press('Enter');
  await until(page, () => document.querySelector('[role="row"][aria-selected="true"]')?.getAttribute('data-service') === 'serviceb');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.keyboard.press('z');
  await until(page, () => /from=\d+&to=\d+/.test(location.search));
  await page.keyboard.press('Z');
  await until(page, () => !location.search.includes('from='));
  await close(page);
});

test('the tree-grid says level, place and fold of each row', async () => {
  const page = await open(`trace/${kafka}`);
  const first = rows(page).first();
  await first.waitFor();
  assert.equal(await first.getAttribute('aria-level'), '1');
  assert.equal(await first.getAttribute('aria-expanded'), 'true');
  assert.equal(await page.getByRole('treegrid').getAttribute('aria-rowcount'), '28');
  assert.match(await first.textContent(), /poll servicea/);
  await close(page);
});

test('details show tags and annotations, filter them, and lead to traces like this', async () => {
  const page = await open(`trace/${failed}?span=0`);
  await page.getByTestId('span-tags').waitFor();
  await page.getByLabel('Filter tags and annotations').fill('method');
  assert.equal(await page.locator('[data-testid="span-tags"] dt').count(), 1);
  await page.getByLabel('Find traces with this: http.method').click();
  await page.getByTestId('trace-row').first().waitFor();
  assert.match(search(page), /serviceName=gateway&annotationQuery=http.method%3D/);
  await close(page);
});

test('a drag on the overview zooms', async () => {
  const page = await open(`trace/${failed}`);
  const box = await page.getByTestId('minimap').boundingBox();
  await page.mouse.move(box.x + box.width * 0.25, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 20, { steps: 4 });
  await page.mouse.up();
  await until(page, () => location.search.includes('from='));
  const parameters = new URLSearchParams(search(page));
  const duration = server.data.get(failed).summary.duration;
  assert.ok(Math.abs(Number(parameters.get('from')) - duration * 0.25) < duration * 0.02);
  assert.ok(Math.abs(Number(parameters.get('to')) - duration * 0.5) < duration * 0.02);
  await close(page);
});

test('50,000 spans: folded first, all on demand, few elements, the last row in reach', async () => {
  const page = await open(`trace/${LARGE}`);
  await rows(page).first().waitFor();
  const folded = Number(await page.getByRole('treegrid').getAttribute('aria-rowcount'));
  assert.ok(folded < 2_000, `${folded} rows at first`);
  await page.getByRole('button', { name: 'Expand all' }).click();
  await until(page, () => document.querySelector('[role="treegrid"]').getAttribute('aria-rowcount') === '50000');
  await page.keyboard.press('End');
  await page.locator('[data-row="49999"]').waitFor({ state: 'attached' });
  const elements = await page.evaluate(() => document.getElementsByTagName('*').length);
  assert.ok(elements < 1_000, `${elements} elements`);
  await close(page);
});

test('a missing parent is said', async () => {
  const page = await open(`trace/${orphan}`);
  await page.getByText('1 parent missing').waitFor();
  await close(page);
});

test('an empty server tells how to send a span and turns into the first trace', async () => {
  const page = await open('', { mode: 'empty' });
  await page.getByTestId('first-span').waitFor();
  assert.match(await page.locator('pre').textContent(), new RegExp(`curl -i ${server.origin}/api/v2/spans`));
  server.state.mode = 'normal';
  await page.getByTestId('trace-row').first().waitFor();
  await close(page);
});

test('a search without results says what filtered, and how to widen it', async () => {
  const page = await open('?serviceName=cart&annotationQuery=error', { mode: 'nothing' });
  await page.getByTestId('no-results').waitFor();
  assert.match(await page.getByTestId('no-results').textContent(), /service:cart error/);
  assert.equal(await page.getByRole('link', { name: 'Look at the last 1h' }).getAttribute('href'), './?serviceName=cart&annotationQuery=error&lookback=1h');
  await page.getByRole('link', { name: 'Without error' }).click();
  await until(page, () => location.search === '?serviceName=cart');
  await close(page);
});

test('a failing server is shown with its words and tried again; old results stay', async () => {
  const page = await open('', { complaints: true });
  await page.getByTestId('trace-row').first().waitFor();
  server.state.mode = 'failing';
  await page.getByRole('button', { name: 'Search again' }).click();
  await page.getByTestId('failure').waitFor();
  assert.match(await page.getByTestId('failure').textContent(), /500: the store takes no reads/);
  assert.ok((await page.getByTestId('trace-row').count()) > 0);
  server.state.mode = 'normal';
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByTestId('failure').waitFor({ state: 'detached' });
  await close(page);
});

test('an unknown trace is said to be unknown', async () => {
  const page = await open('trace/abcdef0123456789', { complaints: true });
  await page.getByTestId('trace-not-found').waitFor();
  await close(page);
});

test('the map: graph and table side by side, a click puts a service in focus', async () => {
  const page = await open('map');
  await page.getByTestId('map-node').first().waitFor();
  const all = await page.getByTestId('link-row').count();
  await page.locator('[data-testid="map-node"][data-service="gateway"]').click();
  await until(page, () => location.search === '?focus=gateway');
  assert.deepEqual(
    (await page.getByTestId('link-row').evaluateAll((list) => list.map((row) => row.dataset.child))).sort(),
    ['cart', 'kafka', 'payment'],
  );
  assert.ok(all > 3);
  await page.getByRole('button', { name: 'All services' }).click();
  await until(page, () => location.search === '');
  await close(page);
});

test('the theme is chosen, kept and shown', async () => {
  const page = await open('');
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await ground(), 'rgb(255, 255, 255)');
  await page.getByRole('button', { name: /^Theme/ }).click();
  await page.getByRole('button', { name: /^Theme/ }).click();
  assert.equal(await ground(), 'rgb(20, 23, 28)');
  await page.reload();
  assert.equal(await ground(), 'rgb(20, 23, 28)');
  await page.evaluate(() => localStorage.clear());
  await close(page);
});

const STATES = [
  ['search', () => '', 'trace-row'],
  ['query with completion', () => '?serviceName=cart&annotationQuery=error', 'trace-row', { then: (page) => page.locator('#query').click() }],
  ['time range', () => '', 'trace-row', { then: (page) => page.getByRole('button', { name: /^Time range/ }).click() }],
  ['no results', () => '?serviceName=cart', 'no-results', { mode: 'nothing' }],
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
