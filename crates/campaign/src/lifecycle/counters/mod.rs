//! Counters from changes of the ledger: each change is compared with the row before it.
//!
//! - [`Counters`]: the exact numbers of a campaign
//! - `delta_stats`: what a batch of changes did, for the metrics
//! - `circuit_breaker`: the failures among the latest rows
//! - `failures`: rows by what went wrong with them
//! - `timeline`: attempts, deliveries and reads over time
//! - `row_facts`: what all of them need to know of a row

mod circuit_breaker;
mod delta_stats;
mod failures;
mod row_facts;
mod timeline;

use serde::{Deserialize, Serialize};

pub use self::circuit_breaker::CircuitBreaker;
pub use self::delta_stats::DeltaStats;
pub use self::failures::{FailureCounts, FailureState};
pub use self::row_facts::{FailureCause, RowFacts};
pub use self::timeline::{Timeline, TimelinePoint};
use crate::delivery::ledger::{State, may_resend};
use crate::time::Millis;

/// Width of the time buckets from which the send rate is computed.
pub const BUCKET_MS: Millis = 5_000;

/// How many buckets are kept: five minutes.
const RECENT_BUCKETS: usize = 60;

/// What one shard of the ledger's stream counted of a campaign; a campaign's counters are the sum over its shards.
/// A shard's counts may be negative, where a row's later changes came through another shard; the sum never is.
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
    /// Unconfirmed rows that are never sent again: abandoned, or attempted too often.
    pub final_unconfirmed: i64,
    /// Rows reported `sent`.
    pub sent: i64,
    /// Rows reported `delivered` or `read`.
    pub delivered: i64,
    /// Rows reported `read`.
    pub read: i64,
    /// Rows reported `failed` after acceptance.
    pub undelivered: i64,
    /// Attempts begun.
    pub attempts: i64,
    /// When the first attempt was claimed.
    pub first_attempt_at: Option<Millis>,
    /// When the last attempt was claimed.
    pub last_attempt_at: Option<Millis>,
    /// Attempts begun in the latest buckets: start of the bucket, count.
    pub recent: Vec<(Millis, i64)>,
    /// Rows by what went wrong with them.
    pub failures: FailureCounts,
    /// Attempts, deliveries and reads over time.
    pub timeline: Timeline,
}

impl Counters {
    /// Adds one change of a row: what it was, and what it is.
    pub fn apply_change(&mut self, old: Option<RowFacts>, new: RowFacts) {
        if let Some(old) = old {
            self.add_row(old, -1);
        }
        self.add_row(new, 1);
        let attempts = i64::from(new.attempt) - i64::from(old.map_or(0, |old| old.attempt));
        if attempts > 0 {
            self.record_attempts(new.claimed_at, attempts);
        }
        self.record_callbacks(old, new);
    }

    /// The sum of two shards.
    pub fn merge(mut self, mut other: Counters) -> Counters {
        for (total, addend) in self.fields_mut().into_iter().zip(other.fields_mut()) {
            *total += *addend;
        }
        let first_attempts = [self.first_attempt_at, other.first_attempt_at];
        self.first_attempt_at = first_attempts.into_iter().flatten().min();
        self.last_attempt_at = self.last_attempt_at.max(other.last_attempt_at);
        for (start, attempts) in other.recent {
            self.add_to_bucket(start, attempts);
        }
        self.failures.add_all(&other.failures, 1);
        self.timeline = self.timeline.merge(other.timeline);
        self
    }

    /// `self − other`: the numbers only, no times.
    pub fn difference(&self, other: &Counters) -> Counters {
        let mut difference = Counters::default();
        let (mut minuend, mut subtrahend) = (self.clone(), other.clone());
        let pairs = minuend
            .fields_mut()
            .into_iter()
            .zip(subtrahend.fields_mut());
        for (target, (minuend, subtrahend)) in difference.fields_mut().into_iter().zip(pairs) {
            *target = *minuend - *subtrahend;
        }
        difference.failures.add_all(&self.failures, 1);
        difference.failures.add_all(&other.failures, -1);
        difference
    }

    /// Whether every number is zero.
    pub fn is_zero(&self) -> bool {
        let mut counters = self.clone();
        self.failures.is_zero() && counters.fields_mut().into_iter().all(|count| *count == 0)
    }

    /// Rows in the ledger, in any state.
    pub fn in_ledger(&self) -> i64 {
        self.claimed + self.retry + self.held + self.settled()
    }

    /// Rows that need no further work.
    pub fn settled(&self) -> i64 {
        self.accepted + self.rejected + self.unconfirmed + self.skipped
    }

    /// Attempts per second over the last two full buckets.
    pub fn attempts_per_second(&self, now: Millis) -> f64 {
        let current = now - now % BUCKET_MS;
        let full_buckets = current.saturating_sub(2 * BUCKET_MS)..current;
        let attempts: i64 = self
            .recent
            .iter()
            .filter(|(start, _)| full_buckets.contains(start))
            .map(|(_, attempts)| attempts)
            .sum();
        attempts as f64 * 1000.0 / (2 * BUCKET_MS) as f64
    }

    fn add_row(&mut self, row: RowFacts, by: i64) {
        let state_count = match row.state {
            State::Claimed => &mut self.claimed,
            State::Retry => &mut self.retry,
            State::Held => &mut self.held,
            State::Accepted => &mut self.accepted,
            State::Rejected => &mut self.rejected,
            State::Unconfirmed => &mut self.unconfirmed,
            State::Skipped => &mut self.skipped,
        };
        *state_count += by;
        self.failures.add_row(&row, by);
        if row.state == State::Unconfirmed && !may_resend(row.attempt, row.abandoned) {
            self.final_unconfirmed += by;
        }
        let callbacks = [
            (row.sent, &mut self.sent),
            (row.delivered || row.read, &mut self.delivered),
            (row.read, &mut self.read),
            (row.failed, &mut self.undelivered),
        ];
        for (was_reported, count) in callbacks {
            *count += if was_reported { by } else { 0 };
        }
    }

    fn record_attempts(&mut self, claimed_at: Millis, attempts: i64) {
        self.attempts += attempts;
        let first = self.first_attempt_at.unwrap_or(claimed_at);
        self.first_attempt_at = Some(first.min(claimed_at));
        self.last_attempt_at = self.last_attempt_at.max(Some(claimed_at));
        self.add_to_bucket(claimed_at - claimed_at % BUCKET_MS, attempts);
        self.timeline.add(TimelinePoint {
            at: claimed_at,
            attempts,
            ..TimelinePoint::default()
        });
    }

    /// What is new of a row. What WhatsApp reported stays in the timeline, also where a further attempt follows.
    fn record_callbacks(&mut self, old: Option<RowFacts>, new: RowFacts) {
        let is_new = |was: fn(&RowFacts) -> bool| was(&new) && !old.as_ref().is_some_and(was);
        let is_delivered = |row: &RowFacts| row.delivered || row.read;
        if is_new(is_delivered)
            && let Some(at) = new.delivered_at.or(new.read_at)
        {
            self.timeline.add(TimelinePoint {
                at,
                delivered: 1,
                ..TimelinePoint::default()
            });
        }
        if is_new(|row| row.read)
            && let Some(at) = new.read_at
        {
            self.timeline.add(TimelinePoint {
                at,
                read: 1,
                ..TimelinePoint::default()
            });
        }
    }

    fn add_to_bucket(&mut self, start: Millis, attempts: i64) {
        match self.recent.iter_mut().find(|(known, _)| *known == start) {
            Some((_, count)) => *count += attempts,
            None => self.recent.push((start, attempts)),
        }
        self.recent.sort_unstable();
        let surplus = self.recent.len().saturating_sub(RECENT_BUCKETS);
        self.recent.drain(..surplus);
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

#[cfg(test)]
mod tests {
    use super::row_facts::tests::{any_facts, first_attempt};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counters_equal_recount(
            histories in prop::collection::vec(prop::collection::vec(any_facts(), 1..6), 0..20), split in 0usize..3,
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
            let callbacks = |c: &Counters| [c.sent, c.delivered, c.read, c.undelivered];
            prop_assert_eq!(callbacks(&sum), callbacks(&recount));
            prop_assert_eq!(&sum.failures, &recount.failures);
            prop_assert!(sum.difference(&recount).failures.is_zero());
        }
    }

    #[test]
    fn rate_covers_last_full_buckets() {
        let mut counters = Counters::default();
        for second in 0..400 {
            for _ in 0..40 {
                let claimed = RowFacts {
                    claimed_at: second * 1000,
                    ..first_attempt(State::Claimed)
                };
                counters.apply_change(None, claimed);
            }
        }
        assert_eq!(counters.attempts_per_second(400_000), 40.0);
        assert_eq!(counters.attempts_per_second(403_000), 40.0);
        assert_eq!(counters.attempts_per_second(430_000), 0.0);
        let recent_buckets = counters.recent.len();
        assert_eq!(
            (counters.attempts, recent_buckets),
            (16_000, RECENT_BUCKETS)
        );
    }
}
