//! Offering rows again: which of a file's rows belong into the queue, given what the ledger says of them.
//!
//! Queue messages may be lost, so offering a row again is always safe; it only costs. Rows of a campaign that will not
//! go on are settled here, so that nobody is left in between.

use crate::ledger::{Standing, State};
use crate::outcome::Millis;
use crate::record::{Campaign, CampaignState, Going};

/// Retries that are due within this time go into the queue: SQS delays messages no longer than 15 minutes.
const SOON_MS: Millis = 10 * 60_000;

/// What is done about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Into the queue.
    Enqueue,
    /// Not sent, and not going to be.
    Skip(Skipped),
    /// Not going to be sent, but it may have been.
    GiveUp,
    /// Nothing: settled, under way, or not due.
    Leave,
}

/// Why a row is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// The person is not to be messaged.
    Suppressed,
    /// The message is free-form, and the person has not written within a day.
    OutsideWindow,
    /// The campaign was cancelled.
    Cancelled,
    /// The campaign's time ran out.
    Expired,
}

impl Skipped {
    /// As the ledger has it.
    pub fn text(self) -> &'static str {
        match self {
            Skipped::Suppressed => {
                "suppressed: on the standing list of people who are not messaged"
            }
            Skipped::OutsideWindow => {
                "outside window: the person has not written within the last 24 hours, and the message is no template"
            }
            Skipped::Cancelled => "cancelled: the operator gave the campaign up",
            Skipped::Expired => "expired: the campaign's time (not_after) ran out",
        }
    }
}

/// What becomes of the rows of `campaign` that are not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are sent.
    Sent,
    /// They are not.
    Skipped(Skipped),
    /// They wait.
    Wait,
}

/// Decides for the whole campaign.
pub fn fate(campaign: &Campaign, now: Millis) -> Fate {
    if campaign.state == CampaignState::Cancelled {
        return Fate::Skipped(Skipped::Cancelled);
    }
    match campaign.going(now) {
        Going::Expired => Fate::Skipped(Skipped::Expired),
        Going::On | Going::Resting(_) => Fate::Sent,
        Going::Stopped => Fate::Wait,
    }
}

/// Decides for one row; `due` is the earliest time of its next attempt, where it has one.
pub fn offer(row: Option<Standing>, due: Option<Millis>, fate: Fate, now: Millis) -> Offer {
    let open = match row {
        None => true,
        Some(row) => matches!(row.state, State::Retry | State::Held),
    };
    match fate {
        _ if !open => Offer::Leave,
        Fate::Wait => Offer::Leave,
        Fate::Skipped(_) if row.is_some_and(|row| row.doubted) => Offer::GiveUp,
        Fate::Skipped(why) => Offer::Skip(why),
        Fate::Sent if due.is_some_and(|due| due > now + SOON_MS) => Offer::Leave,
        Fate::Sent => Offer::Enqueue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::standing;
    use crate::ledger::{Move, after};
    use proptest::prelude::*;

    fn fates() -> impl Strategy<Value = Fate> {
        prop::sample::select(vec![
            Fate::Sent,
            Fate::Wait,
            Fate::Skipped(Skipped::Cancelled),
            Fate::Skipped(Skipped::Expired),
        ])
    }

    proptest! {
        #[test]
        fn what_is_offered_can_be_claimed_and_what_is_given_up_can_be_settled(
            row in standing(), due in prop::option::of(0u64..2_000_000), fate in fates(), now in 0u64..2_000_000,
        ) {
            match offer(row, due, fate, now) {
                Offer::Enqueue => prop_assert!(after(row, Move::Claim, 0).is_some()),
                Offer::Skip(_) => prop_assert!(after(row, Move::Skip, 0).is_some()),
                Offer::GiveUp => prop_assert!(after(row, Move::GiveUp, 0).is_some()),
                Offer::Leave => {}
            }
        }

        #[test]
        fn nobody_is_left_in_between_when_a_campaign_ends(row in standing(), due in prop::option::of(0u64..9), now in 0u64..9) {
            let fate = Fate::Skipped(Skipped::Cancelled);
            let end = match offer(row, due, fate, now) {
                Offer::Skip(_) => after(row, Move::Skip, 0),
                Offer::GiveUp => after(row, Move::GiveUp, 0),
                Offer::Enqueue | Offer::Leave => row,
            };
            let in_between = end.is_none_or(|end| matches!(end.state, State::Retry | State::Held));
            prop_assert!(!in_between, "{row:?} {end:?}");
        }
    }
}
