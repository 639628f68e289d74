// Measures the trace page in headless Chromium over a real server: one trace of 50,000, 100,000 and 1,000,000 spans (12 services,
// 6 tags a span), a cold load of its page at 1440 x 900, 3 s of wheel, a click on a span. Prints a table, appends a JSON line a case to
// bench/out/page.jsonl, and ends with an error where a target is missed. Run by `make bench-page`; SPANS="50000" chooses the cases.
// CPU is the time of the renderer's main thread (the figure that compares on a shared machine); memory is the renderer's resident set.
import { execSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { startFront } from './front.mjs';
import { sendSpans, startServer } from './server.mjs';
import { measuredSpans } from './spans.mjs';

const ARGS = '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const CASES = (process.env.SPANS ?? '50000,100000,1000000').split(',').map(Number);
const TARGETS = {
  50_000: { first_rows_s: 0.7, cpu_s: 0.8, scroll_fps: -57, worst_frame_ms: 34, renderer_mb: 250 },
  100_000: { first_rows_s: 1 },
  1_000_000: { first_rows_s: 4 },
};
const SCROLL_MS = 3_000;
const OUT = new URL('../../bench/out/page.jsonl', import.meta.url).pathname;

const binary = process.env.TRACEWELL_BIN;
if (!binary) throw new Error('TRACEWELL_BIN names no server: run `make bench-page`');
const server = await startServer(binary, ['--query-timeout', '60s']);
// PAGE=dist measures ui/dist instead of the page that the server carries.
const front = process.env.PAGE === 'dist' ? await startFront(server.origin) : undefined;
const lines = [];
try {
  for (const spans of CASES) lines.push(await measure(spans));
} finally {
  front?.stop();
  await server.stop();
}
mkdirSync(new URL('../../bench/out/', import.meta.url), { recursive: true });
for (const line of lines) appendFileSync(OUT, `${JSON.stringify(line)}\n`);
if (process.env.LOOK) console.log(JSON.stringify(lines, null, 1));
console.table(Object.fromEntries(lines.map(({ spans, missed, commit: _, date: __, ...figures }) => [spans, { ...figures, missed: missed.join(' ') }])));
if (lines.some((line) => line.missed.length > 0)) process.exitCode = 1;

async function measure(spans) {
  const traceId = spans.toString(16).padStart(16, 'b');
  await sendSpans(server.origin, measuredSpans(spans, traceId));
  const profile = mkdtempSync(join(tmpdir(), 'tracewell-bench-page-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ARGS.split(' '),
    viewport: { width: 1440, height: 900 },
  });
  try {
    return judge({ case: 'trace', spans, ...(await visit(context, `${(front ?? server).origin}/zipkin/trace/${traceId}`)) });
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

async function visit(context, address) {
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  // In the thread's own time: what others on the machine do does not count.
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  await cdp.send('Network.enable');
  const sizes = new Map();
  cdp.on('Network.responseReceived', ({ requestId, response }) => sizes.set(requestId, { type: response.mimeType, bytes: 0 }));
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => sizes.has(requestId) && (sizes.get(requestId).bytes = encodedDataLength));
  await page.addInitScript(watch);
  await page.goto(address, { waitUntil: 'commit' });
  await page.waitForFunction(() => globalThis.seen.firstRows > 0, undefined, { timeout: 120_000, polling: 100 });
  await page.waitForTimeout(1_500);
  const at = await metrics(cdp);
  const { firstRows, blocks, lastBlockEnd } = await page.evaluate(() => globalThis.seen);
  const click_ms = await click(page);
  const scroll = await scrolling(page);
  await cdp.send('HeapProfiler.collectGarbage');
  const renderer_mb = await rendererMemory(context, page);
  const heap = await metrics(cdp);
  return {
    first_rows_s: round(firstRows / 1000, 2),
    settled_s: round(Math.max(firstRows, lastBlockEnd) / 1000, 2),
    longest_block_ms: Math.round(Math.max(0, ...blocks)),
    cpu_s: round(at.TaskDuration, 2),
    script_s: round(at.ScriptDuration, 2),
    heap_mb: round(heap.JSHeapUsedSize / 1e6, 1),
    renderer_mb,
    elements: await page.evaluate(() => document.getElementsByTagName('*').length),
    ...scroll,
    click_ms,
    body_kb: Math.round(([...sizes.values()].find(({ type }) => type === 'application/vnd.tracewell.trace')?.bytes ?? 0) / 1000),
  };
}

/** Runs in the page before it: when the first rows stand, which tasks were long. */
function watch() {
  const seen = { firstRows: 0, blocks: [], lastBlockEnd: 0 };
  globalThis.seen = seen;
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      seen.blocks.push(duration);
      seen.lastBlockEnd = Math.max(seen.lastBlockEnd, startTime + duration);
    }
  }).observe({ type: 'longtask', buffered: true });
  const look = () => {
    if (document.querySelector('[data-testid="span-row"]')) requestAnimationFrame(() => (seen.firstRows = performance.now()));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

/** From the click on the fifth row to its details. */
async function click(page) {
  const box = await page.getByTestId('timeline').boundingBox();
  await page.evaluate(() => {
    addEventListener('pointerdown', () => (globalThis.pressed = performance.now()), { once: true, capture: true });
    new MutationObserver((_, observer) => {
      if (!document.querySelector('[data-testid="span-tags"]')) return;
      observer.disconnect();
      globalThis.answered = performance.now();
    }).observe(document.body, { childList: true, subtree: true });
  });
  await page.mouse.click(box.x + box.width * 0.6, box.y + 22 * 4 + 11);
  await page.waitForFunction(() => globalThis.answered > 0, undefined, { timeout: 60_000 });
  return Math.round(await page.evaluate(() => globalThis.answered - globalThis.pressed));
}

async function scrolling(page) {
  const expand = page.getByRole('button', { name: 'Expand all' });
  await expand.click();
  await page.waitForTimeout(1_000);
  const box = await page.getByTestId('timeline').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.evaluate(() => {
    const frames = [];
    globalThis.frames = frames;
    const tick = (now) => (frames.push(now), requestAnimationFrame(tick));
    requestAnimationFrame(tick);
  });
  const until = Date.now() + SCROLL_MS;
  while (Date.now() < until) {
    await page.mouse.wheel(0, 240);
    await page.waitForTimeout(8);
  }
  const gaps = await page.evaluate(() => globalThis.frames.slice(1).map((at, i) => at - globalThis.frames[i]));
  const total = gaps.reduce((sum, gap) => sum + gap, 0);
  return { scroll_fps: round((gaps.length / total) * 1000, 1), worst_frame_ms: round(Math.max(...gaps), 1) };
}

async function rendererMemory(context, page) {
  const browser = await context.browser()?.newBrowserCDPSession?.();
  const session = browser ?? (await context.newCDPSession(page));
  const { processInfo } = await session.send('SystemInfo.getProcessInfo').catch(() => ({ processInfo: [] }));
  const renderers = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => resident(id));
  return Math.round(Math.max(0, ...(renderers.length > 0 ? renderers : [resident(await rendererByName())])));
}

function resident(pid) {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return (Number(match?.[1] ?? 0) * 1024) / 1e6;
}

function rendererByName() {
  const lines = execSync(`ps -eo pid,rss,args --sort=-rss`).toString().split('\n');
  return Number(lines.find((line) => line.includes('--type=renderer') && line.includes('tracewell-bench-page-'))?.trim().split(/\s+/)[0] ?? process.pid);
}

async function metrics(cdp) {
  const list = (await cdp.send('Performance.getMetrics')).metrics;
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}

/** A negative target is a least value. */
function judge(line) {
  const targets = TARGETS[line.spans] ?? {};
  const missed = Object.keys(targets).filter((name) => (targets[name] < 0 ? line[name] < -targets[name] : line[name] > targets[name]));
  const commit = execSync('git rev-parse --short HEAD', { cwd: new URL('.', import.meta.url).pathname }).toString().trim();
  return { ...line, missed, commit, date: new Date().toISOString().slice(0, 16) };
}

function round(value, decimals) {
  return Number(value.toFixed(decimals));
}
