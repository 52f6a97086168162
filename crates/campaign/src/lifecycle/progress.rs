//! What an operator sees of a campaign: every term of the conservation sum, the rate, the end.

use serde::Serialize;

use crate::delivery::outcome::Millis;
use crate::delivery::requeue::{Disposition, disposition};
use crate::lifecycle::campaign::{Campaign, CampaignState, OnUnconfirmed};
use crate::lifecycle::counters::Counters;

/// A campaign's numbers. `rows = rejected_at_import + duplicates + suppressed + enqueued` and
/// `enqueued = waiting + claimed + retry + held + accepted + rejected + unconfirmed + skipped`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// Whether nothing is left to do: computed from the sum, never set.
    pub finished: bool,
    /// Records in the file, header excluded.
    pub rows: i64,
    /// Records that cannot be used.
    pub rejected_at_import: i64,
    /// Records whose number came before.
    pub duplicates: i64,
    /// Records of people who are not to be messaged.
    pub suppressed: i64,
    /// Records for the queue.
    pub enqueued: i64,
    /// Enqueued, and no attempt yet.
    pub waiting: i64,
    /// Rows that something is still to be done about.
    pub open: i64,
    /// What the ledger says.
    pub counters: Counters,
    /// Whether both sums hold.
    pub balanced: bool,
    /// Calls per second, over the last ten seconds.
    pub rate: f64,
    /// When the last call may be expected.
    pub estimated_end: Option<Millis>,
}

/// Adds up a campaign; `budget` is the send budget in calls per second.
pub fn compute_progress(
    campaign: &Campaign,
    counters: Counters,
    budget: u32,
    now: Millis,
) -> Progress {
    // Files are counted to their end before the first row goes out, so the sum holds while they are sent, too.
    let counts = campaign.import_counts();
    let [rows, rejected, duplicates, suppressed, enqueued] = [
        counts.rows,
        counts.rejected,
        counts.duplicates,
        counts.suppressed,
        counts.enqueued,
    ]
    .map(|count| count as i64);
    let waiting = enqueued - counters.in_ledger();
    let open = enqueued - counters.settled() + open_unconfirmed(campaign, &counters, now);
    let rate = counters.attempts_per_second(now);
    let sending = campaign.state.may_send();
    Progress {
        finished: campaign.state == CampaignState::Sending && campaign.is_enqueued() && open == 0,
        rows,
        rejected_at_import: rejected,
        duplicates,
        suppressed,
        enqueued,
        waiting,
        open,
        balanced: rows == rejected + duplicates + suppressed + enqueued && waiting >= 0,
        rate,
        estimated_end: (sending && open > 0).then(|| now + remaining_ms(open, rate, budget)),
        counters,
    }
}

/// Doubts that are sent again once their grace time is over, unless a callback settles them before. None where the
/// campaign does not go on: then they stay what they are.
pub fn open_unconfirmed(campaign: &Campaign, counters: &Counters, now: Millis) -> i64 {
    match (campaign.policy.on_unconfirmed, disposition(campaign, now)) {
        (OnUnconfirmed::Leave, _) | (_, Disposition::Skip(_)) => 0,
        (OnUnconfirmed::Resend, Disposition::Send | Disposition::Wait) => {
            counters.unconfirmed - counters.final_unconfirmed
        }
    }
}

/// At the rate seen, or the budget's before there is one.
fn remaining_ms(open: i64, rate: f64, budget: u32) -> Millis {
    let rate = if rate > 0.0 { rate } else { f64::from(budget) };
    (open as f64 / rate * 1000.0) as Millis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::campaign::FileStage;
    use crate::lifecycle::campaign::tests::sample;

    fn campaign(state: CampaignState) -> Campaign {
        let mut campaign = sample(state);
        if state == CampaignState::Enqueuing {
            campaign.files[0].stage = FileStage::Validated;
        }
        campaign
    }

    #[test]
    fn finished_follows_from_counters() {
        let mut counters = Counters {
            accepted: 80,
            rejected: 9,
            claimed: 1,
            ..Counters::default()
        };
        let open = compute_progress(&campaign(CampaignState::Sending), counters.clone(), 40, 0);
        assert!(!open.finished && open.balanced);
        assert_eq!(open.estimated_end, Some(25));
        (counters.claimed, counters.unconfirmed) = (0, 1);
        let done = compute_progress(&campaign(CampaignState::Sending), counters.clone(), 40, 0);
        assert!(done.finished && done.balanced && done.estimated_end.is_none());
        let paused = compute_progress(&campaign(CampaignState::Paused), counters.clone(), 40, 0);
        assert!(!paused.finished);
        let mut resending = campaign(CampaignState::Sending);
        resending.policy.on_unconfirmed = OnUnconfirmed::Resend;
        let open = compute_progress(&resending, counters.clone(), 40, 0);
        assert!(!open.finished && open.open == 1, "a doubt is sent again");
        counters.final_unconfirmed = 1;
        assert!(compute_progress(&resending, counters, 40, 0).finished);
    }

    #[test]
    fn sum_balances_while_sending_and_extra_row_is_detected() {
        let counters = Counters {
            claimed: 40,
            accepted: 41,
            ..Counters::default()
        };
        let seen = compute_progress(&campaign(CampaignState::Enqueuing), counters, 40, 0);
        assert_eq!((seen.rows, seen.enqueued, seen.waiting), (100, 90, 9));
        assert!(seen.balanced && !seen.finished);
        let too_many = Counters {
            claimed: 95,
            ..Counters::default()
        };
        assert!(!compute_progress(&campaign(CampaignState::Sending), too_many, 40, 0).balanced);
    }
}
