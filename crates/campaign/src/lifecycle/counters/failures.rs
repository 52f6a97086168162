//! Rows by what went wrong with them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::row_facts::{FailureCause, RowFacts};
use crate::delivery::ledger::State;
use crate::delivery::skip_reason::SkipReason;

/// How a row ended that was not delivered.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FailureState {
    /// WhatsApp refused it.
    Rejected,
    /// WhatsApp accepted it, and did not deliver it.
    Undelivered,
    /// It may have been sent.
    Unconfirmed,
    /// It was not sent on purpose.
    Skipped,
}

impl FailureState {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Rows by state and cause. As JSON, and in the table: one member for each, such as `rejected:131026`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FailureCounts(BTreeMap<String, i64>);

impl FailureCounts {
    /// Adds a row, or takes it away where `by` is negative.
    pub(super) fn add_row(&mut self, row: &RowFacts, by: i64) {
        let state = match row.state {
            State::Rejected => FailureState::Rejected,
            State::Unconfirmed => FailureState::Unconfirmed,
            State::Skipped => FailureState::Skipped,
            State::Accepted if row.failed => FailureState::Undelivered,
            State::Accepted | State::Claimed | State::Retry | State::Held => return,
        };
        let cause = row.cause.unwrap_or(FailureCause::Other);
        self.add(key(state, cause), by);
    }

    /// Adds the counts of another shard, or takes them away where `sign` is negative.
    pub(super) fn add_all(&mut self, other: &Self, sign: i64) {
        for (key, rows) in &other.0 {
            self.add(key.clone(), sign * rows);
        }
    }

    /// Whether nothing is counted.
    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Every state and cause with at least one row.
    pub fn iter(&self) -> impl Iterator<Item = (FailureState, FailureCause, u64)> {
        self.0.iter().filter_map(|(key, &rows)| {
            let (state, cause) = parse_key(key)?;
            let rows = u64::try_from(rows).ok().filter(|&rows| rows > 0)?;
            Some((state, cause, rows))
        })
    }

    fn add(&mut self, key: String, by: i64) {
        use std::collections::btree_map::Entry;
        match self.0.entry(key) {
            Entry::Vacant(entry) if by != 0 => {
                entry.insert(by);
            }
            Entry::Vacant(_) => {}
            // A count of zero is left out, so that equal counts are equal.
            Entry::Occupied(entry) if entry.get() + by == 0 => {
                entry.remove();
            }
            Entry::Occupied(mut entry) => *entry.get_mut() += by,
        }
    }
}

fn key(state: FailureState, cause: FailureCause) -> String {
    match cause {
        FailureCause::Code(code) => format!("{}:{code}", state.name()),
        FailureCause::Skipped(reason) => format!("{}:{}", state.name(), reason.name()),
        FailureCause::Other => format!("{}:", state.name()),
    }
}

fn parse_key(key: &str) -> Option<(FailureState, FailureCause)> {
    use strum::VariantArray;
    let (state, cause) = key.split_once(':')?;
    let state = FailureState::VARIANTS
        .iter()
        .copied()
        .find(|known| known.name() == state)?;
    let cause = match cause {
        "" => FailureCause::Other,
        text => match SkipReason::from_name(text) {
            Some(reason) => FailureCause::Skipped(reason),
            None => FailureCause::Code(text.parse().ok()?),
        },
    };
    Some((state, cause))
}

#[cfg(test)]
mod tests {
    use super::super::row_facts::tests::first_attempt;
    use super::*;

    #[test]
    fn rows_are_counted_by_state_and_cause() {
        let row = |state, cause| RowFacts {
            cause,
            ..first_attempt(state)
        };
        let (code, skipped) = (FailureCause::Code(131_026), SkipReason::Cancelled);
        let mut counts = FailureCounts::default();
        for facts in [
            row(State::Rejected, Some(code)),
            row(State::Rejected, Some(code)),
            row(State::Unconfirmed, None),
            row(State::Skipped, Some(FailureCause::Skipped(skipped))),
            row(State::Accepted, None),
            row(State::Retry, Some(code)),
            RowFacts {
                failed: true,
                ..row(State::Accepted, Some(FailureCause::Code(-1)))
            },
        ] {
            counts.add_row(&facts, 1);
        }
        let found: Vec<_> = counts.iter().collect();
        let expected = [
            (FailureState::Rejected, code, 2),
            (FailureState::Skipped, FailureCause::Skipped(skipped), 1),
            (FailureState::Unconfirmed, FailureCause::Other, 1),
            (FailureState::Undelivered, FailureCause::Code(-1), 1),
        ];
        assert_eq!(found, [expected[0], expected[1], expected[2], expected[3]]);
        let mut difference = counts.clone();
        difference.add_all(&counts, -1);
        assert!(difference.is_zero() && difference == FailureCounts::default());
    }
}
