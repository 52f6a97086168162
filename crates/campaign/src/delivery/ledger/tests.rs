//! Properties of the transitions, over any row and any order.

use proptest::prelude::*;
use strum::VariantArray;

use super::apply;
use super::rule::AttemptRule;
use super::state::{RowStatus, State};
use super::transition::Transition;

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
    fn other_attempt_is_refused(row in any_status(), transition in any_transition(), attempt in 0u32..5) {
        if let (Some(before), Some(after)) = (row, apply(row, transition, attempt)) {
            match transition.rule().attempt {
                AttemptRule::Latest => prop_assert_eq!((before.attempt, after.attempt), (attempt, attempt)),
                AttemptRule::Next => prop_assert_eq!((before.attempt + 1, after.attempt), (attempt, attempt)),
                AttemptRule::Any => prop_assert_eq!(before.attempt, after.attempt),
            }
        }
    }

    #[test]
    fn repetition_is_refused_or_changes_nothing(row in any_status(), transition in any_transition(), attempt in 0u32..5) {
        if let Some(after) = apply(row, transition, attempt) {
            let is_allowed = transition.rule().may_be_repeated();
            prop_assert_eq!(apply(Some(after), transition, attempt), is_allowed.then_some(after));
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
