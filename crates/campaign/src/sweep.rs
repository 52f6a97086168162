//! What a sweep has to do about a campaign: whatever an invocation that died, a lost message or the time left undone.
//!
//! Every duty may be done again without harm, so a sweep may end anywhere.

use crate::outcome::Millis;
use crate::progress::{Progress, open_doubts};
use crate::record::{AfterCanary, Campaign, CampaignState, Going, STALE_MS};

/// A campaign in which nothing has moved for this long may stand still, if the queue is empty.
const QUIET_MS: Millis = 120_000;

/// One in which nothing has moved for this long stands still, whatever is in the queue.
const AGAIN_MS: Millis = 30 * 60_000;

/// One that ought to send and in which nothing has moved for this long is an alarm.
const STUCK_MS: Millis = 15 * 60_000;

/// How long the canary rows' callbacks are waited for.
const CANARY_MS: Millis = 180_000;

/// An upload whose event was lost is looked for until its signature is long over.
const UPLOAD_MS: Millis = 2 * 3_600_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Duty {
    /// Nothing is left to do: the sweep need not look at it any more.
    Close,
    /// The splitter is asked to go on with its files.
    GoOn,
    /// The splitter is asked to offer every row again.
    Offer,
    /// Its time ran out while it was not sending: its rows are settled.
    Expire,
    /// The canary rows went well: the others follow.
    Release,
    /// The canary rows did not go well: it stops, for this reason.
    Stop(String),
}

/// What a sweep sees.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Its numbers.
    pub progress: &'a Progress,
    /// Whether the sends queue is empty.
    pub queue_is_empty: bool,
    /// Now.
    pub now: Millis,
}

impl Seen<'_> {
    /// Whether its ledger is to be read for rows that stand still: not while rows move, unless the last time is long ago.
    pub fn reads_ledger(&self) -> bool {
        let counters = &self.progress.counters;
        let doubts = open_doubts(self.campaign, counters, self.now);
        let swept = self.campaign.swept_at.unwrap_or(self.campaign.created_at);
        let some = counters.claimed > 0 || counters.retry > 0 || doubts > 0;
        some && (self.quiet() >= QUIET_MS || self.since(swept) >= AGAIN_MS)
    }

    /// What is to be done; `overdue` is the number of retries whose time has come, where the ledger was read.
    pub fn duty(&self, overdue: usize) -> Option<Duty> {
        use CampaignState::{
            AwaitingUpload, Canary, Cancelled, Examining, Failed, Paused, Ready, Scheduled,
            Sending, Splitting,
        };
        let campaign = self.campaign;
        let alive = campaign
            .split_beat_at
            .is_some_and(|beat| self.since(beat) < STALE_MS);
        match campaign.state {
            Failed => Some(Duty::Close),
            Cancelled if self.unsent() == 0 => Some(Duty::Close),
            Cancelled => (!alive && self.quiet() >= QUIET_MS).then_some(Duty::Offer),
            Ready | Scheduled | Paused if campaign.window.is_over(self.now) => Some(Duty::Expire),
            Scheduled => campaign.window.is_open(self.now).then_some(Duty::GoOn),
            AwaitingUpload => {
                let age = self.since(campaign.created_at);
                (5 * QUIET_MS..UPLOAD_MS)
                    .contains(&age)
                    .then_some(Duty::GoOn)
            }
            Examining | Splitting => (!alive && self.quiet() >= QUIET_MS).then_some(Duty::GoOn),
            Canary => self.canary(overdue),
            Sending if self.progress.finished => Some(Duty::Close),
            Sending => self.stands_still(self.progress.waiting, overdue),
            Ready | Paused => None,
        }
    }

    /// Whether it ought to send, has somebody to send to, and nothing has moved for long: somebody is told.
    pub fn is_stuck(&self) -> bool {
        let may = self.campaign.going(self.now) == Going::On;
        may && self.unsent() > 0 && self.quiet() >= STUCK_MS
    }

    /// Calls that may or may not have been sent, of a million.
    pub fn doubts_per_million(&self) -> u64 {
        let counters = &self.progress.counters;
        let (doubts, calls) = (counters.unconfirmed.max(0), counters.calls.max(1));
        doubts as u64 * 1_000_000 / calls as u64
    }

    fn canary(&self, overdue: usize) -> Option<Duty> {
        let canary = self.campaign.canary?;
        let counters = &self.progress.counters;
        let missing = canary.enqueued as i64 - counters.seen();
        let unsettled = canary.enqueued as i64 - counters.settled();
        if unsettled > 0 || canary.then == AfterCanary::Wait {
            return self.stands_still(missing, overdue);
        }
        if self.quiet() < CANARY_MS {
            return None;
        }
        let failed = counters.rejected + counters.unconfirmed + counters.undelivered;
        let most = self.campaign.policy.max_failure_ratio * canary.enqueued as f64;
        if failed as f64 <= most {
            return Some(Duty::Release);
        }
        Some(Duty::Stop(format!(
            "{failed} of the {} canary rows failed. Look at why (GET /campaigns/{{id}}/rows?state=rejected), then resume and continue, or cancel.",
            canary.enqueued
        )))
    }

    /// Rows that ought to be on their way while nothing moves.
    fn stands_still(&self, missing: i64, overdue: usize) -> Option<Duty> {
        let wanted = missing > 0 || self.progress.counters.held > 0 || overdue > 0;
        let over = self.campaign.going(self.now) == Going::Expired;
        let lost = self.queue_is_empty && self.quiet() >= QUIET_MS || self.quiet() >= AGAIN_MS;
        // Expired rows are settled whether they are due or not.
        let unsettled = over && self.unsent() > 0;
        ((wanted || unsettled) && lost).then_some(Duty::Offer)
    }

    /// Rows that may still be called, or are.
    fn unsent(&self) -> i64 {
        let counters = &self.progress.counters;
        self.progress.waiting + counters.claimed + counters.retry + counters.held
    }

    /// How long nothing has moved.
    fn quiet(&self) -> Millis {
        let moved = [
            self.progress.counters.last_call_at,
            self.campaign.offered_at,
            self.campaign.rest.as_ref().map(|rest| rest.until),
            Some(self.campaign.created_at),
        ];
        self.since(moved.into_iter().flatten().max().unwrap_or_default())
    }

    fn since(&self, then: Millis) -> Millis {
        self.now.saturating_sub(then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::progress;
    use crate::record;
    use crate::record::tests::sample;
    use crate::tally::Counters;

    const HOUR: Millis = 3_600_000;

    fn duty(
        campaign: &Campaign,
        counters: Counters,
        queue_is_empty: bool,
        now: Millis,
    ) -> Option<Duty> {
        let progress = progress(campaign, counters, 40, now);
        Seen {
            campaign,
            progress: &progress,
            queue_is_empty,
            now,
        }
        .duty(0)
    }

    fn accepted(accepted: i64, last_call_at: Millis) -> Counters {
        Counters {
            accepted,
            last_call_at: Some(last_call_at),
            ..Counters::default()
        }
    }

    #[test]
    fn rows_that_stand_still_are_offered_again_and_moving_ones_are_not() {
        let sending = sample(CampaignState::Sending);
        assert_eq!(
            duty(&sending, accepted(90, HOUR), true, HOUR),
            Some(Duty::Close)
        );
        assert_eq!(
            duty(&sending, accepted(89, HOUR), true, HOUR + 1000),
            None,
            "just called"
        );
        assert_eq!(
            duty(&sending, accepted(89, HOUR), true, HOUR + QUIET_MS),
            Some(Duty::Offer)
        );
        assert_eq!(
            duty(&sending, accepted(89, HOUR), false, HOUR + QUIET_MS),
            None,
            "still in the queue"
        );
        assert_eq!(
            duty(&sending, accepted(89, HOUR), false, HOUR + AGAIN_MS),
            Some(Duty::Offer)
        );
        let mut offered = sending.clone();
        offered.offered_at = Some(HOUR + QUIET_MS);
        assert_eq!(
            duty(&offered, accepted(89, HOUR), true, HOUR + QUIET_MS + 1),
            None,
            "offered just now"
        );
        let paused = sample(CampaignState::Paused);
        assert_eq!(
            duty(&paused, accepted(89, 0), true, HOUR),
            None,
            "an operator's stop is a stop"
        );
    }

    #[test]
    fn a_campaign_whose_time_ran_out_is_settled_even_while_it_is_paused() {
        for state in [
            CampaignState::Paused,
            CampaignState::Scheduled,
            CampaignState::Ready,
        ] {
            let mut late = sample(state);
            late.window.not_after = Some(HOUR);
            assert_eq!(
                duty(&late, accepted(89, 0), true, HOUR),
                Some(Duty::Expire),
                "{state:?}"
            );
        }
        let mut late = sample(CampaignState::Sending);
        late.window.not_after = Some(HOUR);
        assert_eq!(duty(&late, accepted(89, 0), true, HOUR), Some(Duty::Offer));
        let mut early = sample(CampaignState::Scheduled);
        early.window.not_before = Some(HOUR);
        assert_eq!(duty(&early, Counters::default(), true, HOUR - 1), None);
        assert_eq!(
            duty(&early, Counters::default(), true, HOUR),
            Some(Duty::GoOn)
        );
    }

    #[test]
    fn a_clean_canary_is_released_and_another_stops() {
        let mut canary = sample(CampaignState::Canary);
        canary.canary = Some(record::Canary {
            rows: 5,
            then: AfterCanary::ContinueIfClean,
            released: false,
            enqueued: 5,
        });
        let late = HOUR + CANARY_MS;
        assert_eq!(
            duty(&canary, accepted(4, HOUR), false, late),
            None,
            "one is under way"
        );
        assert_eq!(
            duty(&canary, accepted(5, HOUR), true, HOUR),
            None,
            "callbacks may come"
        );
        assert_eq!(
            duty(&canary, accepted(5, HOUR), true, late),
            Some(Duty::Release)
        );
        let mut failed = accepted(5, HOUR);
        failed.undelivered = 2;
        assert!(matches!(
            duty(&canary, failed, true, late),
            Some(Duty::Stop(_))
        ));
        canary.canary = canary.canary.map(|canary| record::Canary {
            then: AfterCanary::Wait,
            ..canary
        });
        assert_eq!(
            duty(&canary, accepted(5, HOUR), true, late),
            None,
            "the operator decides"
        );
    }

    #[test]
    fn an_invocation_that_died_is_followed_by_another() {
        for state in [CampaignState::Splitting, CampaignState::Examining] {
            let mut left = sample(state);
            assert_eq!(
                duty(&left, Counters::default(), true, HOUR),
                Some(Duty::GoOn)
            );
            left.split_beat_at = Some(HOUR - 1000);
            assert_eq!(
                duty(&left, Counters::default(), true, HOUR),
                None,
                "it is alive"
            );
        }
    }

    #[test]
    fn a_cancelled_campaign_is_closed_once_nothing_may_be_called() {
        let cancelled = sample(CampaignState::Cancelled);
        assert_eq!(
            duty(&cancelled, accepted(89, 0), true, HOUR),
            Some(Duty::Offer)
        );
        let mut counters = accepted(89, 0);
        counters.skipped = 1;
        assert_eq!(duty(&cancelled, counters, true, HOUR), Some(Duty::Close));
    }
}
