//! A new budget while senders of the old one still run: they live for a quarter of an hour.
//!
//! All senders read one record of the rate. A sender whose own rate differs sends nothing: it ends, and its batch is
//! delivered again. Who starts with a new rate writes it into the record, and the senders of that rate send only when
//! those of the old one must have seen it. So no second holds sends of both, and never more than the larger budget.
//!
//! | what may fail | what follows |
//! |---|---|
//! | the record is not written | the old senders go on; the next process of the new rate writes it |
//! | two processes write at the same time | the second one's condition fails; it reads again |
//! | a process of the old rate starts after the first of the new rate | it writes the old rate again, and the next process of the new rate the new one; meanwhile only one of them sends |
//!
//! With a smaller reserved concurrency no sender of the new rate can start, as long as the old ones use all of it. So the
//! counter, which runs all the time while something is sent, writes the record, too.

use serde::{Deserialize, Serialize};

use super::outcome::Millis;
use super::pacing::Rate;

/// The greatest age of what a sender knows of the record when it sends, in milliseconds. It is that of the campaign's
/// state, so that a pause and a new rate take effect within the same time.
pub const RATE_MAX_AGE_MS: Millis = 1_800;

/// From the record of a new rate until an invocation of it may begin: the old senders' last send, and what the clocks of
/// two machines may differ. The invocation then waits a second before its first send, so that no second holds sends of
/// both rates.
pub const SETTLE_MS: Millis = RATE_MAX_AGE_MS + 700;

/// The rate that senders keep, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRecord {
    /// Concurrent senders.
    pub slots: u32,
    /// Sends per second of each.
    pub per_slot: u32,
    /// When it replaced another rate; 0 for the first one.
    pub changed_at: Millis,
    /// When the process started that wrote it.
    pub process_started: Millis,
}

/// What a process does about the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateDecision {
    /// It may send from this time on.
    Send {
        /// Milliseconds since the Unix epoch.
        not_before: Millis,
    },
    /// It writes this record, on condition that the one it read is still there, and reads again.
    Write(RateRecord),
    /// It sends nothing: a process that started later has another rate.
    Yield,
}

impl RateRecord {
    /// Whether it is about this rate.
    pub fn is_of(self, rate: Rate) -> bool {
        (self.slots, self.per_slot) == (rate.slots, rate.per_slot)
    }
}

/// What a process with a rate of its `own`, which started at `process_started`, does now.
pub fn decide(
    record: Option<RateRecord>,
    own: Rate,
    process_started: Millis,
    now: Millis,
) -> RateDecision {
    let write = |changed_at| {
        RateDecision::Write(RateRecord {
            slots: own.slots,
            per_slot: own.per_slot,
            changed_at,
            process_started,
        })
    };
    match record {
        None => write(0),
        Some(record) if record.is_of(own) => RateDecision::Send {
            not_before: match record.changed_at {
                0 => 0,
                changed_at => changed_at + SETTLE_MS,
            },
        },
        Some(record) if record.process_started < process_started => write(now),
        Some(_) => RateDecision::Yield,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Rate = Rate {
        slots: 80,
        per_slot: 1,
    };
    const NEW: Rate = Rate {
        slots: 20,
        per_slot: 1,
    };

    fn written(decision: RateDecision) -> RateRecord {
        match decision {
            RateDecision::Write(record) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn first_rate_is_kept_without_delay() {
        let record = written(decide(None, OLD, 10, 20));
        let decision = decide(Some(record), OLD, 15, 30);
        assert_eq!(decision, RateDecision::Send { not_before: 0 });
    }

    #[test]
    fn new_rate_waits_for_the_senders_of_the_old_one_and_they_yield() {
        let old = written(decide(None, OLD, 10, 20));
        let new = written(decide(Some(old), NEW, 50, 60));
        assert_eq!(decide(Some(new), OLD, 10, 70), RateDecision::Yield);
        let not_before = 60 + SETTLE_MS;
        let decision = decide(Some(new), NEW, 55, 70);
        assert_eq!(decision, RateDecision::Send { not_before });
    }

    #[test]
    fn process_that_started_last_decides() {
        let old = written(decide(None, OLD, 10, 20));
        let new = written(decide(Some(old), NEW, 50, 60));
        // Lambda started one more process with the old rate.
        let again = written(decide(Some(new), OLD, 52, 61));
        assert_eq!(decide(Some(again), NEW, 50, 62), RateDecision::Yield);
        assert_eq!(written(decide(Some(again), NEW, 53, 63)).changed_at, 63);
    }
}
