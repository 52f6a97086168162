/** WhatsApp's marks in texts: `*bold*`, `_italic_`, `~struck~`, and three backquotes for a fixed width. */

import type { Piece } from './message';

export interface Run {
  text: string;
  filled: boolean;
  /** The marks that apply: `*`, `_`, `~`, and `` ` ``. */
  marks: string;
}

const MARKS = ['*', '_', '~'];

/** Texts as runs. A mark counts where a word begins and another of its kind ends one, as on a phone. */
export function parseRich(pieces: Piece[]): Run[] {
  const letters = pieces.flatMap((piece) => [...piece.text].map((text) => ({ text, filled: piece.filled })));
  const marks: string[] = letters.map(() => '');
  const hidden = new Set<number>();
  markFixed(letters, marks, hidden);
  for (const mark of MARKS) markPairs(letters, mark, marks, hidden);
  const runs: Run[] = [];
  letters.forEach((letter, index) => {
    if (hidden.has(index)) return;
    const last = runs.at(-1);
    const own = marks[index] ?? '';
    if (last && last.filled === letter.filled && last.marks === own) last.text += letter.text;
    else runs.push({ text: letter.text, filled: letter.filled, marks: own });
  });
  return runs;
}

type Letter = { text: string; filled: boolean };

function markFixed(letters: Letter[], marks: string[], hidden: Set<number>): void {
  const isFence = (at: number) => [0, 1, 2].every((offset) => letters[at + offset]?.text === '`');
  for (let at = 0; at < letters.length; at += 1) {
    if (!isFence(at)) continue;
    let end = at + 3;
    while (end < letters.length && !isFence(end)) end += 1;
    if (end >= letters.length) return;
    for (let index = at; index < end + 3; index += 1) {
      if (index < at + 3 || index >= end) hidden.add(index);
      else marks[index] += '`';
    }
    at = end + 2;
  }
}

function markPairs(letters: Letter[], mark: string, marks: string[], hidden: Set<number>): void {
  const isWord = (at: number) => /[\p{Letter}\p{Number}]/u.test(letters[at]?.text ?? '');
  const isSpace = (at: number) => /^\s?$/.test(letters[at]?.text ?? '');
  const isPlain = (at: number) => letters[at]?.text === mark && !(marks[at] ?? '').includes('`') && !hidden.has(at);
  for (let at = 0; at < letters.length; at += 1) {
    if (!isPlain(at) || isWord(at - 1) || isSpace(at + 1)) continue;
    let end = at + 1;
    while (end < letters.length && letters[end]?.text !== '\n' && !(isPlain(end) && !isSpace(end - 1) && !isWord(end + 1))) end += 1;
    if (!isPlain(end) || end === at + 1) continue;
    hidden.add(at);
    hidden.add(end);
    for (let index = at + 1; index < end; index += 1) marks[index] += mark;
    at = end;
  }
}
