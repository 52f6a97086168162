//! The rules of the transitions, applied to a row.

use super::rule::AttemptRule;
use super::state::RowStatus;
use super::transition::Transition;

/// The row after `transition`, or `None` where it is not allowed: in `cloud::ledger`, a condition that fails. `attempt` is
/// the attempt that it is about, as [`AttemptRule`] says.
pub fn apply(row: Option<RowStatus>, transition: Transition, attempt: u32) -> Option<RowStatus> {
    let rule = transition.rule();
    let Some(row) = row else {
        return rule.may_be_first(attempt).then_some(RowStatus {
            state: rule.to,
            attempt: rule.first_attempt?,
            was_unconfirmed: false,
            failed: false,
            abandoned: false,
        });
    };
    let latest = match rule.attempt {
        AttemptRule::Latest => (row.attempt == attempt).then_some(attempt)?,
        AttemptRule::Next => (row.attempt + 1 == attempt).then_some(attempt)?,
        AttemptRule::Any => row.attempt,
    };
    let may_begin = rule.from.iter().any(|from| from.holds(row));
    may_begin.then_some(RowStatus {
        state: rule.to,
        attempt: latest,
        was_unconfirmed: rule.was_unconfirmed.change(row.was_unconfirmed),
        failed: rule.failed.change(row.failed),
        abandoned: rule.abandoned.change(row.abandoned),
    })
}

/// The attempt that a claim of this row begins.
pub fn next_attempt(row: Option<RowStatus>) -> u32 {
    row.map_or(0, |row| row.attempt) + 1
}
