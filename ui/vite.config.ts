// How the page is built: one relative bundle that works under any base path, hashed names, no inline script or style.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const server = process.env.TRACEWELL_SERVER ?? 'http://127.0.0.1:9411';

export default defineConfig(({ command }) => ({
  base: command === 'serve' ? '/zipkin/' : './',
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // What the first load needs in one piece, and what a trace needs in another: a request more costs a browser more than its bytes.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'first', test: /src\/(main\.ts|App\.svelte)$/, priority: 2 },
            { name: 'TracePage', test: /src\/trace\/TracePage\.svelte$/, priority: 1 },
          ],
        },
      },
    },
  },
  server: {
    proxy: { '/zipkin/api': server, '/zipkin/config.json': server, '/api': server },
  },
  test: { include: ['src/**/*.test.ts'] },
}));
