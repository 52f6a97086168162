//! The circuit breaker: pauses a campaign in which too many of the latest rows failed.

use serde::{Deserialize, Serialize};

use super::row_facts::RowFacts;
use crate::delivery::ledger::State;

/// The fewest outcomes from which a failure ratio is computed.
const MIN_OUTCOMES: u32 = 100;

/// The failures among the latest outcomes. It counts in blocks of 100 outcomes and remembers the block before, so the
/// ratio is taken over the latest 100 to 199 outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CircuitBreaker {
    outcomes: u32,
    failures: u32,
    previous_outcomes: u32,
    previous_failures: u32,
}

impl CircuitBreaker {
    /// Adds one change of a row. A failure is a row that is rejected, unconfirmed, or accepted and then not delivered.
    pub fn record_change(&mut self, old: Option<RowFacts>, new: RowFacts) {
        match (old.is_some_and(has_failed), has_failed(new)) {
            (false, true) => self.failures += 1,
            (true, false) if has_outcome(new) => self.failures = self.failures.saturating_sub(1),
            _ => {}
        }
        self.outcomes += u32::from(has_outcome(new) && !old.is_some_and(has_outcome));
        if self.outcomes >= MIN_OUTCOMES {
            *self = Self {
                previous_outcomes: self.outcomes,
                previous_failures: self.failures,
                ..Self::default()
            };
        }
    }

    /// Failures and outcomes, in this order, once there are enough outcomes.
    pub fn failures_and_outcomes(self) -> Option<(u32, u32)> {
        let outcomes = self.previous_outcomes + self.outcomes;
        (outcomes >= MIN_OUTCOMES).then_some((self.previous_failures + self.failures, outcomes))
    }

    /// Whether more than `ratio` of the latest outcomes are failures.
    pub fn exceeds(self, ratio: f64) -> bool {
        self.failures_and_outcomes()
            .is_some_and(|(failures, outcomes)| f64::from(failures) > ratio * f64::from(outcomes))
    }
}

fn has_outcome(row: RowFacts) -> bool {
    matches!(
        row.state,
        State::Accepted | State::Rejected | State::Unconfirmed
    )
}

fn has_failed(row: RowFacts) -> bool {
    has_outcome(row) && (row.state != State::Accepted || row.failed)
}

#[cfg(test)]
mod tests {
    use super::super::row_facts::tests::first_attempt;
    use super::*;

    #[test]
    fn circuit_breaker_counts_only_latest_outcomes() {
        let claimed = Some(first_attempt(State::Claimed));
        let accepted = first_attempt(State::Accepted);
        let mut breaker = CircuitBreaker::default();
        for index in 0..99 {
            let state = if index < 30 {
                State::Rejected
            } else {
                State::Accepted
            };
            breaker.record_change(claimed, first_attempt(state));
        }
        assert!(!breaker.exceeds(0.2), "too few outcomes");
        breaker.record_change(claimed, accepted);
        assert_eq!(breaker.failures_and_outcomes(), Some((30, 100)));
        assert!(breaker.exceeds(0.2) && !breaker.exceeds(0.3) && !breaker.exceeds(1.0));
        for _ in 0..100 {
            breaker.record_change(claimed, accepted);
        }
        assert!(!breaker.exceeds(0.0), "the first hundred no longer count");
        let undelivered = RowFacts {
            failed: true,
            ..accepted
        };
        breaker.record_change(Some(accepted), undelivered);
        assert_eq!(
            breaker.failures_and_outcomes(),
            Some((1, 100)),
            "undelivered"
        );
        breaker.record_change(claimed, first_attempt(State::Retry));
        assert_eq!(
            breaker.failures_and_outcomes(),
            Some((1, 100)),
            "no outcome yet"
        );
    }
}
