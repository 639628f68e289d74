// After `vite build`: checks what the server relies on in index.html and puts a brotli and a gzip copy beside every file worth it.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const index = join(dist, 'index.html');

const html = readFileSync(index, 'utf8').trim();
if (!html.includes('<base href="/zipkin/">')) throw new Error('index.html lacks <base href="/zipkin/">, which the server rewrites');
if (!html.endsWith('</html>')) throw new Error('index.html does not end with </html>');
if (/<script(?![^>]*\bsrc=)|<style|\sstyle=/.test(html)) throw new Error('index.html holds an inline script or style, which the CSP forbids');
writeFileSync(index, html);

for (const file of files(dist)) {
  if (!/\.(html|js|css|svg|json|txt)$/.test(file)) continue;
  const bytes = readFileSync(file);
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }));
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
}

function files(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}
