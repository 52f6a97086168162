import { expect, it } from 'vitest';
import { answerIn } from './provider';

it('only an answer of a provider is taken for one', () => {
  expect(answerIn('?code=1&state=2')?.get('code')).toBe('1');
  expect(answerIn('?error=access_denied&state=2')?.get('error')).toBe('access_denied');
  expect(answerIn('?code=1')).toBeUndefined();
  expect(answerIn('?state=1&next=//evil.example')).toBeUndefined();
  expect(answerIn('')).toBeUndefined();
});
