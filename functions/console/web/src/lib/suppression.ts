/** The suppression of a campaign's rows: what the API says of it, for the reader. */

import type { Cause, JobView } from '../api/types';

/** Whether the people of these rows can be suppressed: nobody got the message, and the API can choose exactly these rows. */
export function maySuppress(cause: Pick<Cause, 'state' | 'retry'>): boolean {
  return cause.retry.request !== null && (cause.state === 'rejected' || cause.state === 'undelivered');
}

export const isRunning = (job: Pick<JobView, 'state'>): boolean => job.state !== 'done' && job.state !== 'failed';

/** The counts in the result, which the API writes as a sentence; undefined if it is another one. */
export function suppressedCounts(outcome: string | null): { newly: number; before: number } | undefined {
  const found = /^(\d+) recipients are suppressed now; (\d+) were before\.$/.exec(outcome ?? '');
  return found ? { newly: Number(found[1]), before: Number(found[2]) } : undefined;
}
