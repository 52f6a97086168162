//! Meta's two limits: a number's throughput per sliding second, and messages to one recipient.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// One message to a recipient is allowed in this time …
const PAIR_INTERVAL: Duration = Duration::from_secs(6);

/// … and a burst of this many messages, borrowed from later.
const PAIR_BURST_MESSAGES: u32 = 45;

/// Recent calls. Times are since the simulator's start.
#[derive(Debug, Default)]
pub struct Limits {
    recent_calls_by_number: HashMap<String, VecDeque<Duration>>,
    borrowed_until: HashMap<String, Duration>,
}

impl Limits {
    /// Whether one more call from the number fits into the second before `now`. Counts the call if so.
    pub fn try_throughput(&mut self, now: Duration, number: &str, limit: usize) -> bool {
        let recent_calls = self
            .recent_calls_by_number
            .entry(number.to_owned())
            .or_default();
        while recent_calls
            .front()
            .is_some_and(|&call| now.saturating_sub(call) >= Duration::from_secs(1))
        {
            recent_calls.pop_front();
        }
        let fits = recent_calls.len() < limit;
        if fits {
            recent_calls.push_back(now);
        }
        fits
    }

    /// Whether one more message to `recipient` is allowed. Counts the message if so.
    pub fn try_pair(&mut self, now: Duration, recipient: &str) -> bool {
        let until = self.borrowed_until.entry(recipient.to_owned()).or_default();
        let after = (*until).max(now) + PAIR_INTERVAL;
        let fits = after <= now + PAIR_INTERVAL * PAIR_BURST_MESSAGES;
        if fits {
            *until = after;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sliding_second_holds_no_more_than_the_limit() {
        let mut limits = Limits::default();
        let mut fits_at = |ms| limits.try_throughput(Duration::from_millis(ms), "1", 2);
        assert!(fits_at(0) && fits_at(900));
        assert!(!fits_at(999));
        assert!(fits_at(1000) && !fits_at(1899));
        assert!(fits_at(1900));
    }

    #[test]
    fn throughput_of_one_number_leaves_that_of_another() {
        let mut limits = Limits::default();
        let mut fits = |number| limits.try_throughput(Duration::ZERO, number, 1);
        assert!(fits("1") && !fits("1"));
        assert!(fits("2") && !fits("2"));
    }

    #[test]
    fn burst_to_one_recipient_is_paid_back() {
        let mut limits = Limits::default();
        let now = Duration::from_secs(100);
        let sent = (0..60).filter(|_| limits.try_pair(now, "1")).count();
        assert_eq!(sent as u32, PAIR_BURST_MESSAGES);
        assert!(limits.try_pair(now, "2"));
        assert!(!limits.try_pair(now + Duration::from_secs(5), "1"));
        assert!(limits.try_pair(now + PAIR_INTERVAL, "1"));
    }
}
