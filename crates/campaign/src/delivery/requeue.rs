//! Offering rows again: which of a file's rows belong into the queue, given what the ledger says of them.
//!
//! Queue messages may be lost, so offering a row again is always safe; it only costs. Rows of a campaign that will not
//! go on are settled here, so that nobody is left in between.

use crate::delivery::ledger::{RowStatus, State};
use crate::delivery::outcome::Millis;
use crate::lifecycle::campaign::{Campaign, CampaignState, Sendability};

/// Retries that are due within this time go into the queue: SQS delays messages no longer than 15 minutes.
const DUE_SOON_MS: Millis = 10 * 60_000;

/// What is done about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequeueDecision {
    /// Into the queue.
    Enqueue,
    /// Not sent, and not going to be.
    Skip(SkipReason),
    /// Not going to be sent, but it may have been.
    Abandon,
    /// Nothing: settled, under way, or not due.
    Leave,
}

/// Why a row is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The person is not to be messaged.
    Suppressed,
    /// The message is free-form, and the person has not written within a day.
    OutsideServiceWindow,
    /// The campaign was cancelled.
    Cancelled,
    /// The campaign's time ran out.
    Expired,
}

impl SkipReason {
    /// As the ledger has it.
    pub fn text(self) -> &'static str {
        match self {
            SkipReason::Suppressed => "suppressed: on the suppression list",
            SkipReason::OutsideServiceWindow => {
                "outside_service_window: the recipient has not written within the last 24 hours, and the message is not a template"
            }
            SkipReason::Cancelled => "cancelled: the operator cancelled the campaign",
            SkipReason::Expired => "expired: the campaign's schedule (not_after) has ended",
        }
    }
}

/// What becomes of the rows of `campaign` that are not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// They are sent.
    Send,
    /// They are not.
    Skip(SkipReason),
    /// They wait.
    Wait,
}

/// Decides for the whole campaign.
pub fn disposition(campaign: &Campaign, now: Millis) -> Disposition {
    if campaign.state == CampaignState::Cancelled {
        return Disposition::Skip(SkipReason::Cancelled);
    }
    match campaign.sendability(now) {
        Sendability::Expired => Disposition::Skip(SkipReason::Expired),
        Sendability::Now | Sendability::NotBefore(_) => Disposition::Send,
        Sendability::Stopped => Disposition::Wait,
    }
}

/// Decides for one row; `due` is the earliest time of its next attempt, where it has one.
pub fn decide_requeue(
    row: Option<RowStatus>,
    due: Option<Millis>,
    disposition: Disposition,
    now: Millis,
) -> RequeueDecision {
    let open = match row {
        None => true,
        Some(row) => matches!(row.state, State::Retry | State::Held),
    };
    match disposition {
        _ if !open => RequeueDecision::Leave,
        Disposition::Wait => RequeueDecision::Leave,
        Disposition::Skip(_) if row.is_some_and(|row| row.was_unconfirmed) => {
            RequeueDecision::Abandon
        }
        Disposition::Skip(why) => RequeueDecision::Skip(why),
        Disposition::Send if due.is_some_and(|due| due > now + DUE_SOON_MS) => {
            RequeueDecision::Leave
        }
        Disposition::Send => RequeueDecision::Enqueue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::ledger::tests::any_status;
    use crate::delivery::ledger::{Transition, apply};
    use proptest::prelude::*;

    fn any_disposition() -> impl Strategy<Value = Disposition> {
        prop::sample::select(vec![
            Disposition::Send,
            Disposition::Wait,
            Disposition::Skip(SkipReason::Cancelled),
            Disposition::Skip(SkipReason::Expired),
        ])
    }

    proptest! {
        #[test]
        fn every_decision_is_a_valid_transition(
            row in any_status(), due in prop::option::of(0u64..2_000_000), fate in any_disposition(), now in 0u64..2_000_000,
        ) {
            match decide_requeue(row, due, fate, now) {
                RequeueDecision::Enqueue => prop_assert!(apply(row, Transition::Claim, 0).is_some()),
                RequeueDecision::Skip(_) => prop_assert!(apply(row, Transition::Skip, 0).is_some()),
                RequeueDecision::Abandon => prop_assert!(apply(row, Transition::Abandon, 0).is_some()),
                RequeueDecision::Leave => {}
            }
        }

        #[test]
        fn cancelled_campaign_leaves_no_open_row(row in any_status(), due in prop::option::of(0u64..9), now in 0u64..9) {
            let fate = Disposition::Skip(SkipReason::Cancelled);
            let end = match decide_requeue(row, due, fate, now) {
                RequeueDecision::Skip(_) => apply(row, Transition::Skip, 0),
                RequeueDecision::Abandon => apply(row, Transition::Abandon, 0),
                RequeueDecision::Enqueue | RequeueDecision::Leave => row,
            };
            let in_between = end.is_none_or(|end| matches!(end.state, State::Retry | State::Held));
            prop_assert!(!in_between, "{row:?} {end:?}");
        }
    }
}
