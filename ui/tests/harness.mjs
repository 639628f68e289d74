// What the tests in a browser share: Chromium, the fixture server, a page that must not complain. CHROMIUM names another browser than
// Debian's.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { startFixtureServer } from './fixture-server.mjs';

const ARGS = '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
export const LARGE = '00000000000000000000000b16002710';
export const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export let server, kafka, failed, orphan;
let profile, context;

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
export async function open(path, { mode = 'normal', scheme = 'light', width = 1440, complaints = false } = {}) {
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

export async function close(page) {
  // A failing request is reported by the browser itself; a violated CSP or an exception never is all right.
  const heard = page.complaints ? page.heard.filter((text) => !text.startsWith('Failed to load resource')) : page.heard;
  assert.deepEqual(heard, []);
  await page.close();
}

export const rows = (page) => page.getByTestId('span-row');
export const names = (page) => rows(page).evaluateAll((list) => list.map((row) => `${row.dataset.depth} ${row.dataset.service} ${row.dataset.name}`));
export const search = (page) => new URL(page.url()).search;
export const until = (page, what, argument) => page.waitForFunction(what, argument, { timeout: 10_000 });
