// Starts a Tracewell server for measuring and for tests in a browser: an empty store of its own, a free port, the page it carries.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const START_MS_MAX = 20_000;
/** Off, so that servers can run side by side. */
const OTHER_LISTENERS = ['jaeger-query', 'jaeger-query-grpc', 'otlp-grpc', 'otlp-http', 'jaeger-grpc', 'jaeger-http', 'jaeger-udp-compact', 'jaeger-udp-binary', 'zipkin-udp', 'sampling', 'admin'];

/** `binary`: the server's path. Further options go to `serve`. */
export async function startServer(binary, options = []) {
  const folder = mkdtempSync(join(tmpdir(), 'tracewell-page-'));
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const arguments_ = ['serve', '--zipkin', `127.0.0.1:${port}`, '--data-dir', join(folder, 'data'), ...OTHER_LISTENERS.flatMap((name) => [`--${name}`, 'off']), ...options];
  const heard = [];
  const child = spawn(binary, arguments_, { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (text) => {
    if (process.env.SERVER_LOG) process.stderr.write(text);
    if (heard.push(text) > 100) heard.shift();
  });
  const ended = new Promise((done) => child.once('exit', done));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  for (const until = Date.now() + START_MS_MAX; ; ) {
    if (await fetch(`${origin}/health`).then((answer) => answer.ok, () => false)) return { origin, stop };
    if (child.exitCode !== null || Date.now() > until) {
      await stop();
      throw new Error(`${binary} did not start: ${heard.join('')}`);
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Sends spans of Zipkin's v2 JSON, some thousand a request; asks again when the server is busy. */
export async function sendSpans(origin, spans, perRequest = 8_000) {
  let part = [];
  const send = async () => {
    const body = gzipSync(JSON.stringify(part), { level: 1 });
    for (let attempt = 0; ; attempt++) {
      const answer = await fetch(`${origin}/api/v2/spans`, { method: 'POST', headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, body });
      if (answer.ok) break;
      if (answer.status !== 503 || attempt > 100) throw new Error(`spans were answered ${answer.status}: ${await answer.text()}`);
      await new Promise((done) => setTimeout(done, 200));
    }
    part = [];
  };
  for (const span of spans) if (part.push(span) === perRequest) await send();
  if (part.length > 0) await send();
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
