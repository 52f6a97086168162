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
  server: {
    host: '127.0.0.1',
    // `npm run dev` beside a stack of `cargo xtask up`: the page and the API have one origin, as they do when deployed.
    proxy: process.env['CRIER_API']
      ? { '/v1': { target: new URL(process.env['CRIER_API']).origin, rewrite: (path) => new URL(process.env['CRIER_API'] ?? '').pathname + path } }
      : {},
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
