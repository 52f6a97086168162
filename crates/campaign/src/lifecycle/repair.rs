//! What a sweep has to do about a campaign: whatever an invocation that died, a lost message or the time left undone.
//!
//! Every duty may be done again without harm, so a sweep may end anywhere.

use crate::delivery::outcome::Millis;
use crate::lifecycle::campaign::{
    AfterCanary, Campaign, CampaignState, IMPORT_LEASE_MS, Sendability,
};
use crate::lifecycle::progress::{Progress, open_unconfirmed};

/// A campaign in which nothing has moved for this long may stand still, if the queue is empty.
const IDLE_MS: Millis = 120_000;

/// One in which nothing has moved for this long stands still, whatever is in the queue.
const FORCED_REQUEUE_MS: Millis = 30 * 60_000;

/// One that ought to send and in which nothing has moved for this long is an alarm.
const STALLED_MS: Millis = 15 * 60_000;

/// How long the canary rows' callbacks are waited for.
const CANARY_CALLBACK_MS: Millis = 180_000;

/// An upload whose event was lost is looked for until its signature is long over.
const UPLOAD_WATCH_MS: Millis = 2 * 3_600_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum RepairAction {
    /// Nothing is left to do: the sweep need not look at it any more.
    Close,
    /// The splitter is asked to go on with its files.
    ResumeImport,
    /// The splitter is asked to offer every row again.
    Requeue,
    /// Its time ran out while it was not sending: its rows are settled.
    Expire,
    /// The canary rows went well: the others follow.
    ReleaseCanary,
    /// The canary rows did not go well: it stops, for this reason.
    Pause(String),
}

/// What a sweep sees.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Its numbers.
    pub progress: &'a Progress,
    /// Whether the sends queue is empty.
    pub queue_is_empty: bool,
    /// Now.
    pub now: Millis,
}

impl Snapshot<'_> {
    /// Whether its ledger is to be read for rows that stand still: not while rows move, unless the last time is long ago.
    pub fn needs_ledger_scan(&self) -> bool {
        let counters = &self.progress.counters;
        let doubts = open_unconfirmed(self.campaign, counters, self.now);
        let swept = self
            .campaign
            .reconciled_at
            .unwrap_or(self.campaign.created_at);
        let some = counters.claimed > 0 || counters.retry > 0 || doubts > 0;
        some && (self.idle_ms() >= IDLE_MS || self.elapsed_ms(swept) >= FORCED_REQUEUE_MS)
    }

    /// What is to be done; `overdue` is the number of retries whose time has come, where the ledger was read.
    pub fn repair_action(&self, overdue: usize) -> Option<RepairAction> {
        use CampaignState::{
            AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled,
            Sending, Validating,
        };
        let campaign = self.campaign;
        let alive = campaign
            .lease_renewed_at
            .is_some_and(|beat| self.elapsed_ms(beat) < IMPORT_LEASE_MS);
        match campaign.state {
            Failed => Some(RepairAction::Close),
            Cancelled if self.unsent_rows() == 0 => Some(RepairAction::Close),
            Cancelled => (!alive && self.idle_ms() >= IDLE_MS).then_some(RepairAction::Requeue),
            Ready | Scheduled | Paused if campaign.schedule.has_ended(self.now) => {
                Some(RepairAction::Expire)
            }
            Scheduled => campaign
                .schedule
                .has_begun(self.now)
                .then_some(RepairAction::ResumeImport),
            AwaitingUpload => {
                let age = self.elapsed_ms(campaign.created_at);
                (5 * IDLE_MS..UPLOAD_WATCH_MS)
                    .contains(&age)
                    .then_some(RepairAction::ResumeImport)
            }
            Validating | Enqueuing => {
                (!alive && self.idle_ms() >= IDLE_MS).then_some(RepairAction::ResumeImport)
            }
            Canary => self.canary_action(overdue),
            Sending if self.progress.finished => Some(RepairAction::Close),
            Sending => self.requeue_if_idle(self.progress.waiting, overdue),
            Ready | Paused => None,
        }
    }

    /// Whether it ought to send, has somebody to send to, and nothing has moved for long: somebody is told.
    pub fn is_stalled(&self) -> bool {
        let may = self.campaign.sendability(self.now) == Sendability::Now;
        may && self.unsent_rows() > 0 && self.idle_ms() >= STALLED_MS
    }

    /// Calls that may or may not have been sent, of a million.
    pub fn unconfirmed_per_million(&self) -> u64 {
        let counters = &self.progress.counters;
        let (doubts, calls) = (counters.unconfirmed.max(0), counters.attempts.max(1));
        doubts as u64 * 1_000_000 / calls as u64
    }

    fn canary_action(&self, overdue: usize) -> Option<RepairAction> {
        let canary = self.campaign.canary?;
        let counters = &self.progress.counters;
        let missing = canary.enqueued as i64 - counters.in_ledger();
        let unsettled = canary.enqueued as i64 - counters.settled();
        if unsettled > 0 || canary.after == AfterCanary::Wait {
            return self.requeue_if_idle(missing, overdue);
        }
        if self.idle_ms() < CANARY_CALLBACK_MS {
            return None;
        }
        let failed = counters.rejected + counters.unconfirmed + counters.undelivered;
        let most = self.campaign.policy.max_failure_ratio * canary.enqueued as f64;
        if failed as f64 <= most {
            return Some(RepairAction::ReleaseCanary);
        }
        Some(RepairAction::Pause(format!(
            "{failed} of the {} canary rows failed. Look at why (GET /v1/campaigns/{{id}}/rows?state=rejected), then resume and continue, or cancel.",
            canary.enqueued
        )))
    }

    /// Rows that ought to be on their way while nothing moves.
    fn requeue_if_idle(&self, missing: i64, overdue: usize) -> Option<RepairAction> {
        let wanted = missing > 0 || self.progress.counters.held > 0 || overdue > 0;
        let over = self.campaign.sendability(self.now) == Sendability::Expired;
        let lost =
            self.queue_is_empty && self.idle_ms() >= IDLE_MS || self.idle_ms() >= FORCED_REQUEUE_MS;
        // Expired rows are settled whether they are due or not.
        let unsettled = over && self.unsent_rows() > 0;
        ((wanted || unsettled) && lost).then_some(RepairAction::Requeue)
    }

    /// Rows that may still be called, or are.
    fn unsent_rows(&self) -> i64 {
        let counters = &self.progress.counters;
        self.progress.waiting + counters.claimed + counters.retry + counters.held
    }

    /// How long nothing has moved.
    fn idle_ms(&self) -> Millis {
        let moved = [
            self.progress.counters.last_attempt_at,
            self.campaign.enqueued_at,
            self.campaign.cooldown.as_ref().map(|rest| rest.until),
            Some(self.campaign.created_at),
        ];
        self.elapsed_ms(moved.into_iter().flatten().max().unwrap_or_default())
    }

    fn elapsed_ms(&self, then: Millis) -> Millis {
        self.now.saturating_sub(then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::campaign;
    use crate::lifecycle::campaign::tests::sample;
    use crate::lifecycle::counters::Counters;
    use crate::lifecycle::progress::compute_progress;

    const HOUR: Millis = 3_600_000;

    fn action_for(
        campaign: &Campaign,
        counters: Counters,
        queue_is_empty: bool,
        now: Millis,
    ) -> Option<RepairAction> {
        let progress = compute_progress(campaign, counters, 40, now);
        Snapshot {
            campaign,
            progress: &progress,
            queue_is_empty,
            now,
        }
        .repair_action(0)
    }

    fn accepted(accepted: i64, last_attempt_at: Millis) -> Counters {
        Counters {
            accepted,
            last_attempt_at: Some(last_attempt_at),
            ..Counters::default()
        }
    }

    #[test]
    fn idle_campaign_is_requeued_and_active_one_is_not() {
        let sending = sample(CampaignState::Sending);
        assert_eq!(
            action_for(&sending, accepted(90, HOUR), true, HOUR),
            Some(RepairAction::Close)
        );
        assert_eq!(
            action_for(&sending, accepted(89, HOUR), true, HOUR + 1000),
            None,
            "just called"
        );
        assert_eq!(
            action_for(&sending, accepted(89, HOUR), true, HOUR + IDLE_MS),
            Some(RepairAction::Requeue)
        );
        assert_eq!(
            action_for(&sending, accepted(89, HOUR), false, HOUR + IDLE_MS),
            None,
            "still in the queue"
        );
        assert_eq!(
            action_for(
                &sending,
                accepted(89, HOUR),
                false,
                HOUR + FORCED_REQUEUE_MS
            ),
            Some(RepairAction::Requeue)
        );
        let mut offered = sending.clone();
        offered.enqueued_at = Some(HOUR + IDLE_MS);
        assert_eq!(
            action_for(&offered, accepted(89, HOUR), true, HOUR + IDLE_MS + 1),
            None,
            "offered just now"
        );
        let paused = sample(CampaignState::Paused);
        assert_eq!(
            action_for(&paused, accepted(89, 0), true, HOUR),
            None,
            "an operator's stop is a stop"
        );
    }

    #[test]
    fn expired_campaign_is_settled_even_when_paused() {
        for state in [
            CampaignState::Paused,
            CampaignState::Scheduled,
            CampaignState::Ready,
        ] {
            let mut late = sample(state);
            late.schedule.not_after = Some(HOUR);
            assert_eq!(
                action_for(&late, accepted(89, 0), true, HOUR),
                Some(RepairAction::Expire),
                "{state:?}"
            );
        }
        let mut late = sample(CampaignState::Sending);
        late.schedule.not_after = Some(HOUR);
        assert_eq!(
            action_for(&late, accepted(89, 0), true, HOUR),
            Some(RepairAction::Requeue)
        );
        let mut early = sample(CampaignState::Scheduled);
        early.schedule.not_before = Some(HOUR);
        assert_eq!(
            action_for(&early, Counters::default(), true, HOUR - 1),
            None
        );
        assert_eq!(
            action_for(&early, Counters::default(), true, HOUR),
            Some(RepairAction::ResumeImport)
        );
    }

    #[test]
    fn clean_canary_is_released_and_failed_canary_pauses() {
        let mut canary = sample(CampaignState::Canary);
        canary.canary = Some(campaign::Canary {
            rows: 5,
            after: AfterCanary::ContinueIfClean,
            released: false,
            enqueued: 5,
        });
        let late = HOUR + CANARY_CALLBACK_MS;
        assert_eq!(
            action_for(&canary, accepted(4, HOUR), false, late),
            None,
            "one is under way"
        );
        assert_eq!(
            action_for(&canary, accepted(5, HOUR), true, HOUR),
            None,
            "callbacks may come"
        );
        assert_eq!(
            action_for(&canary, accepted(5, HOUR), true, late),
            Some(RepairAction::ReleaseCanary)
        );
        let mut failed = accepted(5, HOUR);
        failed.undelivered = 2;
        assert!(matches!(
            action_for(&canary, failed, true, late),
            Some(RepairAction::Pause(_))
        ));
        canary.canary = canary.canary.map(|canary| campaign::Canary {
            after: AfterCanary::Wait,
            ..canary
        });
        assert_eq!(
            action_for(&canary, accepted(5, HOUR), true, late),
            None,
            "the operator decides"
        );
    }

    #[test]
    fn dead_import_is_resumed() {
        for state in [CampaignState::Enqueuing, CampaignState::Validating] {
            let mut left = sample(state);
            assert_eq!(
                action_for(&left, Counters::default(), true, HOUR),
                Some(RepairAction::ResumeImport)
            );
            left.lease_renewed_at = Some(HOUR - 1000);
            assert_eq!(
                action_for(&left, Counters::default(), true, HOUR),
                None,
                "it is alive"
            );
        }
    }

    #[test]
    fn cancelled_campaign_closes_when_no_row_is_unsent() {
        let cancelled = sample(CampaignState::Cancelled);
        assert_eq!(
            action_for(&cancelled, accepted(89, 0), true, HOUR),
            Some(RepairAction::Requeue)
        );
        let mut counters = accepted(89, 0);
        counters.skipped = 1;
        assert_eq!(
            action_for(&cancelled, counters, true, HOUR),
            Some(RepairAction::Close)
        );
    }
}
