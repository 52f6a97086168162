/** The hours of the day in which a campaign sends, in words. */

import type { DailyWindow } from '../api/types';
import { text } from '../i18n';
import { weekday } from './format';
import { DAYS } from './sending';

/** Such as `only 09:00–20:00, each recipient's own time, Mon, Tue`. */
export function hours(window: DailyWindow): string {
  const clock = window.zone === 'recipient' ? text.draft.clockRecipient : window.zone;
  const days = window.days ?? DAYS;
  const listed = days.length === DAYS.length ? [] : days.map((day) => weekday(DAYS.indexOf(day), 'short'));
  return [text.draft.summaryHours(`${window.from}–${window.to}`), clock, ...listed].join(', ');
}
