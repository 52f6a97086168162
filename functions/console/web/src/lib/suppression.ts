/** The suppression of a campaign's rows: what the API says of it, for the reader. */

import type { Cause, JobView } from '../api/types';

/** Whether the people of these rows can be suppressed: nobody got the message, and the API can choose exactly these rows. */
export function maySuppress(cause: Pick<Cause, 'state' | 'retry'>): boolean {
  return cause.retry.request !== null && (cause.state === 'rejected' || cause.state === 'undelivered');
}

export const isRunning = (job: Pick<JobView, 'state'>): boolean => job.state !== 'done' && job.state !== 'failed';

/** How many people the result names, which the API writes as a sentence; undefined if it is another one. */
export function suppressedCount(outcome: string | null): number | undefined {
  const found = /^(\d+) recipients are on the suppression list now who were not before\.$/.exec(outcome ?? '');
  return found ? Number(found[1]) : undefined;
}
