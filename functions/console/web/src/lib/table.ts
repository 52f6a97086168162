/**
 * The first rows of a table on the operator's machine, shown before anything is uploaded. Crier reads the whole file itself,
 * with more care; this only shows columns. Workbooks are not read here.
 */

export interface TableHead {
  columns: string[];
  rows: string[][];
}

/** How much of a file is looked at. */
const HEAD_BYTES = 256 * 1024;
const MAX_ROWS = 200;

export async function readHead(file: File): Promise<TableHead | undefined> {
  if (/\.xlsx$/i.test(file.name)) return undefined;
  try {
    const bytes = /\.gz$/i.test(file.name) ? await gunzipHead(file) : new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
    return parseTable(decode(bytes), bytes.length >= HEAD_BYTES);
  } catch {
    return undefined;
  }
}

/** A whole table. */
export async function readTable(file: File): Promise<TableHead | undefined> {
  try {
    const stream = /\.gz$/i.test(file.name) ? file.stream().pipeThrough(new DecompressionStream('gzip')) : file.stream();
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    return parseTable(decode(bytes), false, Number.POSITIVE_INFINITY);
  } catch {
    return undefined;
  }
}

async function gunzipHead(file: File): Promise<Uint8Array> {
  const reader = file.stream().pipeThrough(new DecompressionStream('gzip')).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < HEAD_BYTES) {
    const { value, done } = await reader.read();
    if (done || !value) break;
    chunks.push(value);
    size += value.length;
  }
  void reader.cancel();
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function decode(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  try {
    // The last character may be cut.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

/** Records of delimited text, at most so many. `isCut`: the last one may be incomplete, and is left out. */
export function parseTable(text: string, isCut = false, mostRows = MAX_ROWS): TableHead | undefined {
  const records = parseRecords(text, findDelimiter(text), isCut, mostRows + 1);
  const [columns, ...rows] = records;
  if (!columns) return undefined;
  return {
    columns: columns.map((name, index) => name.trim() || `column_${index + 1}`),
    rows,
  };
}

function findDelimiter(text: string): string {
  const line = text.split(/\r?\n/, 1)[0] ?? '';
  const unquoted = line.replace(/"[^"]*"/g, '');
  const counts = [',', ';', '\t', '|'].map((mark) => ({ mark, count: unquoted.split(mark).length - 1 }));
  counts.sort((one, other) => other.count - one.count);
  return counts[0]?.count ? counts[0].mark : ',';
}

function parseRecords(text: string, delimiter: string, isCut: boolean, most: number): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let cell = '';
  let quoted = false;
  const endRecord = () => {
    record.push(cell);
    if (record.length > 1 || record[0]?.trim()) records.push(record);
    record = [];
    cell = '';
  };
  for (let at = 0; at < text.length && records.length < most; at += 1) {
    const mark = text[at];
    if (quoted) {
      if (mark !== '"') cell += mark;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (mark === '"' && cell === '') quoted = true;
    else if (mark === delimiter) {
      record.push(cell);
      cell = '';
    } else if (mark === '\n') endRecord();
    else if (mark !== '\r' && !(at === 0 && mark === '\ufeff')) cell += mark;
  }
  if (!isCut && (cell !== '' || record.length > 0) && records.length < most) endRecord();
  return records;
}

/** A row as cells by column. */
export function cellsOf(head: TableHead, row: string[]): Record<string, string> {
  return Object.fromEntries(head.columns.map((name, index) => [name, (row[index] ?? '').trim()]));
}

/** The column of a list that has the most phone numbers in it. */
export function phoneColumn(head: TableHead): number {
  const score = head.columns.map((_, index) => {
    return head.rows.filter((row) => /^[+\d][\d\s().-]{6,19}$/.test((row[index] ?? '').trim())).length;
  });
  return score.indexOf(Math.max(...score, 0));
}
