import { expect, it } from 'vitest';
import { csvCell, csvFile } from './csv';

it('cells are quoted where they must be, and are no formulas', () => {
  expect(['a', 'a,b', 'say "x"', 'two\nlines', '=1+1', '+55', '-3', null, 7, -7].map(csvCell)).toEqual([
    'a',
    '"a,b"',
    '"say ""x"""',
    '"two\nlines"',
    "'=1+1",
    "'+55",
    "'-3",
    '',
    '7',
    '-7',
  ]);
});

it('files begin with the mark of UTF-8', async () => {
  const bytes = new Uint8Array(await csvFile(['row', 'error'], [[1, 'é']]).arrayBuffer());
  expect([...bytes.slice(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
  expect(new TextDecoder().decode(bytes)).toBe('row,error\r\n1,é\r\n');
});
