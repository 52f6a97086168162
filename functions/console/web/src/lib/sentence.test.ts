import { expect, test } from 'vitest';
import { sentence } from './sentence';

test('details become sentences', () => {
  expect(sentence('the file is empty')).toBe('The file is empty.');
  expect(sentence('Is it a number?')).toBe('Is it a number?');
});

test('what programs are told to call is left out', () => {
  const paused = 'An operator paused it. POST /v1/campaigns/{id}/resume lets it go on, /cancel skips the remaining rows.';
  expect(sentence(paused)).toBe('An operator paused it.');
  expect(sentence('3 of 9 failed. Check why (GET /v1/campaigns/{id}/rows?state=rejected), then resume.')).toBe('3 of 9 failed. Check why, then resume.');
  expect(sentence('it is paused: use POST /v1/campaigns/{id}/resume, then continue')).toBe('It is paused.');
  expect(sentence('it began within 24 hours; for other rows use POST /v1/campaigns/1/retries')).toBe('It began within 24 hours.');
  expect(sentence('use POST /v1/campaigns')).toBe('Use POST /v1/campaigns.');
});
