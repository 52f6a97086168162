//! What a sender that wants to send a row learns from it.

use super::row::LedgerRow;
use super::state::State;
use crate::time::Millis;

/// The result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The row belongs to the caller, for the attempt of this number.
    Won(u32),
    /// The row is settled: there is nothing to send.
    Settled,
    /// Another owner has claimed it, and has not recorded an outcome yet.
    HeldByOther(OtherClaim),
    /// It is a retry that is not due before this time.
    NotBefore(Millis),
}

/// A claim of another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherClaim {
    /// When it was made.
    pub claimed_at: Millis,
    /// The attempt it is for.
    pub attempt: u32,
}

impl Claim {
    /// The result of a claim by `owner` of a row that is in the ledger; `None` if it is free for another attempt.
    pub fn of(row: &LedgerRow, owner: &str, now: Millis) -> Option<Claim> {
        match row.state {
            // A claim whose response was lost is repeated: the existing one may be the caller's own.
            State::Claimed if row.owner == owner => Some(Claim::Won(row.attempt)),
            State::Claimed => Some(Claim::HeldByOther(OtherClaim {
                claimed_at: row.claimed_at,
                attempt: row.attempt,
            })),
            State::Retry => row
                .not_before
                .filter(|&not_before| not_before > now)
                .map(Claim::NotBefore),
            State::Held => None,
            State::Accepted | State::Rejected | State::Unconfirmed | State::Skipped => {
                Some(Claim::Settled)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, not_before: Option<Millis>) -> LedgerRow {
        let row = serde_json::json!({"partition_key": "c1#0", "row": "0000000001", "state": state, "attempt": 2,
            "owner": "me", "claimed_at": 5, "not_before": not_before});
        serde_json::from_value(row).expect("row")
    }

    #[test]
    fn existing_row_decides_the_claim() {
        let held = Claim::HeldByOther(OtherClaim {
            claimed_at: 5,
            attempt: 2,
        });
        for (state, not_before, owner, claim) in [
            (State::Claimed, None, "me", Some(Claim::Won(2))),
            (State::Claimed, None, "other", Some(held)),
            (State::Retry, Some(11), "me", Some(Claim::NotBefore(11))),
            (State::Retry, Some(10), "me", None),
            (State::Retry, None, "me", None),
            (State::Held, None, "me", None),
            (State::Accepted, None, "me", Some(Claim::Settled)),
            (State::Rejected, None, "me", Some(Claim::Settled)),
            (State::Unconfirmed, None, "me", Some(Claim::Settled)),
            (State::Skipped, None, "me", Some(Claim::Settled)),
        ] {
            assert_eq!(
                Claim::of(&row(state, not_before), owner, 10),
                claim,
                "{state:?}"
            );
        }
    }
}
