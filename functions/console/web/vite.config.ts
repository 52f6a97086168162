import { createHash } from 'node:crypto';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/**
 * Puts the style sheet into the script, which adopts it before it draws anything: the page is empty until then. That saves a
 * request, so that a language other than English, which is a file of its own, does not need a fourth one.
 */
function adoptStyles(): Plugin {
  return {
    name: 'adopt-styles',
    apply: 'build',
    generateBundle: {
      // After Vite's own: they complete the script.
      order: 'post',
      handler(_, bundle) {
        const files = Object.values(bundle);
        const sheets = files.flatMap((file) => (file.type === 'asset' && file.fileName.endsWith('.css') ? [file] : []));
        const entry = files.find((file) => file.type === 'chunk' && file.isEntry);
        const page = bundle['index.html'];
        if (entry?.type !== 'chunk' || page?.type !== 'asset' || sheets.length !== 1) this.error('expected a page with one script and one style sheet');
        const [sheet] = sheets;
        const css = JSON.stringify(String(sheet?.source));
        const source = `const sheet=new CSSStyleSheet;sheet.replaceSync(${css});document.adoptedStyleSheets=[sheet];\n${entry.code}`;
        // Browsers keep the file for ever: its name must change with the styles, too.
        const fileName = `assets/index-${createHash('sha256').update(source).digest('hex').slice(0, 12)}.js`;
        this.emitFile({ type: 'asset', fileName, source });
        page.source = String(page.source)
          .replace(/\s*<link rel="stylesheet"[^>]*>/, '')
          .replace(entry.fileName, fileName);
        delete bundle[sheet?.fileName ?? ''];
        delete bundle[entry.fileName];
      },
    },
  };
}

export default defineConfig({
  // Relative addresses: the page works below any path, such as an API stage's.
  base: './',
  plugins: [svelte(), adoptStyles()],
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
