//! When a slot may call: the hard ceiling.
//!
//! A slot is one concurrent execution of the sender; the platform runs at most `slots` of them. If calls of one slot
//! are never closer than an interval, any half-open second holds at most `slots × per_slot` calls. Two rules keep
//! them apart, whatever happens in between:
//!
//! 1. *Tick*: within an invocation the next call starts an interval after the last one *really* started, so a late
//!    start moves the ticks behind it instead of crowding them.
//! 2. *Enter*: an invocation waits an interval before its first call. Whoever had the slot before, in this process or in
//!    another, called before the invocation began.
//!
//! Holding back the end of an invocation instead (so that the next one may call at once) does not do: a process that is
//! killed right after a call cannot hold, and processes that come and go may then hand slots on faster than calls age.
//! The proof in virtual time found 81 calls of 80 allowed, once in a million.
//!
//! Times are [`Duration`]s on any one monotonic clock.

use std::time::Duration;

/// The send budget as slots and calls per second of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Concurrent executions of the sender (its reserved concurrency).
    pub slots: u32,
    /// Calls per second of one slot.
    pub per_slot: u32,
}

/// The three numbers contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "SLOTS × SLOT_RATE is {product}, but TPS_BUDGET is {budget}: the product must equal the budget, and none may be 0"
)]
pub struct RateMismatch {
    product: u64,
    budget: u32,
}

impl Rate {
    /// `slots` = 0 stands for "as many as the budget".
    pub fn new(budget: u32, slots: u32, per_slot: u32) -> Result<Self, RateMismatch> {
        let slots = if slots == 0 { budget } else { slots };
        let product = u64::from(slots) * u64::from(per_slot);
        if product != u64::from(budget) || budget == 0 {
            return Err(RateMismatch { product, budget });
        }
        Ok(Self { slots, per_slot })
    }

    /// Calls per second of all slots together.
    pub fn budget(self) -> u32 {
        self.slots * self.per_slot
    }

    /// The least time between two calls of a slot, rounded up.
    pub fn interval(self) -> Duration {
        Duration::from_nanos(1_000_000_000u64.div_ceil(u64::from(self.per_slot)))
    }
}

/// The full pace of a slot, in parts: a refusal for too much throughput halves it, an acceptance gives a part back.
const FULL_PACE: u32 = 32;

/// The memory of one slot: lives as long as its process, across invocations.
#[derive(Debug)]
pub struct Slot {
    interval: Duration,
    earliest_send: Duration,
    last_send: Option<Duration>,
    pace: u32,
    slowed_at: Duration,
}

impl Slot {
    /// A process that has not called yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            interval: rate.interval(),
            earliest_send: Duration::ZERO,
            last_send: None,
            pace: FULL_PACE,
            slowed_at: Duration::ZERO,
        }
    }

    /// An invocation begins.
    pub fn begin_invocation(&mut self, now: Duration) {
        self.earliest_send = now + self.interval;
    }

    /// No call may start before this.
    pub fn next_send_at(&self) -> Duration {
        let after_last = self.last_send.map_or(Duration::ZERO, |last| {
            last + self.interval * FULL_PACE / self.pace
        });
        after_last.max(self.earliest_send)
    }

    /// The least time between two calls.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// From here on the next call may be prepared: an interval of full pace before it, or at once.
    pub fn prepare_at(&self) -> Duration {
        self.next_send_at().saturating_sub(self.interval)
    }

    /// The call that started at `call` met a refusal for too much throughput: half the pace from now on. Refusals of
    /// calls from before the last slowing are echoes of the same.
    pub fn slow_down(&mut self, sent_at: Duration, now: Duration) {
        if sent_at >= self.slowed_at {
            self.slowed_at = now;
            self.pace = (self.pace / 2).max(1);
        }
    }

    /// A call was accepted: a part of the pace comes back.
    pub fn recover(&mut self) {
        self.pace = (self.pace + 1).min(FULL_PACE);
    }

    /// A call starts now.
    pub fn record_send(&mut self, now: Duration) {
        debug_assert!(now >= self.next_send_at(), "a call before its tick");
        self.last_send = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn budget_equals_slots_times_rate() {
        assert_eq!(Rate::new(80, 0, 1).map(|rate| rate.slots), Ok(80));
        assert_eq!(
            Rate::new(1000, 100, 10).map(Rate::interval),
            Ok(Duration::from_millis(100))
        );
        for (budget, slots, per_slot) in [
            (80, 79, 1),
            (80, 80, 2),
            (0, 0, 0),
            (80, 0, 10),
            (80, 80, 0),
        ] {
            assert!(
                Rate::new(budget, slots, per_slot).is_err(),
                "{budget} {slots} {per_slot}"
            );
        }
    }

    /// One slot's life: how late each call and each invocation start, and which invocations are killed.
    #[derive(Clone, Debug)]
    struct Invocation {
        gap_ms: u64,
        lateness_ms: Vec<u64>,
        killed: bool,
    }

    fn invocation() -> impl Strategy<Value = Invocation> {
        let killed = prop::bool::weighted(0.3);
        (0u64..400, prop::collection::vec(0u64..50, 0..6), killed).prop_map(
            |(gap_ms, lateness_ms, killed)| Invocation {
                gap_ms,
                lateness_ms,
                killed,
            },
        )
    }

    proptest! {
        #[test]
        fn sends_of_one_slot_keep_the_interval(
            life in prop::collection::vec(invocation(), 1..12), per_slot in 1u32..20,
        ) {
            let rate = Rate { slots: 1, per_slot };
            let mut now = Duration::from_secs(5);
            let mut slot = Slot::new(rate);
            let mut calls = Vec::new();
            for Invocation { gap_ms, lateness_ms, killed } in life {
                now += Duration::from_millis(gap_ms);
                slot.begin_invocation(now);
                for late in lateness_ms {
                    now = now.max(slot.next_send_at()) + Duration::from_millis(late);
                    slot.record_send(now);
                    calls.push(now);
                }
                // The slot goes on in another process, or in the same one.
                if killed {
                    slot = Slot::new(rate);
                }
            }
            for pair in calls.windows(2) {
                prop_assert!(pair[1] - pair[0] >= rate.interval());
            }
        }
    }

    #[test]
    fn throttling_halves_pace_once_and_acceptances_restore_it() {
        let second = Duration::from_secs(1);
        let mut slot = Slot::new(Rate {
            slots: 1,
            per_slot: 1,
        });
        slot.begin_invocation(Duration::ZERO);
        slot.record_send(5 * second);
        slot.slow_down(5 * second, 6 * second);
        assert_eq!(slot.next_send_at(), 7 * second);
        assert_eq!(slot.prepare_at(), 6 * second);
        slot.slow_down(5 * second, 6 * second);
        assert_eq!(slot.next_send_at(), 7 * second, "an echo");
        slot.record_send(7 * second);
        slot.slow_down(7 * second, 8 * second);
        assert_eq!(slot.next_send_at(), 11 * second);
        (0..FULL_PACE).for_each(|_| slot.recover());
        assert_eq!(slot.next_send_at(), 8 * second);
        for call in 9..99 {
            slot.slow_down(call * second, call * second);
        }
        assert_eq!(
            slot.next_send_at(),
            (7 + FULL_PACE) * second,
            "never quite still"
        );
    }
}
