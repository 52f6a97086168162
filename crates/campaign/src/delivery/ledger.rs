//! The states of a row, and which transitions are allowed. `cloud::ledger` stores what is decided here.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use crate::lifecycle::campaign::{OnUnconfirmed, Policy};
use crate::time::Millis;

/// The state of a row. A row that is not in the ledger yet is waiting.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// A sender is about to send it, or was when it died.
    Claimed,
    /// Certainly not sent; another attempt is due.
    Retry,
    /// Certainly not sent; waits until the campaign is resumed.
    Held,
    /// The API accepted it.
    Accepted,
    /// The API refused it for good.
    Rejected,
    /// It may have been sent.
    Unconfirmed,
    /// It is not going to be sent.
    Skipped,
}

impl State {
    /// Every state.
    pub const ALL: &[State] = State::VARIANTS;

    /// The name in the ledger and the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<State> {
        name.parse().ok()
    }
}

/// A change of a row from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::VariantArray)]
pub enum Transition {
    /// The sender claims the row before it sends; a new attempt begins.
    Claim,
    /// The API answered with 200 and a message id.
    Accept,
    /// The API refused the message, and a further attempt would be refused, too.
    Reject,
    /// The sender knows that nothing was sent, and another attempt is due.
    Retry,
    /// The API refused the message with an error that pauses the campaign.
    Hold,
    /// The response was lost, or the sender died.
    MarkUnconfirmed,
    /// The recipient is not to be messaged after all.
    Skip,
    /// No further attempt is made, but an earlier one may have been sent: the row stays visible as unconfirmed.
    Abandon,
    /// A callback reports a status of this attempt, so the API accepted it.
    ApplyStatus,
    /// A callback reports that this attempt was accepted, but not delivered.
    ApplyFailure,
    /// The timeout of an unconfirmed row has passed, and the operator chose to send it again.
    Resend,
    /// The message was not delivered, a later attempt may succeed, and the operator chose to make one.
    RequeueUndelivered,
}

impl Transition {
    /// The state after the transition.
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

    /// The states in which it may begin. Further conditions are in [`apply`]:
    /// - [`Transition::Claim`] and [`Transition::Skip`] may also begin without a row in the ledger.
    /// - A claim of a [`State::Retry`] row also needs its retry to be due.
    /// - A callback, and a response that is recorded late, may also find a [`State::Retry`] row that was unconfirmed.
    /// - Every other transition only applies to the attempt for which it was made.
    pub fn from(self) -> &'static [State] {
        match self {
            Transition::Claim | Transition::Skip | Transition::Abandon => {
                &[State::Retry, State::Held]
            }
            // A callback may come before the sender records the response, or after the row became unconfirmed. The sender
            // may record it after that, too, if it could not for longer than its lease.
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
    /// Its latest attempt, from 1; 0 where it was skipped without one.
    pub attempt: u32,
    /// Some attempt may have been sent, and no later one was accepted.
    pub was_unconfirmed: bool,
    /// The latest attempt was accepted, then reported as failed.
    pub failed: bool,
    /// It stays unconfirmed: no further attempt is made, whatever the operator chose.
    pub abandoned: bool,
}

/// The row after `transition`, or `None` where it is not allowed: in `cloud::ledger`, a condition that fails.
/// `attempt` is the attempt for which the transition was made; a claim begins the next one.
pub fn apply(row: Option<RowStatus>, transition: Transition, attempt: u32) -> Option<RowStatus> {
    let Some(row) = row else {
        return first_status(transition);
    };
    if !may_begin(row, transition) {
        return None;
    }
    let changed = RowStatus {
        state: transition.to(),
        ..row
    };
    match transition {
        Transition::Claim => Some(RowStatus {
            attempt: row.attempt + 1,
            failed: false,
            ..changed
        }),
        // A row that may have been sent must not be shown as skipped.
        Transition::Skip => (!row.was_unconfirmed).then_some(changed),
        Transition::Abandon => row.was_unconfirmed.then_some(RowStatus {
            abandoned: true,
            ..changed
        }),
        _ if row.attempt != attempt => None,
        Transition::MarkUnconfirmed => Some(RowStatus {
            was_unconfirmed: true,
            ..changed
        }),
        Transition::Accept | Transition::ApplyStatus => Some(RowStatus {
            was_unconfirmed: false,
            ..changed
        }),
        Transition::ApplyFailure => Some(RowStatus {
            was_unconfirmed: false,
            failed: true,
            ..changed
        }),
        Transition::RequeueUndelivered => row.failed.then_some(changed),
        Transition::Reject | Transition::Retry | Transition::Hold | Transition::Resend => {
            Some(changed)
        }
    }
}

/// Late proof that the attempt was accepted also settles an unconfirmed row that waits to be sent again, unless that row
/// was undelivered.
fn may_begin(row: RowStatus, transition: Transition) -> bool {
    let proves_acceptance = matches!(
        transition,
        Transition::Accept | Transition::ApplyStatus | Transition::ApplyFailure
    );
    let awaits_resend = row.state == State::Retry && row.was_unconfirmed && !row.failed;
    transition.from().contains(&row.state) || proves_acceptance && awaits_resend
}

/// The first status of a row that is not in the ledger yet.
fn first_status(transition: Transition) -> Option<RowStatus> {
    let attempt = match transition {
        Transition::Claim => 1,
        Transition::Skip => 0,
        _ => return None,
    };
    Some(RowStatus {
        state: transition.to(),
        attempt,
        was_unconfirmed: false,
        failed: false,
        abandoned: false,
    })
}

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
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any row, or none.
    pub(crate) fn any_status() -> impl Strategy<Value = Option<RowStatus>> {
        let flags = any::<(bool, bool, bool)>();
        let status = (prop::sample::select(State::ALL), 1u32..4, flags).prop_map(
            |(state, attempt, (was_unconfirmed, failed, abandoned))| RowStatus {
                state,
                attempt,
                was_unconfirmed,
                failed,
                abandoned,
            },
        );
        prop::option::of(status)
    }

    fn any_transition() -> impl Strategy<Value = Transition> {
        prop::sample::select(Transition::VARIANTS)
    }

    #[test]
    fn state_names_match_ledger() {
        for &state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
            assert_eq!(serde_json::to_value(state).expect("text"), state.name());
        }
    }

    proptest! {
        #[test]
        fn settled_row_stays_settled(row in any_status(), transition in any_transition(), attempt in 0u32..5) {
            let Some(before) = row else { return Ok(()) };
            let Some(after) = apply(row, transition, attempt) else { return Ok(()) };
            match before.state {
                State::Accepted if transition == Transition::RequeueUndelivered => {
                    prop_assert!(before.failed, "requeued without a failure");
                }
                State::Accepted => prop_assert_eq!(after.state, State::Accepted),
                State::Rejected | State::Skipped => prop_assert!(false, "left a final state"),
                State::Unconfirmed => prop_assert!(
                    after.state == State::Accepted || transition == Transition::Resend,
                    "only a callback or the operator's choice ends the unconfirmed state"
                ),
                State::Claimed | State::Retry | State::Held => {}
            }
        }

        #[test]
        fn old_attempt_changes_nothing(row in any_status(), transition in any_transition(), attempt in 0u32..5) {
            let ignores_attempt =
                [Transition::Claim, Transition::Skip, Transition::Abandon].contains(&transition);
            if let (Some(after), false) = (apply(row, transition, attempt), ignores_attempt) {
                prop_assert_eq!(row.map(|row| row.attempt), Some(attempt));
                prop_assert_eq!(after.attempt, attempt);
            }
        }

        #[test]
        fn unconfirmed_attempt_stays_visible(row in any_status(), transition in any_transition(), attempt in 0u32..5) {
            if let (Some(before), Some(after)) = (row, apply(row, transition, attempt)) {
                let visible = after.was_unconfirmed
                    || matches!(after.state, State::Accepted | State::Unconfirmed | State::Rejected);
                prop_assert!(!before.was_unconfirmed || visible, "{before:?} {transition:?} {after:?}");
            }
        }

        #[test]
        fn response_and_callbacks_commute(callbacks in 1usize..4, sender_first: bool, response_lost: bool) {
            let recorded = if response_lost { Transition::MarkUnconfirmed } else { Transition::Accept };
            let mut transitions = vec![Transition::ApplyStatus; callbacks];
            transitions.insert(if sender_first { 0 } else { callbacks }, recorded);
            let claimed = RowStatus {
                state: State::Claimed, attempt: 2, was_unconfirmed: false, failed: false, abandoned: false,
            };
            let end = transitions
                .into_iter()
                .fold(claimed, |row, transition| apply(Some(row), transition, 2).unwrap_or(row));
            prop_assert_eq!(end, RowStatus { state: State::Accepted, ..claimed });
        }
    }

    #[test]
    fn claim_expires_after_its_lease() {
        assert!(!lease_expired(1_000, 1_000 + CLAIM_LEASE_MS));
        assert!(lease_expired(1_000, 1_001 + CLAIM_LEASE_MS));
    }
}
