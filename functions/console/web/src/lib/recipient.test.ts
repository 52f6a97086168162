import { expect, it } from 'vitest';
import { unusedBecause } from './recipient';

it('a row without history is a duplicate, was not used, or waits', () => {
  expect(unusedBecause('sending', 1)).toBe('duplicate');
  expect(unusedBecause('finished', 1)).toBe('duplicate');
  expect(unusedBecause('finished', 0)).toBe('suppressed');
  expect(unusedBecause('cancelled', 0)).toBe('cancelled');
  expect(unusedBecause('paused', 0)).toBe('waits');
});
