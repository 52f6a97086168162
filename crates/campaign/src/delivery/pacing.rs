//! When a slot may send: the hard ceiling on sends per second.
//!
//! A slot is one concurrent execution of the sender; Lambda runs at most `slots` of them. If any half-open second holds at
//! most `per_slot` sends of each slot, it holds at most `slots × per_slot` sends in all. A send counts from the moment at
//! which its request is written to an open connection. Two rules keep a slot below its rate:
//!
//! 1. *Window*: within an invocation, a send starts no earlier than one second after the send that was `per_slot` sends
//!    before it. A send that starts late therefore does not delay the next one, if the slot has more than one per second.
//! 2. *Enter*: an invocation waits a second before its first send. The slot's previous invocation, in this process or in
//!    another, sent its last message before this invocation began.
//!
//! Waiting at the end of an invocation instead, so that the next one may send at once, is not safe: a process that is
//! killed right after a send cannot wait. The proof in virtual time found 81 sends where 80 were allowed, once in a
//! million sends.
//!
//! Times are [`Duration`]s on one monotonic clock.

use std::collections::VecDeque;
use std::time::Duration;

/// The send budget as a number of slots and the sends per second of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Concurrent executions of the sender (its reserved concurrency).
    pub slots: u32,
    /// Sends per second of one slot.
    pub per_slot: u32,
}

/// The greatest rate that one slot can serve. Before each send it makes three requests to DynamoDB one after the other
/// (the campaign, the recipient's permission, the claim). They take 5 to 10 ms each, and now and then several times that.
pub const MAX_PER_SLOT: u32 = 10;

/// The budget cannot be divided among the slots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "TPS_BUDGET is {budget} and SLOTS is {slots}: each slot sends TPS_BUDGET / SLOTS messages per second, which must be a whole number from 1 to {MAX_PER_SLOT}"
)]
pub struct RateMismatch {
    budget: u32,
    slots: u32,
}

impl Rate {
    /// A rate of `budget` sends per second; `slots` = 0 means one slot for each of them.
    pub fn new(budget: u32, slots: u32) -> Result<Self, RateMismatch> {
        let slots = if slots == 0 { budget } else { slots };
        let per_slot = budget.checked_div(slots).unwrap_or_default();
        if slots.checked_mul(per_slot) != Some(budget) || !(1..=MAX_PER_SLOT).contains(&per_slot) {
            return Err(RateMismatch { budget, slots });
        }
        Ok(Self { slots, per_slot })
    }

    /// Sends per second of all slots together.
    pub fn budget(self) -> u32 {
        self.slots * self.per_slot
    }

    /// The minimum time between two sends of a slot, rounded up.
    pub fn interval(self) -> Duration {
        Duration::from_nanos(1_000_000_000u64.div_ceil(u64::from(self.per_slot)))
    }
}

/// The budget limits the sends in any half-open second.
const WINDOW: Duration = Duration::from_secs(1);

/// How far sends may lag behind an even pace and still catch up: about the time that it takes to open a connection.
const CATCH_UP: Duration = Duration::from_millis(500);

/// The time before a tick in which a send is prepared: three requests to DynamoDB of 5 to 10 ms each, now and then several times
/// as long.
const PREPARATION: Duration = Duration::from_millis(300);

/// The full pace of a slot. A throttling error halves the pace; each acceptance adds 1 until it is full again.
const FULL_PACE: u32 = 32;

/// The pacing state of one slot. It lives as long as the process, across invocations.
#[derive(Debug)]
pub struct Slot {
    rate: Rate,
    earliest_send: Duration,
    /// The sends of this invocation, of which only the last `per_slot` matter.
    sends: VecDeque<Duration>,
    /// When the next send is due at an even pace.
    due: Duration,
    pace: u32,
    slowed_at: Duration,
}

impl Slot {
    /// The slot of a process that has not sent yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            earliest_send: Duration::ZERO,
            sends: VecDeque::new(),
            due: Duration::ZERO,
            pace: FULL_PACE,
            slowed_at: Duration::ZERO,
        }
    }

    /// Notes that an invocation begins.
    pub fn begin_invocation(&mut self, now: Duration) {
        self.earliest_send = now + WINDOW;
        self.sends.clear();
        self.due = self.earliest_send;
    }

    /// The earliest time of the next send.
    pub fn next_send_at(&self) -> Duration {
        self.earliest_send
            .max(self.due)
            .max(self.window_opens_at())
            .max(self.slow_pace_allows_at())
    }

    /// When the window holds fewer sends than `per_slot`.
    fn window_opens_at(&self) -> Duration {
        let is_full = self.sends.len() >= self.rate.per_slot as usize;
        let first = self.sends.front().filter(|_| is_full);
        first.map_or(Duration::ZERO, |first| *first + WINDOW)
    }

    fn slow_pace_allows_at(&self) -> Duration {
        match self.sends.back() {
            Some(last) if self.pace < FULL_PACE => *last + self.interval() * FULL_PACE / self.pace,
            _ => Duration::ZERO,
        }
    }

    /// The time between two sends at an even pace.
    pub fn interval(&self) -> Duration {
        self.rate.interval()
    }

    /// When to prepare the next send: a full-pace interval before it, but no sooner than needed. Until then an urgent message
    /// may still take its tick.
    pub fn prepare_at(&self) -> Duration {
        let ahead = self.interval().min(PREPARATION);
        self.next_send_at().saturating_sub(ahead)
    }

    /// Halves the pace after a throttling error for the send that started at `sent_at`. Errors of sends that started
    /// before the pace was last halved do not count: they have the same cause.
    pub fn slow_down(&mut self, sent_at: Duration, now: Duration) {
        if sent_at >= self.slowed_at {
            self.slowed_at = now;
            self.pace = (self.pace / 2).max(1);
        }
    }

    /// Raises the pace by a step after an acceptance.
    pub fn recover(&mut self) {
        self.pace = (self.pace + 1).min(FULL_PACE);
    }

    /// Notes that a send has left by now.
    pub fn record_send(&mut self, now: Duration) {
        debug_assert!(now >= self.next_send_at(), "a send before its tick");
        if self.sends.len() >= self.rate.per_slot as usize {
            self.sends.pop_front();
        }
        self.sends.push_back(now);
        let may_lag = match self.pace < FULL_PACE {
            true => Duration::ZERO,
            false => CATCH_UP,
        };
        self.due = self.due.max(now.saturating_sub(may_lag)) + self.interval();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn budget_is_divided_among_slots() {
        assert_eq!(Rate::new(80, 0).map(|rate| rate.slots), Ok(80));
        assert_eq!(
            Rate::new(1000, 100).map(Rate::interval),
            Ok(Duration::from_millis(100))
        );
        // No slots, a remainder, more slots than sends, more sends than a slot can serve.
        for (budget, slots) in [(0, 0), (0, 8), (80, 79), (80, 160), (88, 8)] {
            assert!(Rate::new(budget, slots).is_err(), "{budget} {slots}");
        }
        let error = Rate::new(1000, 50).expect_err("20 sends per second and slot");
        assert_eq!(
            error.to_string(),
            "TPS_BUDGET is 1000 and SLOTS is 50: each slot sends TPS_BUDGET / SLOTS messages per second, which must be \
             a whole number from 1 to 10"
        );
    }

    /// An invocation of one slot: how late it and each of its sends start, and whether it is killed at the end.
    #[derive(Clone, Debug)]
    struct Invocation {
        gap_ms: u64,
        lateness_ms: Vec<u64>,
        killed: bool,
    }

    fn invocation() -> impl Strategy<Value = Invocation> {
        let killed = prop::bool::weighted(0.3);
        (0u64..400, prop::collection::vec(0u64..150, 0..40), killed).prop_map(
            |(gap_ms, lateness_ms, killed)| Invocation {
                gap_ms,
                lateness_ms,
                killed,
            },
        )
    }

    proptest! {
        #[test]
        fn no_second_holds_more_sends_of_one_slot_than_its_rate(
            invocations in prop::collection::vec(invocation(), 1..12), per_slot in 1u32..20,
        ) {
            let rate = Rate { slots: 1, per_slot };
            let mut now = Duration::from_secs(5);
            let mut slot = Slot::new(rate);
            let mut sends = Vec::new();
            for Invocation { gap_ms, lateness_ms, killed } in invocations {
                now += Duration::from_millis(gap_ms);
                slot.begin_invocation(now);
                for lateness in lateness_ms {
                    now = now.max(slot.next_send_at()) + Duration::from_millis(lateness);
                    slot.record_send(now);
                    sends.push(now);
                }
                // The slot continues in another process, or in the same one.
                if killed {
                    slot = Slot::new(rate);
                }
            }
            for window in sends.windows(per_slot as usize + 1) {
                prop_assert!(window[per_slot as usize] - window[0] >= WINDOW);
            }
        }

        #[test]
        fn lateness_adds_up_once_a_second_and_not_once_a_send(
            lateness_ms in prop::collection::vec(0u64..30, 200),
        ) {
            let mut slot = Slot::new(Rate { slots: 1, per_slot: 10 });
            slot.begin_invocation(Duration::ZERO);
            let mut now = Duration::ZERO;
            for lateness in lateness_ms {
                now = now.max(slot.next_send_at()) + Duration::from_millis(lateness);
                slot.record_send(now);
            }
            // 200 sends in 20 seconds, after the second at the start.
            prop_assert!(now <= Duration::from_millis(20_900 + 21 * 30), "{now:?}");
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
        assert_eq!(slot.prepare_at(), 7 * second - PREPARATION);
        slot.slow_down(5 * second, 6 * second);
        assert_eq!(slot.next_send_at(), 7 * second, "same cause");
        slot.record_send(7 * second);
        slot.slow_down(7 * second, 8 * second);
        assert_eq!(slot.next_send_at(), 11 * second);
        (0..FULL_PACE).for_each(|_| slot.recover());
        assert_eq!(slot.next_send_at(), 8 * second);
        for at in 9..99 {
            slot.slow_down(at * second, at * second);
        }
        assert_eq!(
            slot.next_send_at(),
            (7 + FULL_PACE) * second,
            "the pace never becomes zero"
        );
    }
}
