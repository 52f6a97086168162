//! A new budget while senders of the old one still run: they live for a quarter of an hour.
//!
//! All senders read one record of the rate. A sender whose own rate differs sends nothing: it ends, and its batch is
//! delivered again. A process with a new rate writes it into the record. Its senders wait until every sender of the old
//! rate must have read it. So no second holds sends of both, and never more than the larger budget.
//!
//! | what may fail | what follows |
//! |---|---|
//! | the record is not written | the old senders go on; the next process of the new rate writes it |
//! | two processes write at the same time | the second one's condition fails; it reads again |
//! | a process that starts late publishes the old rate | no sender of the old rate is invoked any more: a minute later one of the new rate writes its own again |
//! | a process of the old rate starts after the first of the new rate | it writes the old rate again, and the next process of the new rate the new one; meanwhile only one of them sends |
//!
//! With a smaller reserved concurrency no sender of the new rate can start, as long as the old ones use all of it. So the
//! counter, which runs all the time while something is sent, writes the record, too; for a number with a stack of its own, the
//! reconciler does, which reads the budget from the tags of its queue.

use serde::{Deserialize, Serialize};

use super::pacing::Rate;
use crate::time::Millis;

/// The greatest age of what a sender knows of the record when it sends, in milliseconds. It is that of the campaign's
/// state, so that a pause and a new rate take effect within the same time.
pub const RATE_MAX_AGE_MS: Millis = 1_800;

/// From when a process sees the record of a new rate until its invocation may begin: the old senders' last send, a late
/// departure, and a margin. The invocation then waits a second before its first send, so that no second holds sends of
/// both rates. It counts on the process's own clock, from its own sight: the write may have taken long.
pub const SETTLE_MS: Millis = RATE_MAX_AGE_MS + 200 + 500;

/// After this time everybody has seen a record: nobody waits for the senders of an earlier rate any more, and an
/// invocation whose rate differs knows that its own is the later one, since Lambda still starts it.
pub const SETTLED_AFTER_MS: Millis = 60_000;

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
    Stop,
}

impl RateRecord {
    /// Whether it is about this rate.
    pub fn is_of(self, rate: Rate) -> bool {
        (self.slots, self.per_slot) == (rate.slots, rate.per_slot)
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A sender at the beginning of an invocation, for which Lambda has just chosen its configuration. It may have stood still
    /// since.
    Sender {
        /// When it was invoked, in milliseconds since the Unix epoch.
        invoked_at: Millis,
    },
    /// Another function, which publishes the rate when it starts.
    Publisher,
}

/// What a process with a rate of its `own`, which started at `process_started`, does now.
pub fn decide(
    record: Option<RateRecord>,
    own: Rate,
    process_started: Millis,
    role: Role,
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
                0 => now,
                changed_at if now > changed_at + SETTLED_AFTER_MS => now,
                _ => now + SETTLE_MS,
            },
        },
        Some(record) if record.process_started < process_started => write(now),
        Some(record) => match role {
            Role::Sender { invoked_at } if invoked_at > record.changed_at + SETTLED_AFTER_MS => {
                write(now)
            }
            Role::Sender { .. } | Role::Publisher => RateDecision::Stop,
        },
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

    fn decide_as_sender(
        record: RateRecord,
        own: Rate,
        started: Millis,
        now: Millis,
    ) -> RateDecision {
        let role = Role::Sender { invoked_at: now };
        decide(Some(record), own, started, role, now)
    }

    fn first(rate: Rate) -> RateRecord {
        let role = Role::Sender { invoked_at: 20 };
        written(decide(None, rate, 10, role, 20))
    }

    #[test]
    fn first_rate_is_kept_without_delay() {
        let decision = decide_as_sender(first(OLD), OLD, 15, 30);
        assert_eq!(decision, RateDecision::Send { not_before: 30 });
    }

    #[test]
    fn new_rate_waits_for_the_senders_of_the_old_one_and_they_stop() {
        let new = written(decide_as_sender(first(OLD), NEW, 50, 60));
        assert_eq!(decide_as_sender(new, OLD, 10, 70), RateDecision::Stop);
        let not_before = 70 + SETTLE_MS;
        let decision = decide_as_sender(new, NEW, 55, 70);
        assert_eq!(decision, RateDecision::Send { not_before });
        let later = 61 + SETTLED_AFTER_MS;
        let decision = decide_as_sender(new, NEW, 55, later);
        assert_eq!(decision, RateDecision::Send { not_before: later });
    }

    #[test]
    fn sender_that_stood_still_while_the_rate_changed_does_not_bring_the_old_one_back() {
        let new = written(decide_as_sender(first(OLD), NEW, 50, 60));
        let role = Role::Sender { invoked_at: 40 };
        let later = 61 + SETTLED_AFTER_MS;
        let decision = decide(Some(new), OLD, 10, role, later);
        assert_eq!(decision, RateDecision::Stop);
    }

    #[test]
    fn process_that_started_last_decides() {
        let new = written(decide_as_sender(first(OLD), NEW, 50, 60));
        // Lambda started one more process with the old rate.
        let again = written(decide_as_sender(new, OLD, 52, 61));
        assert_eq!(decide_as_sender(again, NEW, 50, 62), RateDecision::Stop);
        assert_eq!(written(decide_as_sender(again, NEW, 53, 63)).changed_at, 63);
    }

    #[test]
    fn rate_with_which_lambda_still_invokes_senders_wins_in_the_end() {
        let new = written(decide_as_sender(first(OLD), NEW, 50, 60));
        let late = written(decide(Some(new), OLD, 90, Role::Publisher, 100));
        let later = 101 + SETTLED_AFTER_MS;
        let publisher = decide(Some(late), NEW, 50, Role::Publisher, later);
        assert_eq!(publisher, RateDecision::Stop);
        assert_eq!(
            written(decide_as_sender(late, NEW, 50, later)).changed_at,
            later
        );
    }
}
