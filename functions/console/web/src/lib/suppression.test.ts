import { describe, expect, it } from 'vitest';
import { isRunning, maySuppress, suppressedCounts } from './suppression';

describe('suppression of rows', () => {
  const request = { states: ['rejected' as const], codes: [131026], manual_start: true };
  const retry = { makes_sense: false, reason: '', request };

  it('is offered only where nobody got the message, and the rows can be chosen', () => {
    expect(maySuppress({ state: 'rejected', retry })).toBe(true);
    expect(maySuppress({ state: 'undelivered', retry })).toBe(true);
    expect(maySuppress({ state: 'unconfirmed', retry })).toBe(false);
    expect(maySuppress({ state: 'skipped', retry })).toBe(false);
    expect(maySuppress({ state: 'rejected', retry: { ...retry, request: null } })).toBe(false);
  });

  it('runs until it is done or has failed', () => {
    expect((['queued', 'running', 'done', 'failed'] as never[]).map((state) => isRunning({ state }))).toEqual([true, true, false, false]);
  });

  it('reads the counts of the result, and no other sentence', () => {
    expect(suppressedCounts('3 recipients are suppressed now; 1 were before.')).toEqual({ newly: 3, before: 1 });
    expect(suppressedCounts('The file is gone.')).toBeUndefined();
    expect(suppressedCounts(null)).toBeUndefined();
  });
});
