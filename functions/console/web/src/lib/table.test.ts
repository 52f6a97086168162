import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { cellsOf, parseTable, phoneColumn, readHead } from './table';

describe('first rows of a file', () => {
  it('are read with any usual delimiter, with quotes and line breaks in cells', () => {
    const table = parseTable('\ufeffName;Phone\r\n"Ana ""A""; B";+34612345678\r\n"two\nlines";1\r\n');
    expect(table).toEqual({ columns: ['Name', 'Phone'], rows: [['Ana "A"; B', '+34612345678'], ['two\nlines', '1']] });
    expect(parseTable('a\tb\n1\t2')?.rows).toEqual([['1', '2']]);
    expect(parseTable('')).toBeUndefined();
  });

  it('leave out a row that was cut', () => {
    expect(parseTable('a,b\n1,2\n3,', true)?.rows).toEqual([['1', '2']]);
  });

  it('name columns that have no name', () => {
    const table = parseTable('Name,\nAna,1');
    expect(table?.columns).toEqual(['Name', 'column_2']);
    expect(table && cellsOf(table, [' Ana '])).toEqual({ Name: 'Ana', column_2: '' });
  });

  it('are at most two hundred', () => {
    expect(parseTable(`a\n${'x\n'.repeat(500)}`)?.rows).toHaveLength(200);
  });

  it('are read from gzip and from other encodings, and not from workbooks', async () => {
    const packed = new File([new Uint8Array(gzipSync('Name,Phone\nAna,1'))], 'x.csv.gz');
    expect((await readHead(packed))?.rows).toEqual([['Ana', '1']]);
    const latin = new File([new Uint8Array([0x4e, 0x0a, 0xe9, 0x0a])], 'x.csv');
    expect((await readHead(latin))?.rows).toEqual([['é']]);
    const utf16 = new File([new Uint8Array([0xff, 0xfe, 0x4e, 0, 0x0a, 0, 0x78, 0])], 'x.csv');
    expect((await readHead(utf16))?.rows).toEqual([['x']]);
    expect(await readHead(new File(['PK'], 'x.xlsx'))).toBeUndefined();
    expect(await readHead(new File(['no gzip'], 'x.gz'))).toBeUndefined();
  });

  it('tell which column has the numbers', () => {
    const table = parseTable('id,phone\n7,+34 612 345 678\n8,(11) 98765-4321');
    expect(table && phoneColumn(table)).toBe(1);
  });
});
