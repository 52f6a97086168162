/** The numbers that messages are sent from. */

import type { SenderNumber } from '../api/types';
import { text } from '../i18n';
import { number } from './format';

/** Whether there is a choice: with one number, no screen mentions it. */
export const hasSeveral = (all: readonly SenderNumber[] | undefined): boolean => (all?.length ?? 0) > 1;

/** A number as people know it: its phone, or its id while WhatsApp cannot be asked. */
export const phoneOf = (one: SenderNumber): string => one.number?.phone ?? one.id;

/** The same by its id, also of a number that is not there any more. */
export function phoneById(id: string, all: readonly SenderNumber[]): string {
  const found = all.find((one) => one.id === id);
  return found ? phoneOf(found) : id;
}

/** Messages a second: sent in the last minute, of those that it may send. */
export const rateOf = (one: SenderNumber): string => text.account.rate(number(one.rate, 1), number(one.budget));

/** Messages a second of all numbers together. */
export const totalBudget = (all: readonly SenderNumber[]): number => all.reduce((sum, one) => sum + one.budget, 0);

/** Whether a campaign is sent from the default number alone: it names none, or this one. */
export function isDefaultAlone(ids: readonly string[], all: readonly SenderNumber[]): boolean {
  return ids.every((id) => all.some((one) => one.is_first && one.id === id));
}

/**
 * What a campaign's `numbers` become: undefined if they stay, null for the default number. Numbers that are not there any more
 * are left out; while it is not known which ones are there, nothing changes.
 */
export function numbersChange(chosen: readonly string[], stored: readonly string[], all: readonly SenderNumber[]): string[] | null | undefined {
  if (all.length === 0) return undefined;
  const named = all.filter((one) => chosen.includes(one.id)).map((one) => one.id);
  const isDefault = isDefaultAlone(named, all);
  const isSame = isDefault
    ? isDefaultAlone(stored, all)
    : named.length === stored.length && named.every((id) => stored.includes(id));
  if (isSame) return undefined;
  return isDefault ? null : named;
}
