import { describe, expect, it } from 'vitest';
import { isRunning, maySuppress, suppressedCount } from './suppression';

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

  it('reads the count of the result, and no other sentence', () => {
    expect(suppressedCount('3 recipients are on the suppression list now who were not before.')).toBe(3);
    expect(suppressedCount('The file is gone.')).toBeUndefined();
    expect(suppressedCount(null)).toBeUndefined();
  });
});
