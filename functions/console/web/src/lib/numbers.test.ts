import { describe, expect, it } from 'vitest';
import type { SenderNumber } from '../api/types';
import { hasSeveral, isDefaultAlone, numbersChange, phoneById, totalBudget } from './numbers';

const sender = (id: string, budget: number, phone?: string): SenderNumber => ({
  id,
  is_first: id === '1',
  budget,
  slots: 4,
  rate: budget * 0.99,
  paused: null,
  cooldown: null,
  number: phone
    ? { phone, name: 'Shop', quality: 'GREEN', throughput: 'STANDARD', status: 'CONNECTED', daily_limit: null, daily_limit_known: true, asked_at: '2026-12-01T08:00:00Z' }
    : null,
});
const all = [sender('1', 40, '+1 555-0100'), sender('2', 4, '+1 555-0101'), sender('3', 4)];

describe('numbers', () => {
  it('are mentioned where there are several', () => {
    expect(hasSeveral(undefined)).toBe(false);
    expect(hasSeveral(all.slice(0, 1))).toBe(false);
    expect(hasSeveral(all)).toBe(true);
    expect(totalBudget(all)).toBe(48);
  });

  it('have the phone that people know, or their id', () => {
    expect(['2', '3', '9'].map((id) => phoneById(id, all))).toEqual(['+1 555-0101', '3', '9']);
  });

  it('of a campaign are the default one where it names none or that one', () => {
    expect([[], ['1'], ['2'], ['1', '2'], ['9']].map((ids) => isDefaultAlone(ids, all))).toEqual([true, true, false, false, false]);
  });
});

describe('the change of a campaign’s numbers', () => {
  it('is none where the choice is what is stored', () => {
    expect(numbersChange([], [], all)).toBeUndefined();
    expect(numbersChange(['1'], [], all)).toBeUndefined();
    expect(numbersChange([], ['1'], all)).toBeUndefined();
    expect(numbersChange(['2', '1'], ['1', '2'], all)).toBeUndefined();
  });

  it('names the chosen numbers in the order of the list', () => {
    expect(numbersChange(['2', '1'], [], all)).toEqual(['1', '2']);
    expect(numbersChange(['2'], ['1', '2'], all)).toEqual(['2']);
  });

  it('is null for the default number', () => {
    expect(numbersChange([], ['2'], all)).toBeNull();
    expect(numbersChange(['1'], ['1', '2'], all)).toBeNull();
  });

  it('leaves out numbers that are not there any more, and waits until it is known which are', () => {
    expect(numbersChange(['2', '9'], ['2', '9'], all)).toEqual(['2']);
    expect(numbersChange(['9'], ['9'], all)).toBeNull();
    expect(numbersChange(['2'], [], [])).toBeUndefined();
  });
});
