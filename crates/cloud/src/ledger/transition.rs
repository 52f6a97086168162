//! A transition of a row as a conditional update.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use campaign::delivery::ledger::{State, Transition};

use crate::dynamodb::{in_list, number, text};

/// Adds the condition of a transition: the attempt, and the states it may start from. Sets `:to` and names
/// `#state`.
pub(super) fn with_attempt_condition(
    update: UpdateItemFluentBuilder,
    transition: Transition,
    attempt: u32,
) -> UpdateItemFluentBuilder {
    let (update, states) = with_transition(update, transition);
    update
        .expression_attribute_values(":attempt", number(attempt.into()))
        .condition_expression(format!("attempt = :attempt AND #state IN ({states})"))
}

/// The same for a transition that proves that the attempt was accepted. It also settles an unconfirmed row that
/// waits to be resent, but not a row whose failure was reported.
pub(super) fn with_acceptance_condition(
    update: UpdateItemFluentBuilder,
    transition: Transition,
    attempt: u32,
) -> UpdateItemFluentBuilder {
    let (update, states) = with_transition(update, transition);
    update
        .expression_attribute_values(":attempt", number(attempt.into()))
        .expression_attribute_values(":retry", text(State::Retry.name()))
        .condition_expression(format!(
            "attempt = :attempt AND (#state IN ({states}) OR \
             #state = :retry AND attribute_exists(was_unconfirmed) AND attribute_not_exists(failed_at))"
        ))
}

/// Sets `:to`, names `#state`, and returns the states from which the transition may start, as a list for
/// `IN`.
pub(super) fn with_transition(
    update: UpdateItemFluentBuilder,
    transition: Transition,
) -> (UpdateItemFluentBuilder, String) {
    let update = update
        .expression_attribute_names("#state", "state")
        .expression_attribute_values(":to", text(transition.to().name()));
    in_list(update, transition.from().iter().map(|from| from.name()))
}
