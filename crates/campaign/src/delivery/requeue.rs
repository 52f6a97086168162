//! Requeueing: which of a file's rows go into the queue again, given their status in the ledger.
//!
//! Queue messages may be lost, so a campaign's rows are put into the queue again after a pause or a loss. A duplicate
//! does no harm: only one sender can claim a row. Rows of a campaign that will not be sent are settled here, so that no
//! row stays unsettled.

use crate::delivery::ledger::RowStatus;
pub use crate::delivery::skip_reason::SkipReason;
use crate::lifecycle::campaign::{Campaign, CampaignState, Sendability};
use crate::lifecycle::daily_window::Opening;
use crate::time::Millis;

/// Retries that are due within this time go into the queue: SQS delays messages by 15 minutes at most.
const DUE_SOON_MS: Millis = 10 * 60_000;

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequeueDecision {
    /// It goes into the queue.
    Enqueue,
    /// It was not sent, and is not going to be.
    Skip(SkipReason),
    /// It is not going to be sent again, but it may have been sent.
    Abandon,
    /// Nothing: it is settled, being sent, or not due.
    Leave,
}

/// What happens to the rows of a campaign that are not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// They are sent.
    Send,
    /// They are not sent.
    Skip(SkipReason),
    /// They wait until the campaign is resumed or started.
    Wait,
}

/// Decides for the whole campaign.
pub fn disposition(campaign: &Campaign, now: Millis) -> Disposition {
    if campaign.state(now) == CampaignState::Cancelled {
        return Disposition::Skip(SkipReason::Cancelled);
    }
    match campaign.sendability(now) {
        Sendability::Expired => Disposition::Skip(SkipReason::Expired),
        Sendability::Now | Sendability::NotBefore(_) => Disposition::Send,
        Sendability::Stopped => Disposition::Wait,
    }
}

/// What happens to the row of one recipient, given whether the window of the schedule is open for it.
pub fn disposition_in_window(disposition: Disposition, opening: Opening) -> Disposition {
    match (disposition, opening) {
        (Disposition::Send, Opening::At(_)) => Disposition::Wait,
        (Disposition::Send, Opening::Never) => Disposition::Skip(SkipReason::WindowNeverOpens),
        (Disposition::Send, Opening::Open) | (Disposition::Skip(_) | Disposition::Wait, _) => {
            disposition
        }
    }
}

/// Decides for one row; `due` is the earliest time of its next attempt, where it has one.
pub fn decide_requeue(
    row: Option<RowStatus>,
    due: Option<Millis>,
    disposition: Disposition,
    now: Millis,
) -> RequeueDecision {
    if !row.is_none_or(RowStatus::is_unsettled) {
        return RequeueDecision::Leave;
    }
    match disposition {
        Disposition::Wait => RequeueDecision::Leave,
        Disposition::Skip(_) if row.is_some_and(|row| row.was_unconfirmed) => {
            RequeueDecision::Abandon
        }
        Disposition::Skip(reason) => RequeueDecision::Skip(reason),
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
    use crate::delivery::ledger::{Transition, apply, next_attempt};
    use proptest::prelude::*;

    fn any_disposition() -> impl Strategy<Value = Disposition> {
        prop::sample::select(vec![
            Disposition::Send,
            Disposition::Wait,
            Disposition::Skip(SkipReason::Cancelled),
            Disposition::Skip(SkipReason::Expired),
        ])
    }

    #[test]
    fn row_waits_for_its_window_and_is_skipped_where_that_never_opens() {
        let never = Disposition::Skip(SkipReason::WindowNeverOpens);
        let openings = [Opening::Open, Opening::At(9), Opening::Never];
        let sent = openings.map(|opening| disposition_in_window(Disposition::Send, opening));
        assert_eq!(sent, [Disposition::Send, Disposition::Wait, never]);
        // A campaign that ends or waits does so at any hour.
        for other in [Disposition::Wait, Disposition::Skip(SkipReason::Cancelled)] {
            assert!(
                openings
                    .iter()
                    .all(|&opening| disposition_in_window(other, opening) == other)
            );
        }
    }

    proptest! {
        #[test]
        fn every_decision_is_a_valid_transition(
            row in any_status(),
            due in prop::option::of(0u64..2_000_000),
            disposition in any_disposition(),
            now in 0u64..2_000_000,
        ) {
            match decide_requeue(row, due, disposition, now) {
                RequeueDecision::Enqueue => prop_assert!(apply(row, Transition::Claim, next_attempt(row)).is_some()),
                RequeueDecision::Skip(_) => prop_assert!(apply(row, Transition::Skip, 0).is_some()),
                RequeueDecision::Abandon => prop_assert!(apply(row, Transition::Abandon, 0).is_some()),
                RequeueDecision::Leave => {}
            }
        }

        #[test]
        fn cancelled_campaign_leaves_no_unsettled_row(row in any_status(), due in prop::option::of(0u64..9), now in 0u64..9) {
            let disposition = Disposition::Skip(SkipReason::Cancelled);
            let end = match decide_requeue(row, due, disposition, now) {
                RequeueDecision::Skip(_) => apply(row, Transition::Skip, 0),
                RequeueDecision::Abandon => apply(row, Transition::Abandon, 0),
                RequeueDecision::Enqueue | RequeueDecision::Leave => row,
            };
            prop_assert!(!end.is_none_or(RowStatus::is_unsettled), "{row:?} {end:?}");
        }
    }
}
