// The page just built (ui/dist) before a running server: for trying and measuring a change of the page without building the server.
import { existsSync, readFileSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';

const dist = new URL('../dist/', import.meta.url);
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
const CSP = "default-src 'self'; style-src 'self'; img-src 'self'; base-uri 'self'; frame-ancestors 'none'; object-src 'none'";

export async function startFront(origin) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, origin);
    const asset = /^\/zipkin\/(assets\/[\w.-]+)$/.exec(pathname)?.[1];
    const name = asset ?? (/^\/zipkin\/(?!api\/)[^.]*$/.test(pathname) ? 'index.html' : undefined);
    if (!name) return forward(origin, request, response);
    if (!existsSync(new URL(name, dist))) return response.writeHead(404).end();
    const trace = /^\/zipkin\/traces?\/(\w+)$/.exec(pathname)?.[1];
    if (trace) response.setHeader('link', `</zipkin/api/tracewell/v1/trace/${trace}>; rel=preload; as=fetch; crossorigin`);
    response.writeHead(200, { 'content-type': TYPES[name.split('.').pop()] ?? 'application/octet-stream', 'content-security-policy': CSP, 'content-encoding': 'br' });
    response.end(readFileSync(new URL(`${name}.br`, dist)));
  });
  await new Promise((done) => server.listen(Number(process.env.FRONT_PORT ?? 0), '127.0.0.1', done));
  return { origin: `http://127.0.0.1:${server.address().port}`, stop: () => (server.closeAllConnections(), server.close()) };
}

function forward(origin, request, response) {
  const up = ask(new URL(request.url, origin), { method: request.method, headers: request.headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  up.on('error', () => response.destroy());
  response.on('close', () => up.destroy());
  request.pipe(up);
}
