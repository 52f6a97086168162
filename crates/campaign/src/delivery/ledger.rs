//! A row's states and who may move it. `cloud::ledger` stores what is decided here.

use serde::{Deserialize, Serialize};

use crate::delivery::outcome::Millis;
use crate::lifecycle::campaign::{OnUnconfirmed, Policy};

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
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A step of a row from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
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
    MarkUnconfirmed,
    /// The person is not to be messaged after all.
    Skip,
    /// No further attempt is made, but an earlier one may have been sent: the doubt stays visible.
    Abandon,
    /// A callback speaks of this attempt, so the API took it.
    ApplyStatus,
    /// A callback says that this attempt, though taken, was not delivered.
    ApplyFailure,
    /// The grace time of a doubt is over, and the operator chose to send again.
    Resend,
    /// It was not delivered, may be later, and the operator asks for another try.
    RequeueUndelivered,
}

impl Transition {
    /// Every move.
    pub const ALL: [Transition; 12] = [
        Transition::Claim,
        Transition::Accept,
        Transition::Reject,
        Transition::Retry,
        Transition::Hold,
        Transition::MarkUnconfirmed,
        Transition::Skip,
        Transition::Abandon,
        Transition::ApplyStatus,
        Transition::ApplyFailure,
        Transition::Resend,
        Transition::RequeueUndelivered,
    ];

    /// Where the move leads.
    pub fn to(self) -> State {
        match self {
            Transition::Claim => State::Claimed,
            Transition::Accept | Transition::ApplyStatus | Transition::ApplyFailure => {
                State::Accepted
            }
            Transition::Reject => State::Rejected,
            Transition::Retry | Transition::Resend | Transition::RequeueUndelivered => State::Retry,
            Transition::Hold => State::Held,
            Transition::MarkUnconfirmed | Transition::Abandon => State::Unconfirmed,
            Transition::Skip => State::Skipped,
        }
    }

    /// The states it may start from. [`Move::Claim`] and [`Move::Skip`] may also start from nothing, and a claim from
    /// [`State::Retry`] only when the retry is due; every other move holds for the attempt it speaks of and no other.
    /// A report may also start from a [`State::Retry`] that comes from a doubt: see [`after`].
    pub fn from(self) -> &'static [State] {
        match self {
            Transition::Claim | Transition::Skip | Transition::Abandon => {
                &[State::Retry, State::Held]
            }
            // A callback may overtake the sender's own record, or settle a doubt before the answer is written.
            Transition::Accept | Transition::ApplyStatus | Transition::ApplyFailure => {
                &[State::Claimed, State::Unconfirmed, State::Accepted]
            }
            Transition::Reject
            | Transition::Retry
            | Transition::Hold
            | Transition::MarkUnconfirmed => &[State::Claimed],
            Transition::Resend => &[State::Unconfirmed],
            Transition::RequeueUndelivered => &[State::Accepted],
        }
    }
}

/// What the rules need to know of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowStatus {
    /// Its state.
    pub state: State,
    /// Its latest attempt, from 1.
    pub attempt: u32,
    /// Some attempt may have been sent, and no later one was accepted.
    pub was_unconfirmed: bool,
    /// The latest attempt was accepted, then reported as failed.
    pub failed: bool,
    /// It is in doubt for good: no further attempt is made, whatever the operator chose.
    pub abandoned: bool,
}

/// The row after `step`, or `None` where it may not be made: for `cloud::ledger` a condition that fails.
/// `attempt` is the one the mover speaks of; a claim begins the next.
pub fn apply(row: Option<RowStatus>, transition: Transition, attempt: u32) -> Option<RowStatus> {
    let Some(row) = row else {
        return first_status(transition);
    };
    // A doubt that was to be sent again is settled by a late callback; what was reported as failed is not.
    let late = row.state == State::Retry && row.was_unconfirmed && !row.failed;
    let reports = late
        && matches!(
            transition,
            Transition::ApplyStatus | Transition::ApplyFailure
        );
    let may = reports || transition.from().contains(&row.state);
    if !may {
        return None;
    }
    let moved = RowStatus {
        state: transition.to(),
        ..row
    };
    match transition {
        Transition::Claim => Some(RowStatus {
            attempt: row.attempt + 1,
            failed: false,
            ..moved
        }),
        // Whoever may have been messaged is not shown as left out.
        Transition::Skip => (!row.was_unconfirmed).then_some(moved),
        Transition::Abandon => row.was_unconfirmed.then_some(RowStatus {
            abandoned: true,
            ..moved
        }),
        _ if row.attempt != attempt => None,
        Transition::MarkUnconfirmed => Some(RowStatus {
            was_unconfirmed: true,
            ..moved
        }),
        Transition::Accept | Transition::ApplyStatus => Some(RowStatus {
            was_unconfirmed: false,
            ..moved
        }),
        Transition::ApplyFailure => Some(RowStatus {
            was_unconfirmed: false,
            failed: true,
            ..moved
        }),
        Transition::RequeueUndelivered => row.failed.then_some(moved),
        Transition::Reject | Transition::Retry | Transition::Hold | Transition::Resend => {
            Some(moved)
        }
    }
}

/// Of a row that is not in the ledger yet.
fn first_status(step: Transition) -> Option<RowStatus> {
    let attempt = match step {
        Transition::Claim => 1,
        // No attempt was made, so none is counted.
        Transition::Skip => 0,
        _ => return None,
    };
    Some(RowStatus {
        state: step.to(),
        attempt,
        was_unconfirmed: false,
        failed: false,
        abandoned: false,
    })
}

/// A doubt at this attempt is not sent again, even where the operator chose so: something is wrong beyond bad luck.
pub const RESEND_ATTEMPT_LIMIT: u32 = 10;

/// What becomes by itself of a row that stands still: its owner died, or the grace time of its doubt is over, while its
/// campaign goes on (`sends`).
pub fn repair_transition(
    row: RowStatus,
    claimed_at: Millis,
    policy: Policy,
    sends: bool,
    now: Millis,
) -> Option<Transition> {
    let grace_ms = Millis::from(policy.unconfirmed_timeout_seconds) * 1000;
    match (row.state, policy.on_unconfirmed) {
        (State::Claimed, _) => {
            lease_expired(claimed_at, now).then_some(Transition::MarkUnconfirmed)
        }
        (State::Unconfirmed, OnUnconfirmed::Resend) if sends => {
            let lasts = row.abandoned || row.attempt >= RESEND_ATTEMPT_LIMIT;
            (!lasts && now > claimed_at + grace_ms).then_some(Transition::Resend)
        }
        _ => None,
    }
}

/// How long a claim may be at work: half a minute until its call at the slowest pace, twenty seconds for the answer, half
/// a minute for the record with all of its repeats, and as long again for clocks that differ.
pub const CLAIM_LEASE_MS: Millis = 150_000;

/// Why a claim became a doubt by itself.
pub const SENDER_DIED: &str = "the sender died between claim and answer";

/// Whether the owner of a claim can no longer be at work.
pub fn lease_expired(claimed_at: Millis, now: Millis) -> bool {
    now > claimed_at + CLAIM_LEASE_MS
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any row, or none.
    pub(crate) fn any_status() -> impl Strategy<Value = Option<RowStatus>> {
        let some = (
            prop::sample::select(&State::ALL[..]),
            1u32..4,
            any::<(bool, bool, bool)>(),
        )
            .prop_map(|(state, attempt, (doubted, failed, given_up))| RowStatus {
                state,
                attempt,
                was_unconfirmed: doubted,
                failed,
                abandoned: given_up,
            });
        prop::option::of(some)
    }

    #[test]
    fn state_names_match_ledger() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
            assert_eq!(serde_json::to_value(state).expect("text"), state.name());
        }
    }

    proptest! {
        #[test]
        fn settled_row_stays_settled(row in any_status(), step in prop::sample::select(&Transition::ALL[..]), attempt in 0u32..5) {
            let Some(before) = row else { return Ok(()) };
            let Some(now) = apply(row, step, attempt) else { return Ok(()) };
            match before.state {
                State::Accepted if step == Transition::RequeueUndelivered => prop_assert!(before.failed, "re-offered without a failure"),
                State::Accepted => prop_assert_eq!(now.state, State::Accepted),
                State::Rejected | State::Skipped => prop_assert!(false, "left a final state"),
                State::Unconfirmed => prop_assert!(
                    now.state == State::Accepted || step == Transition::Resend, "a doubt ends by a report or the operator's choice"
                ),
                State::Claimed | State::Retry | State::Held => {}
            }
        }

        #[test]
        fn old_attempt_changes_nothing(row in any_status(), step in prop::sample::select(&Transition::ALL[1..]), attempt in 0u32..5) {
            let any_attempt = [Transition::Skip, Transition::Abandon].contains(&step);
            if let (Some(now), false) = (apply(row, step, attempt), any_attempt) {
                prop_assert_eq!(row.map(|row| row.attempt), Some(attempt));
                prop_assert_eq!(now.attempt, attempt);
            }
        }

        #[test]
        fn unconfirmed_attempt_stays_visible(row in any_status(), step in prop::sample::select(&Transition::ALL[..]), attempt in 0u32..5) {
            if let (Some(before), Some(now)) = (row, apply(row, step, attempt)) {
                let visible = now.was_unconfirmed || matches!(now.state, State::Accepted | State::Unconfirmed | State::Rejected);
                prop_assert!(!before.was_unconfirmed || visible, "{before:?} {step:?} {now:?}");
            }
        }

        #[test]
        fn response_and_callbacks_commute(reports in 1usize..4, sender_first: bool, doubt: bool) {
            let own = if doubt { Transition::MarkUnconfirmed } else { Transition::Accept };
            let mut steps = vec![Transition::ApplyStatus; reports];
            steps.insert(if sender_first { 0 } else { reports }, own);
            let claimed = RowStatus { state: State::Claimed, attempt: 2, was_unconfirmed: false, failed: false, abandoned: false };
            let end = steps.into_iter().fold(claimed, |row, step| apply(Some(row), step, 2).unwrap_or(row));
            prop_assert_eq!(end, RowStatus { state: State::Accepted, ..claimed });
        }
    }

    #[test]
    fn claim_expires_after_its_lease() {
        assert!(!lease_expired(1_000, 1_000 + CLAIM_LEASE_MS));
        assert!(lease_expired(1_000, 1_001 + CLAIM_LEASE_MS));
    }
}
