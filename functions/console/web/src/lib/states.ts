/** States: what is shown for each, and what follows from it. */

import type { CampaignState } from '../api/types';

export type Tone = 'idle' | 'working' | 'good' | 'warn' | 'bad';

/** The tone and the icon of each state; its word is in the catalogues. */
export const STATE_LOOKS: Record<CampaignState, { tone: Tone; icon: IconName }> = {
  awaiting_upload: { tone: 'idle', icon: 'dashed' },
  validating: { tone: 'working', icon: 'quarter' },
  ready: { tone: 'warn', icon: 'diamond' },
  scheduled: { tone: 'idle', icon: 'clock' },
  enqueuing: { tone: 'working', icon: 'play' },
  sending: { tone: 'working', icon: 'play' },
  canary: { tone: 'working', icon: 'half' },
  paused: { tone: 'warn', icon: 'pause' },
  finished: { tone: 'good', icon: 'check' },
  cancelled: { tone: 'idle', icon: 'slash' },
  failed: { tone: 'bad', icon: 'cross' },
};

export type IconName =
  | 'dashed'
  | 'quarter'
  | 'diamond'
  | 'clock'
  | 'play'
  | 'half'
  | 'pause'
  | 'check'
  | 'slash'
  | 'cross'
  | 'warning'
  | 'info'
  | 'search'
  | 'plus'
  | 'upload'
  | 'download'
  | 'file'
  | 'megaphone'
  | 'people'
  | 'inbox'
  | 'account'
  | 'settings'
  | 'out'
  | 'left'
  | 'right'
  | 'menu'
  | 'image'
  | 'link'
  | 'phone'
  | 'reply'
  | 'copy'
  | 'question'
  | 'shield';

/** States of a campaign that nobody has started: its page is the form of a new one. */
const DRAFT_STATES: readonly CampaignState[] = ['awaiting_upload', 'validating', 'ready'];

/**
 * Whether the page shows the form instead of the progress. A file that could not be read keeps the form; so does a further
 * file of a campaign that has begun, whose page is then the progress.
 */
export function isDraft(campaign: { state: CampaignState; started_at?: string | null; rows: { enqueued: number }; sending: { attempts: number } }): boolean {
  const hasBegun = campaign.sending.attempts > 0 || Boolean(campaign.started_at);
  return !hasBegun && (DRAFT_STATES.includes(campaign.state) || (campaign.state === 'failed' && campaign.rows.enqueued === 0));
}

/** Milliseconds until a campaign in this state is asked for again; undefined where nothing changes by itself. */
export function pollInterval(state: CampaignState | undefined): number | undefined {
  switch (state) {
    case undefined:
      return undefined;
    case 'validating':
      return 1000;
    case 'enqueuing':
    case 'sending':
    case 'canary':
      return 2000;
    case 'awaiting_upload':
    case 'ready':
    case 'scheduled':
    case 'paused':
      return 5000;
    // Statuses arrive after the last send, too.
    case 'finished':
    case 'cancelled':
    case 'failed':
      return 10_000;
  }
}
