//! A row's states and who may move it. `cloud::ledger` stores what is decided here.

use serde::{Deserialize, Serialize};

use crate::outcome::Millis;
use crate::record::{OnDoubt, Policy};

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
    /// No further attempt is made, but an earlier one may have been sent: the doubt stays visible.
    GiveUp,
    /// A callback speaks of this attempt, so the API took it.
    Report,
    /// A callback says that this attempt, though taken, was not delivered.
    ReportFailed,
    /// The grace time of a doubt is over, and the operator chose to send again.
    Resend,
    /// It was not delivered, may be later, and the operator asks for another try.
    Reoffer,
}

impl Move {
    /// Every move.
    pub const ALL: [Move; 12] = [
        Move::Claim,
        Move::Accept,
        Move::Reject,
        Move::Retry,
        Move::Hold,
        Move::Doubt,
        Move::Skip,
        Move::GiveUp,
        Move::Report,
        Move::ReportFailed,
        Move::Resend,
        Move::Reoffer,
    ];

    /// Where the move leads.
    pub fn to(self) -> State {
        match self {
            Move::Claim => State::Claimed,
            Move::Accept | Move::Report | Move::ReportFailed => State::Accepted,
            Move::Reject => State::Rejected,
            Move::Retry | Move::Resend | Move::Reoffer => State::Retry,
            Move::Hold => State::Held,
            Move::Doubt | Move::GiveUp => State::Unconfirmed,
            Move::Skip => State::Skipped,
        }
    }

    /// The states it may start from. [`Move::Claim`] and [`Move::Skip`] may also start from nothing, and a claim from
    /// [`State::Retry`] only when the retry is due; every other move holds for the attempt it speaks of and no other.
    /// A report may also start from a [`State::Retry`] that comes from a doubt: see [`after`].
    pub fn from(self) -> &'static [State] {
        match self {
            Move::Claim | Move::Skip | Move::GiveUp => &[State::Retry, State::Held],
            // A callback may overtake the sender's own record, or settle a doubt before the answer is written.
            Move::Accept | Move::Report | Move::ReportFailed => {
                &[State::Claimed, State::Unconfirmed, State::Accepted]
            }
            Move::Reject | Move::Retry | Move::Hold | Move::Doubt => &[State::Claimed],
            Move::Resend => &[State::Unconfirmed],
            Move::Reoffer => &[State::Accepted],
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
    /// Some attempt may have been sent, and no later one was accepted.
    pub doubted: bool,
    /// The latest attempt was accepted, then reported as failed.
    pub failed: bool,
    /// It is in doubt for good: no further attempt is made, whatever the operator chose.
    pub given_up: bool,
}

/// The row after `step`, or `None` where it may not be made: for `cloud::ledger` a condition that fails.
/// `attempt` is the one the mover speaks of; a claim begins the next.
pub fn after(row: Option<Standing>, step: Move, attempt: u32) -> Option<Standing> {
    let Some(row) = row else {
        return first(step);
    };
    // A doubt that was to be sent again is settled by a late callback; what was reported as failed is not.
    let late = row.state == State::Retry && row.doubted && !row.failed;
    let reports = late && matches!(step, Move::Report | Move::ReportFailed);
    let may = reports || step.from().contains(&row.state);
    if !may {
        return None;
    }
    let moved = Standing {
        state: step.to(),
        ..row
    };
    match step {
        Move::Claim => Some(Standing {
            attempt: row.attempt + 1,
            failed: false,
            ..moved
        }),
        // Whoever may have been messaged is not shown as left out.
        Move::Skip => (!row.doubted).then_some(moved),
        Move::GiveUp => row.doubted.then_some(Standing {
            given_up: true,
            ..moved
        }),
        _ if row.attempt != attempt => None,
        Move::Doubt => Some(Standing {
            doubted: true,
            ..moved
        }),
        Move::Accept | Move::Report => Some(Standing {
            doubted: false,
            ..moved
        }),
        Move::ReportFailed => Some(Standing {
            doubted: false,
            failed: true,
            ..moved
        }),
        Move::Reoffer => row.failed.then_some(moved),
        Move::Reject | Move::Retry | Move::Hold | Move::Resend => Some(moved),
    }
}

/// Of a row that is not in the ledger yet.
fn first(step: Move) -> Option<Standing> {
    let attempt = match step {
        Move::Claim => 1,
        // No attempt was made, so none is counted.
        Move::Skip => 0,
        _ => return None,
    };
    Some(Standing {
        state: step.to(),
        attempt,
        doubted: false,
        failed: false,
        given_up: false,
    })
}

/// A doubt at this attempt is not sent again, even where the operator chose so: something is wrong beyond bad luck.
pub const LAST_RESEND: u32 = 10;

/// What becomes by itself of a row that stands still: its owner died, or the grace time of its doubt is over, while its
/// campaign goes on (`sends`).
pub fn repair(
    row: Standing,
    claimed_at: Millis,
    policy: Policy,
    sends: bool,
    now: Millis,
) -> Option<Move> {
    let grace_ms = Millis::from(policy.grace_seconds) * 1000;
    match (row.state, policy.on_doubt) {
        (State::Claimed, _) => owner_is_dead(claimed_at, now).then_some(Move::Doubt),
        (State::Unconfirmed, OnDoubt::Resend) if sends => {
            let lasts = row.given_up || row.attempt >= LAST_RESEND;
            (!lasts && now > claimed_at + grace_ms).then_some(Move::Resend)
        }
        _ => None,
    }
}

/// How long a claim may be at work: half a minute until its call at the slowest pace, twenty seconds for the answer, half
/// a minute for the record with all of its repeats, and as long again for clocks that differ.
pub const CLAIM_MS: Millis = 150_000;

/// Why a claim became a doubt by itself.
pub const OWNER_DIED: &str = "the sender died between claim and answer";

/// Whether the owner of a claim can no longer be at work.
pub fn owner_is_dead(claimed_at: Millis, now: Millis) -> bool {
    now > claimed_at + CLAIM_MS
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any row, or none.
    pub(crate) fn standing() -> impl Strategy<Value = Option<Standing>> {
        let some = (
            prop::sample::select(&State::ALL[..]),
            1u32..4,
            any::<(bool, bool, bool)>(),
        )
            .prop_map(|(state, attempt, (doubted, failed, given_up))| Standing {
                state,
                attempt,
                doubted,
                failed,
                given_up,
            });
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
                State::Accepted if step == Move::Reoffer => prop_assert!(before.failed, "re-offered without a failure"),
                State::Accepted => prop_assert_eq!(now.state, State::Accepted),
                State::Rejected | State::Skipped => prop_assert!(false, "left a final state"),
                State::Unconfirmed => prop_assert!(
                    now.state == State::Accepted || step == Move::Resend, "a doubt ends by a report or the operator's choice"
                ),
                State::Claimed | State::Retry | State::Held => {}
            }
        }

        #[test]
        fn an_old_attempt_moves_nothing(row in standing(), step in prop::sample::select(&Move::ALL[1..]), attempt in 0u32..5) {
            let any_attempt = [Move::Skip, Move::GiveUp].contains(&step);
            if let (Some(now), false) = (after(row, step, attempt), any_attempt) {
                prop_assert_eq!(row.map(|row| row.attempt), Some(attempt));
                prop_assert_eq!(now.attempt, attempt);
            }
        }

        #[test]
        fn a_doubt_is_never_hidden(row in standing(), step in prop::sample::select(&Move::ALL[..]), attempt in 0u32..5) {
            if let (Some(before), Some(now)) = (row, after(row, step, attempt)) {
                let visible = now.doubted || matches!(now.state, State::Accepted | State::Unconfirmed | State::Rejected);
                prop_assert!(!before.doubted || visible, "{before:?} {step:?} {now:?}");
            }
        }

        #[test]
        fn the_answer_and_its_callbacks_commute(reports in 1usize..4, sender_first: bool, doubt: bool) {
            let own = if doubt { Move::Doubt } else { Move::Accept };
            let mut steps = vec![Move::Report; reports];
            steps.insert(if sender_first { 0 } else { reports }, own);
            let claimed = Standing { state: State::Claimed, attempt: 2, doubted: false, failed: false, given_up: false };
            let end = steps.into_iter().fold(claimed, |row, step| after(Some(row), step, 2).unwrap_or(row));
            prop_assert_eq!(end, Standing { state: State::Accepted, ..claimed });
        }
    }

    #[test]
    fn a_claim_dies_with_its_owner_only() {
        assert!(!owner_is_dead(1_000, 1_000 + CLAIM_MS));
        assert!(owner_is_dead(1_000, 1_001 + CLAIM_MS));
    }
}
