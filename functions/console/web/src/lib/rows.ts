/** The rows that a preview walks through. */

import type { PreviewView, TemplatePreview } from '../api/types';
import { columnsIn, fill, fillAll, textLength, valuesOf, type Values } from './message';
import { cellsOf, type TableHead } from './table';

export interface PreviewRow {
  /** Its number in the file, from 1. */
  number: number;
  to: string;
  values: Values;
  /** Whether a column that the message uses is empty in it. */
  hasEmpty: boolean;
}

/** The rows that the API shows, filled as they would be sent; of a file chosen in this tab, its first rows. */
export function previewRows(preview: PreviewView | undefined, head: TableHead | undefined, values: Values): PreviewRow[] {
  if (head) {
    const phones = preview?.columns.phone ?? [];
    const used = Object.values(values).flatMap(columnsIn);
    return head.rows.map((row, index) => {
      const cells = cellsOf(head, row);
      return {
        number: index + 1,
        to: phones.map((column) => cells[column]).find(Boolean) ?? '',
        values: fillAll(values, cells),
        hasEmpty: used.some((column) => fill(`{{${column}}}`, cells) === ''),
      };
    });
  }
  return (preview?.messages ?? []).map((sample) => {
    const filled = valuesOf(sample.message as Record<string, unknown>);
    return { number: sample.row, to: sample.to, values: filled, hasEmpty: Object.values(filled).some((value) => !value.trim()) };
  });
}

/** The position of the row with the longest text. */
export function longestRow(rows: PreviewRow[], template: TemplatePreview | null): number {
  const lengths = rows.map((row) => textLength(template, row.values));
  return lengths.indexOf(Math.max(...lengths, 0));
}
