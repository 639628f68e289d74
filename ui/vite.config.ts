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
  },
  server: {
    proxy: { '/zipkin/api': server, '/zipkin/config.json': server, '/api': server },
  },
  test: { include: ['src/**/*.test.ts'] },
}));
