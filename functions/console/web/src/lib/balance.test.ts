import { describe, expect, it } from 'vitest';
import type { Campaign } from '../api/types';
import { openRows, segments, settledShare, widths } from './balance';

type Counts = Pick<Campaign, 'rows' | 'delivery'>;

function counts(rows: Partial<Campaign['rows']>, delivery: Partial<Campaign['delivery']> = {}): Counts {
  return {
    rows: {
      total: 0,
      rejected_at_import: 0,
      duplicates: 0,
      suppressed: 0,
      enqueued: 0,
      waiting: 0,
      claimed: 0,
      retry: 0,
      held: 0,
      accepted: 0,
      rejected: 0,
      unconfirmed: 0,
      skipped: 0,
      balanced: true,
      ...rows,
    },
    delivery: { sent: 0, delivered: 0, read: 0, undelivered: 0, ...delivery },
  };
}

const sum = (all: Counts) => segments(all).reduce((total, part) => total + part.rows, 0);
const rowsOf = (all: Counts, key: string) => segments(all).find((part) => part.key === key)?.rows ?? 0;

describe('segments', () => {
  it('put every row of a finished campaign into one state', () => {
    const all = counts(
      { total: 4812, rejected_at_import: 7, duplicates: 21, suppressed: 30, enqueued: 4754, accepted: 4701, rejected: 41, unconfirmed: 3, skipped: 9 },
      { sent: 4700, delivered: 4588, read: 3391, undelivered: 52 },
    );
    expect(segments(all).map((part) => [part.key, part.rows])).toEqual([
      ['read', 3391],
      ['delivered', 1197],
      ['accepted', 61],
      ['unconfirmed', 3],
      ['undelivered', 52],
      ['rejected', 41],
      ['skipped', 9],
      ['suppressed', 30],
      ['duplicates', 21],
      ['unusable', 7],
    ]);
    expect(sum(all)).toBe(4812);
  });

  it('sum to the file whatever the counters say at the moment', () => {
    // Callbacks that were counted before the acceptance they belong to.
    const early = counts({ total: 10, enqueued: 10, accepted: 2, waiting: 8 }, { delivered: 5, read: 4, undelivered: 1 });
    expect(sum(early)).toBe(10);
    expect(rowsOf(early, 'read')).toBe(1);
    // Rows that left one state and are not yet in the next.
    const missing = counts({ total: 10, enqueued: 10, accepted: 3, waiting: 5, balanced: false });
    expect(rowsOf(missing, 'uncounted')).toBe(2);
    expect(sum(missing)).toBe(10);
    // More than there are, and negative ones.
    const wrong = counts({ total: 4, enqueued: 4, accepted: 9, waiting: -3, claimed: 2 });
    expect(sum(wrong)).toBe(4);
    expect(segments(wrong).every((part) => part.rows > 0)).toBe(true);
  });

  it('hold for any counters', () => {
    let seed = 7;
    const random = (most: number) => (seed = (seed * 48_271) % 2_147_483_647) % most;
    for (let round = 0; round < 500; round += 1) {
      const all = counts(
        {
          total: random(50),
          rejected_at_import: random(9),
          duplicates: random(9),
          suppressed: random(9),
          enqueued: random(40),
          waiting: random(20) - 5,
          claimed: random(9),
          retry: random(9),
          held: random(9),
          accepted: random(30),
          rejected: random(9),
          unconfirmed: random(9),
          skipped: random(9),
        },
        { delivered: random(30), read: random(30), undelivered: random(9) },
      );
      expect(sum(all)).toBe(all.rows.total);
    }
  });
});

describe('widths', () => {
  it('sum to the whole and hide nothing', () => {
    const parts = segments(counts({ total: 1_000_000, enqueued: 1_000_000, accepted: 999_999, unconfirmed: 1 }));
    const sizes = widths(parts);
    expect(sizes.reduce((total, size) => total + size, 0)).toBeCloseTo(100);
    expect(Math.min(...sizes)).toBeGreaterThan(0.5);
    expect(widths([])).toEqual([]);
  });
});

it('open and settled rows follow from the counters', () => {
  const all = counts({ total: 10, enqueued: 10, waiting: 4, held: 1, accepted: 3, rejected: 1, unconfirmed: 1 });
  expect(openRows(all)).toBe(5);
  expect(settledShare(all)).toBe(0.5);
  expect(settledShare(counts({}))).toBe(0);
});
