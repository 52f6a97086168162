/** The form of when and how a campaign sends. */

import type { DailyWindow, Day } from '../api/types';

export const DAYS: readonly Day[] = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

export interface SendingForm {
  at: 'now' | 'time';
  /** As `<input type="datetime-local">` has it, in the reader's zone. */
  notBefore: string;
  hasEnd: boolean;
  notAfter: string;
  hasHours: boolean;
  /** As `<input type="time">` has them. */
  from: string;
  to: string;
  clock: 'recipient' | 'zone';
  /** A name of the IANA database. */
  zone: string;
  days: Day[];
  hasCanary: boolean;
  canary: string;
  afterCanary: 'wait' | 'continue_if_clean';
  hasStopLoss: boolean;
  /** In percent. */
  stopLoss: string;
}

export type SendingField = 'not-before' | 'not-after' | 'hours-from' | 'hours-to' | 'hours-days' | 'canary' | 'stop-loss';

/** The change of the campaign, or the fields that are wrong. */
export function checkSending(form: SendingForm, now: number): { body: Record<string, unknown> } | { wrong: SendingField[] } {
  const wrong: SendingField[] = [];
  const begins = form.at === 'time' ? Date.parse(form.notBefore) : undefined;
  if (begins !== undefined && !(begins > now)) wrong.push('not-before');
  const ends = form.hasEnd ? Date.parse(form.notAfter) : undefined;
  if (ends !== undefined && !(ends > Math.max(now, begins ?? 0))) wrong.push('not-after');
  if (form.hasHours) wrong.push(...wrongHours(form));
  const canary = Number(form.canary.trim().replace(/[\s.,']/g, '') || 'none');
  if (form.hasCanary && !(Number.isInteger(canary) && canary >= 1)) wrong.push('canary');
  const percent = Number(form.stopLoss.trim().replace(',', '.') || 'none');
  if (form.hasStopLoss && !(percent >= 1 && percent <= 100)) wrong.push('stop-loss');
  if (wrong.length > 0) return { wrong };
  return {
    body: {
      not_before: begins === undefined ? null : new Date(begins).toISOString(),
      not_after: ends === undefined ? null : new Date(ends).toISOString(),
      window: form.hasHours ? windowOf(form) : null,
      canary: form.hasCanary ? canary : null,
      after_canary: form.hasCanary ? form.afterCanary : null,
      max_failure_ratio: form.hasStopLoss ? percent / 100 : 1,
    },
  };
}

/** `<input type="time">` has no 24:00: as an end, 00:00 stands for it. */
const MIDNIGHT = '00:00';

function wrongHours(form: SendingForm): SendingField[] {
  const wrong: SendingField[] = [];
  if (!form.from) wrong.push('hours-from');
  if (!form.to || (form.from === form.to && form.to !== MIDNIGHT)) wrong.push('hours-to');
  if (form.days.length === 0) wrong.push('hours-days');
  return wrong;
}

function windowOf(form: SendingForm): DailyWindow {
  return {
    from: form.from,
    to: form.to === MIDNIGHT ? '24:00' : form.to,
    zone: form.clock === 'recipient' ? 'recipient' : form.zone,
    days: DAYS.filter((day) => form.days.includes(day)),
  };
}

/** The part of the form that a campaign's hours fill; 09:00 to 20:00 on every day where it has none. */
export function hoursOf(window: DailyWindow | null | undefined): Pick<SendingForm, 'hasHours' | 'from' | 'to' | 'clock' | 'zone' | 'days'> {
  const zone = window && window.zone !== 'recipient' ? window.zone : Intl.DateTimeFormat().resolvedOptions().timeZone;
  return {
    hasHours: Boolean(window),
    from: window?.from ?? '09:00',
    to: window?.to.replace('24:00', MIDNIGHT) ?? '20:00',
    clock: !window || window.zone === 'recipient' ? 'recipient' : 'zone',
    zone,
    days: [...(window?.days ?? DAYS)],
  };
}

/** A time of the API for `<input type="datetime-local">`. */
export function localInput(at: string | null | undefined): string {
  if (!at) return '';
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
