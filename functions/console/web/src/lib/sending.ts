/** The form of when and how a campaign sends. */

export interface SendingForm {
  at: 'now' | 'time';
  /** As `<input type="datetime-local">` has it, in the reader's zone. */
  notBefore: string;
  hasEnd: boolean;
  notAfter: string;
  hasCanary: boolean;
  canary: string;
  afterCanary: 'wait' | 'continue_if_clean';
  hasStopLoss: boolean;
  /** In percent. */
  stopLoss: string;
}

export type SendingField = 'not-before' | 'not-after' | 'canary' | 'stop-loss';

/** The change of the campaign, or the fields that are wrong. */
export function checkSending(form: SendingForm, now: number): { body: Record<string, unknown> } | { wrong: SendingField[] } {
  const wrong: SendingField[] = [];
  const begins = form.at === 'time' ? Date.parse(form.notBefore) : undefined;
  if (begins !== undefined && !(begins > now)) wrong.push('not-before');
  const ends = form.hasEnd ? Date.parse(form.notAfter) : undefined;
  if (ends !== undefined && !(ends > Math.max(now, begins ?? 0))) wrong.push('not-after');
  const canary = Number(form.canary.trim().replace(/[\s.,']/g, '') || 'none');
  if (form.hasCanary && !(Number.isInteger(canary) && canary >= 1)) wrong.push('canary');
  const percent = Number(form.stopLoss.trim().replace(',', '.') || 'none');
  if (form.hasStopLoss && !(percent >= 1 && percent <= 100)) wrong.push('stop-loss');
  if (wrong.length > 0) return { wrong };
  return {
    body: {
      not_before: begins === undefined ? null : new Date(begins).toISOString(),
      not_after: ends === undefined ? null : new Date(ends).toISOString(),
      canary: form.hasCanary ? canary : null,
      after_canary: form.hasCanary ? form.afterCanary : null,
      max_failure_ratio: form.hasStopLoss ? percent / 100 : 1,
    },
  };
}

/** A time of the API for `<input type="datetime-local">`. */
export function localInput(at: string | null | undefined): string {
  if (!at) return '';
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
