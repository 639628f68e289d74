// Svelte's compiler options: runes everywhere, styles in files of their own (the CSP allows no inline style).
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true, css: 'external' },
};
