//! What an operator sees of a campaign: every term of the balance, the send rate, the estimated end.

use serde::Serialize;

use crate::delivery::requeue::{Disposition, disposition};
use crate::lifecycle::campaign::{Campaign, CampaignState, OnUnconfirmed};
use crate::lifecycle::counters::Counters;
use crate::time::Millis;

/// A campaign's numbers. They are balanced where `rows = rejected_at_import + duplicates + suppressed + enqueued` and
/// `enqueued = waiting + claimed + retry + held + accepted + rejected + unconfirmed + skipped`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// Whether no row is left to send. It is computed from the counters, never stored.
    pub finished: bool,
    /// Records in the files, without the headers.
    pub rows: i64,
    /// Records that cannot be used.
    pub rejected_at_import: i64,
    /// Records whose phone number occurs earlier in the campaign.
    pub duplicates: i64,
    /// Records of recipients on the exclude list or the suppression list.
    pub suppressed: i64,
    /// Records that go into the queue.
    pub enqueued: i64,
    /// Enqueued rows without an attempt.
    pub waiting: i64,
    /// Rows that are not settled: they wait for a first or a further attempt, or for its outcome.
    pub unsettled: i64,
    /// What the counter function counted in the ledger.
    pub counters: Counters,
    /// Whether both sums are correct.
    pub balanced: bool,
    /// Attempts per second over the last ten seconds.
    pub rate: f64,
    /// When the last send is expected; unknown where each recipient has hours of its own.
    pub estimated_end: Option<Millis>,
}

/// Computes a campaign's numbers; `budget` is the send budget in sends per second.
pub fn compute_progress(
    campaign: &Campaign,
    counters: Counters,
    budget: u32,
    now: Millis,
) -> Progress {
    // A file is counted to its end before its first row is sent, so the sum is correct during sending, too.
    let counts = campaign.import_counts();
    let [rows, rejected_at_import, duplicates, suppressed, enqueued] = [
        counts.rows,
        counts.rejected,
        counts.duplicates,
        counts.suppressed,
        counts.enqueued,
    ]
    .map(|count| count as i64);
    let waiting = enqueued - counters.in_ledger();
    let unsettled = enqueued - counters.settled() + unconfirmed_to_resend(campaign, &counters, now);
    let rate = counters.attempts_per_second(now);
    let state = campaign.state(now);
    let is_sent = state == CampaignState::Sending && campaign.is_enqueued();
    let has_end = state.may_send() && unsettled > 0;
    Progress {
        finished: is_sent && unsettled == 0,
        rows,
        rejected_at_import,
        duplicates,
        suppressed,
        enqueued,
        waiting,
        unsettled,
        balanced: rows == rejected_at_import + duplicates + suppressed + enqueued && waiting >= 0,
        rate,
        estimated_end: (has_end)
            .then(|| estimate_end(campaign, now, remaining_ms(unsettled, rate, budget)))
            .flatten(),
        counters,
    }
}

/// The time over which Meta counts recipients (Meta, "Messaging limits").
const DAY_MS: Millis = 24 * 3_600_000;

/// How many recipients a campaign messages within the 24 hours around `now`, at most: those it messaged, and those it is
/// going to message. Recipients inside a service window, and in several campaigns, are not told apart, so they count.
pub fn recipients_in_a_day(campaign: &Campaign, progress: &Progress, now: Millis) -> u64 {
    let counters = &progress.counters;
    let is_recent = counters.last_attempt_at.is_some_and(|at| at + DAY_MS > now);
    let messaged = match is_recent {
        true => counters.accepted + counters.unconfirmed,
        false => 0,
    };
    let to_come = match disposition(campaign, now) {
        Disposition::Send => progress.unsettled,
        Disposition::Skip(_) | Disposition::Wait => 0,
    };
    u64::try_from(messaged + to_come).unwrap_or_default()
}

/// Unconfirmed rows that are sent again after their timeout, unless a callback settles them before. There are none where
/// the campaign will not send again: those rows stay unconfirmed.
pub fn unconfirmed_to_resend(campaign: &Campaign, counters: &Counters, now: Millis) -> i64 {
    match (campaign.policy.on_unconfirmed, disposition(campaign, now)) {
        (OnUnconfirmed::Leave, _) | (_, Disposition::Skip(_)) => 0,
        (OnUnconfirmed::Resend, Disposition::Send | Disposition::Wait) => {
            counters.unconfirmed - counters.final_unconfirmed
        }
    }
}

/// The end of so many milliseconds in which it sends. With hours of their own for each recipient, nobody knows.
fn estimate_end(campaign: &Campaign, now: Millis, remaining_ms: Millis) -> Option<Millis> {
    match &campaign.schedule.window {
        Some(window) => window.end_of_open_time(now, remaining_ms),
        None => Some(now + remaining_ms),
    }
}

/// At the current rate, or at the budget's before the first sends.
fn remaining_ms(unsettled: i64, rate: f64, budget: u32) -> Millis {
    let rate = if rate > 0.0 { rate } else { f64::from(budget) };
    (unsettled as f64 / rate * 1000.0) as Millis
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
        let progress = compute_progress(&campaign(CampaignState::Sending), counters.clone(), 40, 0);
        assert!(!progress.finished && progress.balanced);
        assert_eq!(progress.estimated_end, Some(25));
        (counters.claimed, counters.unconfirmed) = (0, 1);
        let finished = compute_progress(&campaign(CampaignState::Sending), counters.clone(), 40, 0);
        assert!(finished.finished && finished.balanced && finished.estimated_end.is_none());
        let paused = compute_progress(&campaign(CampaignState::Paused), counters.clone(), 40, 0);
        assert!(!paused.finished);
        let mut resending = campaign(CampaignState::Sending);
        resending.policy.on_unconfirmed = OnUnconfirmed::Resend;
        let progress = compute_progress(&resending, counters.clone(), 40, 0);
        assert!(
            !progress.finished && progress.unsettled == 1,
            "an unconfirmed row is sent again"
        );
        counters.final_unconfirmed = 1;
        assert!(compute_progress(&resending, counters, 40, 0).finished);
    }

    #[test]
    fn recipients_of_a_day_are_those_who_were_and_will_be_messaged() {
        let now = 10 * DAY_MS;
        // 90 rows: 60 were messaged, 30 wait.
        let recipients = |state, last_attempt_at| {
            let campaign = campaign(state);
            let counters = Counters {
                accepted: 55,
                unconfirmed: 5,
                last_attempt_at,
                ..Counters::default()
            };
            let progress = compute_progress(&campaign, counters, 40, now);
            recipients_in_a_day(&campaign, &progress, now)
        };
        let an_hour_ago = Some(now - 3_600_000);
        assert_eq!(recipients(CampaignState::Sending, an_hour_ago), 90);
        assert_eq!(recipients(CampaignState::Paused, an_hour_ago), 60);
        assert_eq!(recipients(CampaignState::Paused, Some(now - DAY_MS)), 0);
        assert_eq!(recipients(CampaignState::Cancelled, an_hour_ago), 60);
    }

    #[test]
    fn sum_balances_while_sending_and_extra_row_is_detected() {
        let counters = Counters {
            claimed: 40,
            accepted: 41,
            ..Counters::default()
        };
        let sending = compute_progress(&campaign(CampaignState::Enqueuing), counters, 40, 0);
        assert_eq!(
            (sending.rows, sending.enqueued, sending.waiting),
            (100, 90, 9)
        );
        assert!(sending.balanced && !sending.finished);
        let too_many = Counters {
            claimed: 95,
            ..Counters::default()
        };
        assert!(!compute_progress(&campaign(CampaignState::Sending), too_many, 40, 0).balanced);
    }
}
