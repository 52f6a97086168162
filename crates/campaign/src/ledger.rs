//! A row's states and who may move it. `cloud::ledger` stores what is decided here.

use serde::{Deserialize, Serialize};

use crate::outcome::Millis;

/// Where a row stands; a row that is not in the ledger yet is waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A sender is about to call, or was when it died.
    Claimed,
    /// Certainly not sent; another try is due.
    Retry,
    /// Certainly not sent; waits for the campaign to go on.
    Held,
    /// The API took it.
    Accepted,
    /// The API refused it for good.
    Rejected,
    /// It may have been sent.
    Unconfirmed,
    /// Not to be sent.
    Skipped,
}

impl State {
    /// Every state.
    pub const ALL: [State; 7] = [
        State::Claimed,
        State::Retry,
        State::Held,
        State::Accepted,
        State::Rejected,
        State::Unconfirmed,
        State::Skipped,
    ];

    /// The name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            State::Claimed => "claimed",
            State::Retry => "retry",
            State::Held => "held",
            State::Accepted => "accepted",
            State::Rejected => "rejected",
            State::Unconfirmed => "unconfirmed",
            State::Skipped => "skipped",
        }
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A step of a row from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// The sender takes the row, before the call; a new attempt begins.
    Claim,
    /// The sender had a 200 with a message id.
    Accept,
    /// The sender had a refusal that is final.
    Reject,
    /// The sender knows that nothing was sent.
    Retry,
    /// The sender met a refusal that stops the campaign.
    Hold,
    /// The answer was lost, or the owner died.
    Doubt,
    /// The person is not to be messaged after all.
    Skip,
    /// A callback speaks of this attempt, so the API took it.
    Report,
}

impl Move {
    /// Every move.
    pub const ALL: [Move; 8] = [
        Move::Claim,
        Move::Accept,
        Move::Reject,
        Move::Retry,
        Move::Hold,
        Move::Doubt,
        Move::Skip,
        Move::Report,
    ];

    /// Where the move leads.
    pub fn to(self) -> State {
        match self {
            Move::Claim => State::Claimed,
            Move::Accept | Move::Report => State::Accepted,
            Move::Reject => State::Rejected,
            Move::Retry => State::Retry,
            Move::Hold => State::Held,
            Move::Doubt => State::Unconfirmed,
            Move::Skip => State::Skipped,
        }
    }

    /// The states it may start from. [`Move::Claim`] and [`Move::Skip`] may also start from nothing, and a claim from
    /// [`State::Retry`] only when the retry is due; every other move holds for the attempt it speaks of and no other.
    pub fn from(self) -> &'static [State] {
        match self {
            Move::Claim | Move::Skip => &[State::Retry, State::Held],
            // A callback may overtake the sender's own record, or settle a doubt before the answer is written.
            Move::Accept | Move::Report => &[State::Claimed, State::Unconfirmed, State::Accepted],
            Move::Reject | Move::Retry | Move::Hold | Move::Doubt => &[State::Claimed],
        }
    }
}

/// What the rules need to know of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// Its latest attempt, from 1.
    pub attempt: u32,
}

/// The row after `step`, or `None` where it may not be made: for `cloud::ledger` a condition that fails.
/// `attempt` is the one the mover speaks of; a claim begins the next.
pub fn after(row: Option<Standing>, step: Move, attempt: u32) -> Option<Standing> {
    match (row, step) {
        (None, Move::Claim) => Some(Standing {
            state: State::Claimed,
            attempt: 1,
        }),
        // No attempt was made, so none is counted.
        (None, Move::Skip) => Some(Standing {
            state: State::Skipped,
            attempt: 0,
        }),
        (None, _) => None,
        (Some(row), step) if !step.from().contains(&row.state) => None,
        (Some(row), Move::Claim) => Some(Standing {
            state: State::Claimed,
            attempt: row.attempt + 1,
        }),
        (Some(row), Move::Skip) => Some(Standing {
            state: State::Skipped,
            attempt: row.attempt,
        }),
        (Some(row), step) => (row.attempt == attempt).then_some(Standing {
            state: step.to(),
            attempt,
        }),
    }
}

/// Whether the owner of a claim can no longer be at work: `lifetime_ms` is the longest an invocation may run.
pub fn owner_is_dead(claimed_at: Millis, now: Millis, lifetime_ms: Millis) -> bool {
    // Clocks of two machines may differ: half a minute is far beyond what the platform allows.
    const CLOCK_SKEW_MS: Millis = 30_000;
    now > claimed_at + lifetime_ms + CLOCK_SKEW_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing() -> impl Strategy<Value = Option<Standing>> {
        let some = (prop::sample::select(&State::ALL[..]), 1u32..4)
            .prop_map(|(state, attempt)| Standing { state, attempt });
        prop::option::of(some)
    }

    #[test]
    fn names_are_those_of_the_ledger() {
        for state in State::ALL {
            assert_eq!(State::named(state.name()), Some(state));
            assert_eq!(serde_json::to_value(state).expect("text"), state.name());
        }
    }

    proptest! {
        #[test]
        fn what_is_settled_stays_settled(row in standing(), step in prop::sample::select(&Move::ALL[..]), attempt in 0u32..5) {
            let Some(before) = row else { return Ok(()) };
            let Some(now) = after(row, step, attempt) else { return Ok(()) };
            match before.state {
                State::Accepted => prop_assert_eq!(now, before),
                State::Rejected | State::Skipped => prop_assert!(false, "left a final state"),
                State::Unconfirmed => prop_assert_eq!(now.state, State::Accepted, "a doubt ends by a report only"),
                State::Claimed | State::Retry | State::Held => {}
            }
        }

        #[test]
        fn an_old_attempt_moves_nothing(row in standing(), step in prop::sample::select(&Move::ALL[1..]), attempt in 0u32..5) {
            if let (Some(now), true) = (after(row, step, attempt), step != Move::Skip) {
                prop_assert_eq!(row.map(|row| row.attempt), Some(attempt));
                prop_assert_eq!(now.attempt, attempt);
            }
        }

        #[test]
        fn the_answer_and_its_callbacks_commute(reports in 1usize..4, sender_first: bool, doubt: bool) {
            let own = if doubt { Move::Doubt } else { Move::Accept };
            let mut steps = vec![Move::Report; reports];
            steps.insert(if sender_first { 0 } else { reports }, own);
            let claimed = Some(Standing { state: State::Claimed, attempt: 2 });
            let end = steps.into_iter().fold(claimed, |row, step| after(row, step, 2).or(row));
            prop_assert_eq!(end, Some(Standing { state: State::Accepted, attempt: 2 }));
        }
    }

    #[test]
    fn a_claim_dies_with_its_owner_only() {
        assert!(!owner_is_dead(1_000, 1_000 + 120_000, 120_000));
        assert!(owner_is_dead(1_000, 1_000 + 150_001, 120_000));
    }
}
