// The page in headless Chromium against the fixture server: what a person does on each page. Run by `npm run test:browser` after
// `npm run build`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { close, failed, kafka, LARGE, names, open, orphan, rows, search, server, until } from './harness.mjs';

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
  await page.keyboard.type('service:gat');
  await page.getByRole('option', { name: 'gateway', exact: true }).click();
  await page.keyboard.type('http.me');
  await page.getByRole('option', { name: /^http.method/ }).click();
  await page.getByRole('option', { name: 'POST' }).click();
  await page.keyboard.type('duration>1ms');
  await page.keyboard.press('Enter');
  await until(page, () => location.search.includes('duration'));
  assert.equal(new URLSearchParams(search(page)).get('q'), 'service:gateway http.method=POST duration>1ms');
  await until(page, () => document.querySelector('[data-testid="trace-row"] b')?.textContent === 'post /checkout');
  await page.getByTestId('trace-row').first().click();
  await page.getByTestId('span-detail').waitFor();
  assert.match(search(page), /span=[0-9a-f]{16}/, 'the span that matched is shown');
  await close(page);
});

test('a wrong word is named, and a trace id goes to its trace', async () => {
  const page = await open('', { complaints: true });
  await page.locator('#query').fill('service:gateway duration>fast');
  await page.keyboard.press('Enter');
  await page.locator('#query-problem').waitFor();
  assert.match(await page.locator('#query-problem').textContent(), /duration>fast expected a duration/);
  assert.equal(await page.locator('.chip.bad').count(), 1);
  await page.locator('#query').fill(kafka);
  await page.keyboard.press('Enter');
  await rows(page).first().waitFor();
  await close(page);
});

test("Zipkin's and Jaeger's addresses open the same page here", async () => {
  const page = await open(`traces/${kafka}`);
  await rows(page).first().waitFor();
  assert.equal(new URL(page.url()).pathname, `/zipkin/trace/${kafka}`);
  const now = Date.now();
  await page.goto(`${server.origin}/zipkin/dependency?startTime=${now - 3600e3}&endTime=${now}`);
  await page.getByTestId('map-node').first().waitFor();
  assert.equal(page.url(), `${server.origin}/zipkin/map?startTs=${now - 3600e3}&endTs=${now}`);
  await page.goto(`${server.origin}/zipkin/?serviceName=gateway&annotationQuery=error&lookback=15m&endTs=${now}&limit=10`);
  await page.getByTestId('trace-row').first().waitFor();
  assert.equal(await page.locator('#query').inputValue(), 'service:gateway status:error');
  assert.equal(new URLSearchParams(search(page)).get('q'), 'service:gateway status:error');
  await page.goto(`${server.origin}/zipkin/search?service=gateway&operation=get%20/cart&tags=${encodeURIComponent('{"http.method":"GET"}')}&lookback=1h&limit=20`);
  await page.getByTestId('trace-row').first().waitFor();
  assert.equal(await page.locator('#query').inputValue(), 'service:gateway name:"get /cart" http.method=GET');
  await page.goto(`${server.origin}/zipkin/trace/${kafka}?uiFind=consume`);
  await rows(page).first().waitFor();
  assert.equal(await page.getByLabel('Find in trace').inputValue(), 'consume');
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
  assert.match(new URLSearchParams(search(page)).get('q'), /^service:gateway http.method=/);
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
  const page = await open('?q=service:cart+status:error', { mode: 'nothing' });
  await page.getByTestId('no-results').waitFor();
  assert.match(await page.getByTestId('no-results').textContent(), /service:cart status:error/);
  assert.equal(await page.getByRole('link', { name: 'Look at the last 1h' }).getAttribute('href'), './?q=service:cart+status:error&lookback=1h');
  await page.getByRole('link', { name: 'Without status:error' }).click();
  await until(page, () => location.search === '?q=service:cart');
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

test('the flame, the table, the map and the logs of a trace are links', async () => {
  const page = await open(`trace/${LARGE}`);
  await rows(page).first().waitFor();
  await page.keyboard.press('2');
  await page.getByTestId('flame').waitFor();
  await until(page, () => location.search.includes('view=flame'));
  const box = await page.getByTestId('flame').boundingBox();
  await page.mouse.click(box.x + 60, box.y + 38);
  await until(page, () => /at=[0-9a-z]+/.test(location.search));
  await page.getByRole('button', { name: 'Critical path' }).click();
  await until(page, () => location.search.includes('by=critical'));
  await page.reload();
  await page.getByTestId('flame').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Critical path' }).getAttribute('aria-pressed'), 'true');
  await page.goto(`${server.origin}/zipkin/trace/${LARGE}?view=table`);
  await page.getByTestId('table-row').first().waitFor();
  await page.getByRole('button', { name: 'p95' }).click();
  await until(page, () => location.search.includes('sort=-p95'));
  await page.getByRole('button', { name: 'Spans', exact: true }).first().click();
  await until(page, () => document.querySelector('[role="table"]').getAttribute('aria-rowcount') === '50001');
  assert.ok((await page.getByTestId('table-row').count()) < 60);
  await page.goto(`${server.origin}/zipkin/trace/${failed}?view=logs`);
  await page.getByTestId('log-row').first().click();
  await page.getByTestId('span-detail').waitFor();
  await page.keyboard.press('4');
  await page.getByTestId('call-row').first().waitFor();
  await close(page);
});

test('repeated calls are one line that opens, and the filter hides what does not match', async () => {
  const repeated = [...server.data].find(([id, { spans }]) => id.startsWith('5af7') && spans.filter((span) => span.name === 'select rows').length === 5)[0];
  const page = await open(`trace/${repeated}`);
  const group = page.getByTestId('group-row').first();
  await group.waitFor({ state: 'attached' });
  assert.match(await group.textContent(), /select rows .* × 5, .* total · p95/);
  const before = await rows(page).count();
  const box = await group.boundingBox();
  await page.mouse.click(box.x + box.width * 0.8, box.y + 11);
  await page.getByTestId('group-detail').waitFor();
  await page.keyboard.press('l');
  await until(page, (count) => document.querySelectorAll('[data-testid="span-row"]').length === count + 5, before);
  await until(page, () => /fold=G/.test(location.search) && /span=group-/.test(location.search));
  await page.keyboard.press('r');
  await until(page, () => document.querySelectorAll('[data-testid="group-row"]').length === 0);
  await page.getByLabel('Find in trace').fill('service:payment');
  await page.getByLabel('Spans that do not match').selectOption('hide');
  await until(page, () => [...document.querySelectorAll('[data-testid="span-row"]')].every((row) => row.dataset.service === 'payment'));
  await page.getByLabel('Spans that do not match').selectOption('path');
  await until(page, () => document.querySelector('[data-testid="span-row"]').dataset.service === 'gateway');
  await until(page, () => /q=service/.test(location.search));
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.keyboard.press('c');
  await until(page, () => location.search.includes('q=critical') && [...document.querySelectorAll('[data-testid="span-row"]')].every((row) => 'critical' in row.dataset));
  await close(page);
});

test('files open without a server: Zipkin, Jaeger, OTLP; what is none is said', async () => {
  const page = await open('open');
  await page.getByTestId('drop-zone').waitFor();
  const file = (name, value) => ({ name, mimeType: 'application/json', buffer: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)) });
  await page.getByTestId('file-input').setInputFiles(file('broken.json', '{"a"'));
  await page.getByTestId('open-problem').waitFor();
  const span = (traceID, spanID, more = {}) => ({ traceID, spanID, operationName: 'get /', startTime: 1e15, duration: 100, processID: 'p', ...more });
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.getByTestId('file-input').setInputFiles([
    file('jaeger.json', { data: ['a1', 'a2'].map((id) => ({ traceID: id, processes: { p: { serviceName: 'web' } }, spans: [span(id, '1', { tags: [{ key: 'k', value: 'v' }] }), span(id, '2', { references: [{ refType: 'CHILD_OF', traceID: id, spanID: '1' }] })] })) }),
  ]);
  await page.getByTestId('trace-row').first().click();
  await rows(page).nth(1).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByTestId('span-tags').waitFor();
  assert.match(await page.getByTestId('span-tags').textContent(), /k\s*v/);
  assert.deepEqual(asked.filter((url) => url.includes('/api/tracewell/')), []);
  await page.goBack();
  await page.getByLabel('Sort').selectOption('spans');
  await until(page, () => location.search.includes('sort=spans'));
  await close(page);
});

test('two traces marked with x are compared', async () => {
  const page = await open('');
  await page.getByTestId('trace-row').first().waitFor();
  await page.getByTestId('trace-row').first().focus();
  await page.keyboard.press('x');
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.getByTestId('marks').getByRole('link', { name: 'Compare' }).click();
  await page.getByTestId('compare-row').first().waitFor();
  assert.match(search(page), /a=[0-9a-f]+&b=[0-9a-f]+/);
  const all = await page.getByTestId('compare-row').count();
  await page.getByLabel('Only what differs').check();
  await until(page, (count) => document.querySelectorAll('[data-testid="compare-row"]').length <= count && location.search.includes('only=changes'), all);
  await close(page);
});

test('a region of the scatter is asked why it is slow', async () => {
  const page = await open('?strip=scatter');
  const strip = page.getByTestId('strip');
  await strip.waitFor();
  await page.waitForTimeout(300);
  const box = await strip.boundingBox();
  await page.mouse.move(box.x + box.width * 0.1, box.y + 5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.95, box.y + 70, { steps: 4 });
  await page.mouse.up();
  await page.getByTestId('selection').waitFor();
  await page.getByRole('button', { name: 'Why slow?' }).click();
  await page.getByTestId('why-row').first().waitFor();
  assert.match(search(page), /sel=\d+-\d+-\d+-&why=1/);
  await page.reload();
  await page.getByTestId('why-row').first().waitFor();
  await page.getByTestId('why-row').first().getByRole('link').click();
  await until(page, () => !location.search.includes('why=') && location.search.includes('q='));
  await close(page);
});

test('facets add their value to the query, and a key becomes a column', async () => {
  const page = await open('');
  await page.getByTestId('facets').getByRole('button', { name: 'gateway' }).first().click();
  await until(page, () => location.search.includes('q=service:gateway'));
  await page.getByRole('button', { name: 'Show http.method as a column' }).click();
  await until(page, () => location.search.includes('cols=http.method'));
  await until(page, () => [...document.querySelectorAll('.row .column')].some((cell) => cell.textContent === 'POST'));
  await page.getByTestId('facets').getByRole('button', { name: 'Close' }).click();
  await until(page, () => location.search.includes('facets=off'));
  await close(page);
});

test('more results come as the list is scrolled', async () => {
  const page = await open('?facets=off');
  await page.getByTestId('trace-row').first().waitFor();
  const list = page.getByRole('region', { name: 'Traces found' });
  await list.hover();
  for (let i = 0; i < 20; i++) await page.mouse.wheel(0, 600);
  const all = server.data.size;
  await until(page, (count) => Number(document.querySelector('[aria-setsize]')?.getAttribute('aria-setsize')) >= count - 5, all);
  await close(page);
});

test('services with their operations, the live tail, the status', async () => {
  const page = await open('services');
  await page.getByTestId('service-row').first().waitFor();
  await page.locator('[data-name="gateway"] a').first().click();
  await page.locator('[data-testid="service-row"][data-name="get /cart"]').waitFor();
  assert.match(search(page), /service=gateway/);
  await page.keyboard.press('g');
  await page.keyboard.press('l');
  await page.getByTestId('live-row').first().waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByTestId('live-row').first().click();
  await rows(page).first().waitFor();
  await page.goto(`${server.origin}/zipkin/status`);
  await page.getByTestId('status-store').waitFor();
  assert.match(await page.getByTestId('status-store').textContent(), /81,000 spans/);
  await close(page);
});

test('the palette runs commands by name', async () => {
  const page = await open('');
  await page.getByTestId('trace-row').first().waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Type a command' }).waitFor();
  await page.keyboard.type('open a');
  await page.keyboard.press('Enter');
  await page.getByTestId('drop-zone').waitFor();
  await close(page);
});
