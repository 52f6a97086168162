/** The form of a single message, and what became of one. */

import type { NewSingleMessage, RecipientStatus, Template } from '../api/types';
import type { SegmentKey } from './balance';
import { buildMessage, slots, type Slot, type Values } from './message';
import { cleanPhone } from './phone';
import type { IconName, Tone } from './states';

export interface SingleForm {
  to: string;
  values: Values;
  isUrgent: boolean;
  /** The id of the number that it is sent from; empty for the one that the person knows. */
  number: string;
}

export const emptyForm = (): SingleForm => ({ to: '', values: {}, isUrgent: true, number: '' });

/** The ids of the fields. */
export const TO_FIELD = 'message-to';
export const NUMBER_FIELD = 'message-number';
export const valueField = (slot: Slot): string => `value-${slot.key}`;

export interface WrongField {
  field: string;
  fault: 'phone' | 'empty' | 'placeholder';
  /** The place of the template, if it is one. */
  slot?: Slot;
}

/** What is sent, or the fields that are wrong. */
export function checkSingle(form: SingleForm, template: Template): { body: NewSingleMessage } | { wrong: WrongField[] } {
  const to = cleanPhone(form.to);
  const wrong: WrongField[] = to ? [] : [{ field: TO_FIELD, fault: 'phone' }];
  for (const slot of slots(template)) {
    const value = form.values[slot.key] ?? '';
    const field = valueField(slot);
    if (!value.trim()) wrong.push({ field, fault: 'empty', slot });
    // There is no file to take it from.
    else if (/\{\{.*\}\}/s.test(value)) wrong.push({ field, fault: 'placeholder', slot });
  }
  if (!to || wrong.length > 0) return { wrong };
  const message = buildMessage(template, form.values);
  return { body: { to, message, urgent: form.isUrgent, ...(form.number ? { number: form.number } : {}) } };
}

/** The field that the API's pointer means; empty if it is none of the form. */
export function fieldAt(pointer: string | undefined, template: Template): string {
  if (pointer === '/to') return TO_FIELD;
  if (pointer === '/number') return NUMBER_FIELD;
  const [, component, parameter] = /^\/message\/template\/components\/(\d+)\/parameters\/(\d+)/.exec(pointer ?? '') ?? [];
  const all = slots(template);
  const buttons = all.filter((slot) => slot.part === 'button').map((slot) => [slot]);
  // As `buildMessage` has them.
  const components = [all.filter((slot) => slot.part === 'header'), all.filter((slot) => slot.part === 'body'), ...buttons];
  const slot = components.filter((one) => one.length > 0)[Number(component)]?.[Number(parameter)];
  return slot ? valueField(slot) : '';
}

export interface Outcome {
  /** Its word and its explanation are those of rows. */
  word: SegmentKey;
  tone: Tone;
  icon: IconName;
  /** Milliseconds until it is asked for again; undefined where nothing changes any more. */
  next: number | undefined;
}

/** The API itself waits for an outcome. */
const WAITING_MS = 500;
/** Statuses arrive after the send. */
const STATUS_MS = 4000;

const open = (word: SegmentKey): Outcome => ({ word, tone: 'working', icon: 'clock', next: WAITING_MS });
const done = (word: SegmentKey, next?: number): Outcome => ({ word, tone: 'good', icon: 'check', next });
const failed = (word: SegmentKey): Outcome => ({ word, tone: 'bad', icon: 'cross', next: undefined });
const unsent = (word: SegmentKey): Outcome => ({ word, tone: 'warn', icon: 'slash', next: undefined });

const OUTCOMES: Record<RecipientStatus, Outcome> = {
  waiting: open('waiting'),
  claimed: open('claimed'),
  retry: open('retry'),
  held: open('held'),
  accepted: done('accepted', STATUS_MS),
  sent: done('accepted', STATUS_MS),
  delivered: done('delivered', STATUS_MS),
  read: done('read'),
  unconfirmed: { word: 'unconfirmed', tone: 'warn', icon: 'question', next: STATUS_MS },
  undelivered: failed('undelivered'),
  rejected: failed('rejected'),
  rejected_at_import: failed('unusable'),
  skipped: unsent('skipped'),
  suppressed: unsent('suppressed'),
  duplicate: unsent('duplicates'),
};

export const outcomeOf = (status: RecipientStatus): Outcome => OUTCOMES[status];
