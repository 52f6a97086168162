// Writes a brotli and a gzip variant beside each file of `dist`, so that the Lambda compresses nothing.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../../dist/', import.meta.url).pathname;
const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
/** What a first visit loads, in bytes: the budget of the console. */
const MAX_FIRST_LOAD = 90_000;

const page = readFileSync(join(dist, 'index.html'), 'utf8');
// The page, what it names, and nothing else: other screens are loaded when somebody opens them.
const isFirst = (name) => name === 'index.html' || page.includes(name);

let total = 0;
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || /\.(br|gz)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const content = readFileSync(path);
  // What Vite replaces at the end.
  if (/__VITE_[A-Z_]+__/.test(content.toString('latin1'))) {
    console.error(`${entry.name} is not complete.`);
    process.exit(1);
  }
  const smaller = brotliCompressSync(content, brotli);
  writeFileSync(`${path}.br`, smaller);
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
  if (isFirst(entry.name)) total += smaller.length;
  console.log(`${entry.name.padEnd(28)} ${content.length} B, ${smaller.length} B in brotli`);
}
console.log(`${'first load'.padEnd(28)} ${total} B in brotli`);
if (total > MAX_FIRST_LOAD) {
  console.error(`The first load has more than ${MAX_FIRST_LOAD} bytes: make it smaller.`);
  process.exit(1);
}
