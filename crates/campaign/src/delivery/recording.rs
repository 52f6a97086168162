//! When a sender tries again to record an outcome.
//!
//! Until it is in the ledger, one process alone knows how a send ended. If it gives up, the row stays claimed and becomes
//! unconfirmed, although the answer was clear. So it tries for as long as its invocation lives, and an invocation claims
//! no row that it cannot hold to the end of the claim's lease.

use std::time::Duration;

use crate::delivery::backoff::exponential_delay;
use crate::time::Millis;

/// The delay after the first failure. The SDK has tried three times by then.
const FIRST_DELAY: Duration = Duration::from_millis(200);

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// How long to wait before the next try, after `failures` tries that failed; `None` from `until` on, where the last try
/// is. The delay doubles up to its maximum. `jitter`, a random number from 0 to 1, takes away up to half of it, so that
/// senders that were throttled together do not come back together.
pub fn delay_before_retry(
    failures: u32,
    until: Millis,
    now: Millis,
    jitter: f64,
) -> Option<Duration> {
    let time_left = until.saturating_sub(now);
    if time_left == 0 {
        return None;
    }
    let delay = exponential_delay(FIRST_DELAY, 2, MAX_DELAY, failures);
    let with_jitter = delay.mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0));
    Some(with_jitter.min(Duration::from_millis(time_left)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays_double_up_to_their_maximum() {
        let delays: Vec<u128> = [1, 2, 3, 4, 5, 6, u32::MAX]
            .into_iter()
            .filter_map(|failures| delay_before_retry(failures, Millis::MAX, 0, 0.0))
            .map(|delay| delay.as_millis())
            .collect();
        assert_eq!(delays, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    #[test]
    fn no_try_follows_the_end() {
        assert_eq!(delay_before_retry(1, 1_000, 1_000, 0.0), None);
        assert_eq!(delay_before_retry(1, 1_000, 2_000, 0.0), None);
    }

    proptest! {
        #[test]
        fn last_try_is_at_the_end_and_many_come_before(
            seconds in 1u64..900, jitters in prop::collection::vec(0.0f64..=1.0, 1..50),
        ) {
            let until = 1_000_000 + seconds * 1_000;
            let (mut now, mut failures) = (1_000_000, 1);
            for jitter in jitters.into_iter().cycle() {
                let Some(delay) = delay_before_retry(failures, until, now, jitter) else { break };
                prop_assert!(!delay.is_zero(), "a try without a delay");
                now += delay.as_millis() as Millis;
                failures += 1;
            }
            prop_assert_eq!(now, until);
            prop_assert!(u64::from(failures) > seconds / 5, "{} tries in {} s", failures, seconds);
        }
    }
}
