//! Counters from changes of the ledger: each change is compared with what was there before.

use serde::{Deserialize, Serialize};

use crate::delivery::ledger::{RESEND_ATTEMPT_LIMIT, State};
use crate::delivery::outcome::Millis;

/// Width of the buckets that the send rate is read from, in milliseconds.
pub const BUCKET_MS: Millis = 5_000;

/// How many buckets are kept.
const RECENT_BUCKETS: usize = 6;

/// What the counters need to know of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowFacts {
    /// Its state.
    pub state: State,
    /// Its latest attempt.
    pub attempt: u32,
    /// When the latest attempt was claimed.
    pub claimed_at: Millis,
    /// A `sent` report came for the latest attempt.
    pub sent: bool,
    /// A `delivered` report came.
    pub delivered: bool,
    /// A `read` report came.
    pub read: bool,
    /// A `failed` report came.
    pub failed: bool,
    /// A doubt that is not sent again.
    pub abandoned: bool,
}

/// What one shard of the ledger's stream counted of a campaign; a campaign's counters are the sum of its shards'.
/// Counts may be negative in one shard, when a row moved from one shard to the next; their sum is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Rows in state `claimed`.
    pub claimed: i64,
    /// Rows in state `retry`.
    pub retry: i64,
    /// Rows in state `held`.
    pub held: i64,
    /// Rows in state `accepted`.
    pub accepted: i64,
    /// Rows in state `rejected`.
    pub rejected: i64,
    /// Rows in state `unconfirmed`.
    pub unconfirmed: i64,
    /// Rows in state `skipped`.
    pub skipped: i64,
    /// Of the unconfirmed, those that are not sent again: given up, or tried too often.
    pub final_unconfirmed: i64,
    /// Rows reported `sent`.
    pub sent: i64,
    /// Rows reported `delivered` or `read`.
    pub delivered: i64,
    /// Rows reported `read`.
    pub read: i64,
    /// Rows accepted, then reported `failed`.
    pub undelivered: i64,
    /// Attempts begun.
    pub attempts: i64,
    /// The first attempt's time.
    pub first_attempt_at: Option<Millis>,
    /// The last attempt's time.
    pub last_attempt_at: Option<Millis>,
    /// Attempts begun in the latest buckets: start of the bucket, count.
    pub recent: Vec<(Millis, i64)>,
}

impl Counters {
    /// Takes in one change of a row: what it was and what it is.
    pub fn apply_change(&mut self, old: Option<RowFacts>, new: RowFacts) {
        if let Some(old) = old {
            self.add_row(old, -1);
        }
        self.add_row(new, 1);
        let attempts = i64::from(new.attempt) - i64::from(old.map_or(0, |old| old.attempt));
        if attempts > 0 {
            self.record_attempts(new.claimed_at, attempts);
        }
    }

    /// The sum over shards.
    pub fn merge(mut self, other: Counters) -> Counters {
        for (mine, theirs) in self
            .fields_mut()
            .into_iter()
            .zip(other.clone().fields_mut())
        {
            *mine += *theirs;
        }
        self.first_attempt_at = [self.first_attempt_at, other.first_attempt_at]
            .into_iter()
            .flatten()
            .min();
        self.last_attempt_at = self.last_attempt_at.max(other.last_attempt_at);
        for (start, calls) in other.recent {
            self.add_to_bucket(start, calls);
        }
        self
    }

    /// What has to be added to `other` to make it these: numbers alone, no times.
    pub fn difference(&self, other: &Counters) -> Counters {
        let mut difference = Counters::default();
        let (mut mine, mut theirs) = (self.clone(), other.clone());
        let pairs = mine.fields_mut().into_iter().zip(theirs.fields_mut());
        for (target, (mine, theirs)) in difference.fields_mut().into_iter().zip(pairs) {
            *target = *mine - *theirs;
        }
        difference
    }

    /// Whether every number is zero.
    pub fn is_zero(&self) -> bool {
        self.clone()
            .fields_mut()
            .into_iter()
            .all(|number| *number == 0)
    }

    /// Rows in the ledger, whatever their state.
    pub fn in_ledger(&self) -> i64 {
        self.claimed + self.retry + self.held + self.settled()
    }

    /// Rows that nothing more is done about by itself.
    pub fn settled(&self) -> i64 {
        self.accepted + self.rejected + self.unconfirmed + self.skipped
    }

    /// Attempts per second over the last two full buckets.
    pub fn attempts_per_second(&self, now: Millis) -> f64 {
        let current = now - now % BUCKET_MS;
        let full = current.saturating_sub(2 * BUCKET_MS)..current;
        let calls: i64 = self
            .recent
            .iter()
            .filter(|(start, _)| full.contains(start))
            .map(|(_, calls)| calls)
            .sum();
        calls as f64 * 1000.0 / (2 * BUCKET_MS) as f64
    }

    fn add_row(&mut self, row: RowFacts, by: i64) {
        let state = match row.state {
            State::Claimed => &mut self.claimed,
            State::Retry => &mut self.retry,
            State::Held => &mut self.held,
            State::Accepted => &mut self.accepted,
            State::Rejected => &mut self.rejected,
            State::Unconfirmed => &mut self.unconfirmed,
            State::Skipped => &mut self.skipped,
        };
        *state += by;
        let lasts = row.abandoned || row.attempt >= RESEND_ATTEMPT_LIMIT;
        if row.state == State::Unconfirmed && lasts {
            self.final_unconfirmed += by;
        }
        let reports = [
            (row.sent, &mut self.sent),
            (row.delivered || row.read, &mut self.delivered),
            (row.read, &mut self.read),
            (row.failed, &mut self.undelivered),
        ];
        for (reported, count) in reports {
            *count += if reported { by } else { 0 };
        }
    }

    fn record_attempts(&mut self, at: Millis, attempts: i64) {
        self.attempts += attempts;
        self.first_attempt_at = Some(self.first_attempt_at.map_or(at, |first| first.min(at)));
        self.last_attempt_at = self.last_attempt_at.max(Some(at));
        self.add_to_bucket(at - at % BUCKET_MS, attempts);
    }

    fn add_to_bucket(&mut self, start: Millis, calls: i64) {
        match self.recent.iter_mut().find(|(known, _)| *known == start) {
            Some((_, count)) => *count += calls,
            None => self.recent.push((start, calls)),
        }
        self.recent.sort_unstable();
        let superfluous = self.recent.len().saturating_sub(RECENT_BUCKETS);
        self.recent.drain(..superfluous);
    }

    fn fields_mut(&mut self) -> [&mut i64; 13] {
        [
            &mut self.claimed,
            &mut self.retry,
            &mut self.held,
            &mut self.accepted,
            &mut self.rejected,
            &mut self.unconfirmed,
            &mut self.skipped,
            &mut self.final_unconfirmed,
            &mut self.sent,
            &mut self.delivered,
            &mut self.read,
            &mut self.undelivered,
            &mut self.attempts,
        ]
    }
}

/// What a number of changes did, for the metrics; the counters are what is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaStats {
    /// Attempts begun.
    pub attempts: usize,
    /// Rows accepted.
    pub accepted: usize,
    /// Rows refused for good.
    pub rejected: usize,
    /// Rows that may have been sent.
    pub unconfirmed: usize,
    /// Rows that are not sent.
    pub skipped: usize,
    /// Rows that were accepted, then not delivered.
    pub undelivered: usize,
}

impl DeltaStats {
    /// Of these changes: what a row was, and what it is.
    pub fn from_changes(changes: impl Iterator<Item = (Option<RowFacts>, RowFacts)>) -> Self {
        let mut steps = Self::default();
        for (old, new) in changes {
            let entered = old.is_none_or(|old| old.state != new.state);
            let before = old.map_or(0, |old| old.attempt);
            steps.attempts += new.attempt.saturating_sub(before) as usize;
            steps.undelivered += usize::from(new.failed && !old.is_some_and(|old| old.failed));
            let count = match new.state {
                State::Accepted => &mut steps.accepted,
                State::Rejected => &mut steps.rejected,
                State::Unconfirmed => &mut steps.unconfirmed,
                State::Skipped => &mut steps.skipped,
                State::Claimed | State::Retry | State::Held => continue,
            };
            *count += usize::from(entered);
        }
        steps
    }
}

/// The fewest outcomes that a failure ratio is read from.
const MIN_OUTCOMES: u32 = 100;

/// The failures among the latest outcomes: between 100 and 200 of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CircuitBreaker {
    outcomes: u32,
    failures: u32,
    previous_outcomes: u32,
    previous_failures: u32,
}

impl CircuitBreaker {
    /// Takes in one change of a row. A failure is a row rejected, in doubt, or accepted and then not delivered.
    pub fn record_change(&mut self, old: Option<RowFacts>, new: RowFacts) {
        let ended = |row: RowFacts| {
            matches!(
                row.state,
                State::Accepted | State::Rejected | State::Unconfirmed
            )
        };
        let failed = |row: RowFacts| ended(row) && (row.state != State::Accepted || row.failed);
        let (was_ended, was_failed) = (old.is_some_and(ended), old.is_some_and(failed));
        match (was_failed, failed(new)) {
            (false, true) => self.failures += 1,
            (true, false) if ended(new) => self.failures = self.failures.saturating_sub(1),
            _ => {}
        }
        self.outcomes += u32::from(ended(new) && !was_ended);
        if self.outcomes >= MIN_OUTCOMES {
            *self = Self {
                previous_outcomes: self.outcomes,
                previous_failures: self.failures,
                ..Self::default()
            };
        }
    }

    /// Failures and outcomes, once there are enough of them.
    pub fn failures_and_outcomes(self) -> Option<(u32, u32)> {
        let outcomes = self.previous_outcomes + self.outcomes;
        (outcomes >= MIN_OUTCOMES).then_some((self.previous_failures + self.failures, outcomes))
    }

    /// Whether more than `ratio` of the latest outcomes are failures.
    pub fn exceeds(self, ratio: f64) -> bool {
        self.failures_and_outcomes()
            .is_some_and(|(failed, outcomes)| f64::from(failed) > ratio * f64::from(outcomes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts() -> impl Strategy<Value = RowFacts> {
        let reports = any::<(bool, bool, bool, bool)>();
        (
            prop::sample::select(&State::ALL[..]),
            1u32..4,
            0u64..100_000,
            reports,
        )
            .prop_map(
                |(state, attempt, claimed_at, (sent, delivered, read, failed))| RowFacts {
                    state,
                    attempt,
                    claimed_at,
                    sent,
                    delivered,
                    read,
                    failed,
                    abandoned: false,
                },
            )
    }

    proptest! {
        #[test]
        fn counters_equal_recount(
            histories in prop::collection::vec(prop::collection::vec(facts(), 1..6), 0..20), split in 0usize..3,
        ) {
            let mut shards = vec![Counters::default(), Counters::default()];
            let mut recount = Counters::default();
            for (index, history) in histories.iter().enumerate() {
                // A row's later changes may come from a child shard.
                let mut old = None;
                for (step, &new) in history.iter().enumerate() {
                    shards[(index + usize::from(step > split)) % 2].apply_change(old, new);
                    old = Some(new);
                }
                recount.apply_change(None, *history.last().expect("not empty"));
            }
            let sum = shards.into_iter().fold(Counters::default(), Counters::merge);
            prop_assert_eq!(sum.in_ledger(), histories.len() as i64);
            let states = |c: &Counters| [c.claimed, c.retry, c.held, c.accepted, c.rejected, c.unconfirmed, c.skipped];
            prop_assert_eq!(states(&sum), states(&recount));
            let reports = |c: &Counters| [c.sent, c.delivered, c.read, c.undelivered];
            prop_assert_eq!(reports(&sum), reports(&recount));
        }
    }

    #[test]
    fn circuit_breaker_counts_only_latest_outcomes() {
        let row = |state, failed| RowFacts {
            state,
            attempt: 1,
            claimed_at: 0,
            sent: false,
            delivered: false,
            read: false,
            failed,
            abandoned: false,
        };
        let claimed = row(State::Claimed, false);
        let mut loss = CircuitBreaker::default();
        for index in 0..99 {
            let state = if index < 30 {
                State::Rejected
            } else {
                State::Accepted
            };
            loss.record_change(Some(claimed), row(state, false));
        }
        assert!(!loss.exceeds(0.2), "too few to tell");
        loss.record_change(Some(claimed), row(State::Accepted, false));
        assert_eq!(loss.failures_and_outcomes(), Some((30, 100)));
        assert!(loss.exceeds(0.2) && !loss.exceeds(0.3) && !loss.exceeds(1.0));
        for _ in 0..100 {
            loss.record_change(Some(claimed), row(State::Accepted, false));
        }
        assert!(!loss.exceeds(0.0), "the first hundred no longer count");
        loss.record_change(
            Some(row(State::Accepted, false)),
            row(State::Accepted, true),
        );
        assert_eq!(
            loss.failures_and_outcomes(),
            Some((1, 100)),
            "not delivered after all"
        );
        loss.record_change(Some(row(State::Claimed, false)), row(State::Retry, false));
        assert_eq!(
            loss.failures_and_outcomes(),
            Some((1, 100)),
            "no outcome yet"
        );
    }

    #[test]
    fn rate_covers_last_full_buckets() {
        let mut counters = Counters::default();
        let row = |claimed_at| RowFacts {
            state: State::Claimed,
            attempt: 1,
            claimed_at,
            sent: false,
            delivered: false,
            read: false,
            failed: false,
            abandoned: false,
        };
        for second in 0..60 {
            for _ in 0..40 {
                counters.apply_change(None, row(second * 1000));
            }
        }
        assert_eq!(counters.attempts_per_second(60_000), 40.0);
        assert_eq!(counters.attempts_per_second(63_000), 40.0);
        assert_eq!(counters.attempts_per_second(90_000), 0.0);
        assert_eq!(
            (counters.attempts, counters.recent.len()),
            (2400, RECENT_BUCKETS)
        );
    }
}
