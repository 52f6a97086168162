import { expect, it } from 'vitest';
import { parseRich } from './rich';

const runs = (text: string) => parseRich([{ text, filled: false }]).map((run) => `${run.marks}${run.text}`);

it('marks are shown as a phone shows them', () => {
  expect(runs('a *bold* _and_ ~struck~')).toEqual(['a ', '*bold', ' ', '_and', ' ', '~struck']);
  expect(runs('*_both_*')).toEqual(['*_both']);
  expect(runs('```x *y*```')).toEqual(['`x *y*']);
});

it('a mark that is none stays as it is', () => {
  for (const text of ['2*3*4', 'snake_case_name', '* a *', '*open', '**', '```open']) expect(runs(text)).toEqual([text]);
  expect(runs('*a\nb*')).toEqual(['*a\nb*']);
});

it('filled text keeps its marks and is told apart', () => {
  expect(parseRich([{ text: '*', filled: false }, { text: 'x', filled: true }, { text: '*', filled: false }])).toEqual([{ text: 'x', filled: true, marks: '*' }]);
});
