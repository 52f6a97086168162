import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Relative addresses: the page works below any path, such as an API stage's.
  base: './',
  plugins: [svelte()],
  build: {
    target: 'es2022',
    outDir: '../dist',
    emptyOutDir: true,
    // Nothing is inlined: the content security policy has no `data:`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { host: '127.0.0.1' },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
