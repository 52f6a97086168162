/** Every row of the file in exactly one state: what the bar of a campaign shows. */

import type { Campaign } from '../api/types';

export type SegmentKey =
  | 'read'
  | 'delivered'
  | 'accepted'
  | 'undelivered'
  | 'rejected'
  | 'unconfirmed'
  | 'skipped'
  | 'held'
  | 'retry'
  | 'claimed'
  | 'waiting'
  | 'suppressed'
  | 'duplicates'
  | 'unusable'
  | 'uncounted';

export interface Segment {
  key: SegmentKey;
  rows: number;
}

/** Reached, in doubt, failed, open, never to be sent: the order on the bar. */
export const SEGMENTS: readonly SegmentKey[] = [
  'read',
  'delivered',
  'accepted',
  'unconfirmed',
  'undelivered',
  'rejected',
  'skipped',
  'held',
  'retry',
  'claimed',
  'waiting',
  'suppressed',
  'duplicates',
  'unusable',
  'uncounted',
];

type Counts = Pick<Campaign, 'rows' | 'delivery'>;

/**
 * The segments, without empty ones. Their sum is the number of rows in the file, whatever the API answers: WhatsApp's
 * reports of one row may be counted before its acceptance is, and then wait here; rows that nothing has counted yet are
 * `uncounted`.
 */
export function segments({ rows, delivery }: Counts): Segment[] {
  const accepted = Math.max(0, rows.accepted);
  const undelivered = clamp(delivery.undelivered, accepted);
  const delivered = clamp(delivery.delivered, accepted - undelivered);
  const read = clamp(delivery.read, delivered);
  const known: Record<SegmentKey, number> = {
    read,
    delivered: delivered - read,
    accepted: accepted - delivered - undelivered,
    undelivered,
    unconfirmed: rows.unconfirmed,
    rejected: rows.rejected,
    skipped: rows.skipped,
    held: rows.held,
    retry: rows.retry,
    claimed: rows.claimed,
    waiting: rows.waiting,
    suppressed: rows.suppressed,
    duplicates: rows.duplicates,
    unusable: rows.rejected_at_import,
    uncounted: 0,
  };
  let rest = rows.total;
  for (const key of SEGMENTS) {
    known[key] = clamp(known[key], rest);
    rest -= known[key];
  }
  known.uncounted = rest;
  return SEGMENTS.map((key) => ({ key, rows: known[key] })).filter((segment) => segment.rows > 0);
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(0, value), Math.max(0, most));
}

/** Widths in percent that sum to 100, in which what is there at all can be seen. */
export function widths(parts: Segment[], least = 0.6): number[] {
  const total = parts.reduce((sum, part) => sum + part.rows, 0);
  if (total === 0) return [];
  const wanted = parts.map((part) => Math.max(least, (part.rows / total) * 100));
  const sum = wanted.reduce((all, width) => all + width, 0);
  return wanted.map((width) => (width / sum) * 100);
}

/** How many of the rows that are to be sent are settled, from 0 to 1. */
export function settledShare({ rows }: Pick<Campaign, 'rows'>): number {
  const settled = rows.accepted + rows.rejected + rows.unconfirmed + rows.skipped;
  return rows.enqueued > 0 ? Math.min(1, settled / rows.enqueued) : 0;
}

/** Rows whose recipient has no message yet, and is going to get one. */
export function openRows({ rows }: Pick<Campaign, 'rows'>): number {
  return Math.max(0, rows.waiting) + rows.claimed + rows.retry + rows.held;
}
