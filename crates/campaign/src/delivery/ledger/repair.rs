//! What becomes of rows in which nothing happens any more.

use super::state::{RowStatus, State};
use super::transition::Transition;
use crate::lifecycle::campaign::{OnUnconfirmed, Policy};
use crate::time::Millis;

/// A row that is unconfirmed at this attempt is not sent again, even where the operator chose to resend: so many lost
/// responses have another cause than chance.
pub const RESEND_ATTEMPT_LIMIT: u32 = 10;

/// Whether an unconfirmed row may be sent again, where the operator chose so.
pub fn may_resend(attempt: u32, abandoned: bool) -> bool {
    !abandoned && attempt < RESEND_ATTEMPT_LIMIT
}

/// The transition that repairs a row in which nothing happens any more: the sender that claimed it died, or its timeout
/// as unconfirmed has passed. `sends` says whether the campaign is sending.
pub fn repair_transition(
    row: RowStatus,
    claimed_at: Millis,
    policy: Policy,
    sends: bool,
    now: Millis,
) -> Option<Transition> {
    let timeout_ms = Millis::from(policy.unconfirmed_timeout_seconds) * 1000;
    match (row.state, policy.on_unconfirmed) {
        (State::Claimed, _) => {
            lease_expired(claimed_at, now).then_some(Transition::MarkUnconfirmed)
        }
        (State::Unconfirmed, OnUnconfirmed::Resend) if sends => {
            let is_due = now > claimed_at + timeout_ms;
            (may_resend(row.attempt, row.abandoned) && is_due).then_some(Transition::Resend)
        }
        _ => None,
    }
}

/// How long a sender may work on a claim: 30 s until it sends at the slowest pace, 20 s for the response, and the rest to
/// record it. The sender goes on trying after that; meanwhile others take the row for unconfirmed.
pub const CLAIM_LEASE_MS: Millis = 150_000;

/// Why a row became unconfirmed when its lease expired.
pub const SENDER_DIED: &str = "the sender died between claim and response";

/// Whether the sender that claimed a row can no longer be working on it.
pub fn lease_expired(claimed_at: Millis, now: Millis) -> bool {
    now > claimed_at + CLAIM_LEASE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_expires_after_its_lease() {
        assert!(!lease_expired(1_000, 1_000 + CLAIM_LEASE_MS));
        assert!(lease_expired(1_000, 1_001 + CLAIM_LEASE_MS));
    }
}
