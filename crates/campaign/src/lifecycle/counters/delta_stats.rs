//! What a batch of ledger changes did, for the metrics. The exact numbers are the counters'.

use super::row_facts::RowFacts;
use crate::delivery::ledger::State;

/// What a batch of ledger changes did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaStats {
    /// Attempts begun.
    pub attempts: usize,
    /// Rows accepted.
    pub accepted: usize,
    /// Rows rejected.
    pub rejected: usize,
    /// Rows that became unconfirmed.
    pub unconfirmed: usize,
    /// Rows skipped.
    pub skipped: usize,
    /// Rows reported as failed after acceptance.
    pub undelivered: usize,
}

impl DeltaStats {
    /// Counts the changes: what each row was, and what it is.
    pub fn from_changes(changes: impl Iterator<Item = (Option<RowFacts>, RowFacts)>) -> Self {
        let mut stats = Self::default();
        for (old, new) in changes {
            stats.add(old, new);
        }
        stats
    }

    fn add(&mut self, old: Option<RowFacts>, new: RowFacts) {
        let previous_attempts = old.map_or(0, |old| old.attempt);
        self.attempts += new.attempt.saturating_sub(previous_attempts) as usize;
        let had_failed = old.is_some_and(|old| old.failed);
        self.undelivered += usize::from(new.failed && !had_failed);
        let count = match new.state {
            State::Accepted => &mut self.accepted,
            State::Rejected => &mut self.rejected,
            State::Unconfirmed => &mut self.unconfirmed,
            State::Skipped => &mut self.skipped,
            State::Claimed | State::Retry | State::Held => return,
        };
        *count += usize::from(old.is_none_or(|old| old.state != new.state));
    }
}
