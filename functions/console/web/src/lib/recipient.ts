/** Rows of one person that have no history: the ledger has only rows that were sent, or skipped on purpose. */

import type { CampaignState } from '../api/types';

export type Unused = 'duplicate' | 'suppressed' | 'cancelled' | 'waits';

/** Why a row has no history, by its place among the person's rows in the order of the file. */
export function unusedBecause(state: CampaignState, index: number): Unused {
  // One message for each number: the first row decides.
  if (index > 0) return 'duplicate';
  if (state === 'finished') return 'suppressed';
  return state === 'cancelled' || state === 'failed' ? 'cancelled' : 'waits';
}
