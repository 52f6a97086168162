//! Counts of what became of rows, for the log and for `CloudWatch`.

use std::collections::VecDeque;
use std::time::Duration;

use campaign::time::Millis;

const MINUTE_MS: Millis = 60_000;

/// How a send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The API accepted the message.
    Accepted,
    /// The API refused it, and the refusal is final.
    Rejected,
    /// It was not sent; another attempt follows.
    Retried,
    /// It was not sent, and the campaign or the number is paused.
    Held,
    /// It may have been sent.
    Unconfirmed,
}

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendStats {
    /// Batches, the first included.
    pub batches: usize,
    /// Rows of these batches.
    pub rows: usize,
    /// Sends that were started.
    pub attempts: usize,
    /// Rows that went back to a queue.
    pub requeued: usize,
    /// Rows of campaigns that do not send.
    pub dropped: usize,
    /// Rows that were recorded as skipped.
    pub skipped: usize,
    /// Sends that the API accepted.
    pub accepted: usize,
    /// Sends that the API refused for good.
    pub rejected: usize,
    /// Sends that are followed by another attempt.
    pub retried: usize,
    /// Sends that paused their campaign or the number.
    pub held: usize,
    /// Sends whose result is not known.
    pub unconfirmed: usize,
    /// The most sends of this slot within any second.
    pub busiest_second: usize,
    /// The longest chain of messages that led to a batch.
    pub max_hops: usize,
}

impl SendStats {
    pub(crate) fn count_outcome(&mut self, outcome: SendOutcome) {
        let count = match outcome {
            SendOutcome::Accepted => &mut self.accepted,
            SendOutcome::Rejected => &mut self.rejected,
            SendOutcome::Retried => &mut self.retried,
            SendOutcome::Held => &mut self.held,
            SendOutcome::Unconfirmed => &mut self.unconfirmed,
        };
        *count += 1;
    }

    fn add(&mut self, other: &SendStats) {
        self.batches += other.batches;
        self.rows += other.rows;
        self.attempts += other.attempts;
        self.requeued += other.requeued;
        self.dropped += other.dropped;
        self.skipped += other.skipped;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.retried += other.retried;
        self.held += other.held;
        self.unconfirmed += other.unconfirmed;
        self.busiest_second = self.busiest_second.max(other.busiest_second);
        self.max_hops = self.max_hops.max(other.max_hops);
    }
}

/// The stats of one invocation. They are emitted in parts, because an invocation takes many minutes.
#[derive(Debug)]
pub(crate) struct StatsRecorder {
    /// What happened since the last part.
    pub(crate) current: SendStats,
    /// The sum of the earlier parts.
    emitted: SendStats,
    emitted_at: Duration,
    /// When the sends of the last second started.
    recent_sends: VecDeque<Duration>,
    minute: MinuteCount,
}

/// The sends of one minute of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MinuteCount {
    /// When the minute began.
    pub(crate) minute: Millis,
    /// Sends in it.
    pub(crate) sends: u64,
}

impl StatsRecorder {
    /// Starts to count at `now`.
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            current: SendStats::default(),
            emitted: SendStats::default(),
            emitted_at: now,
            recent_sends: VecDeque::new(),
            minute: MinuteCount::default(),
        }
    }

    /// Counts a batch and gives its number in this invocation, from 1.
    pub(crate) fn count_batch(&mut self, rows: usize, hops: u32) -> usize {
        self.current.batches += 1;
        self.current.max_hops = self.current.max_hops.max(hops as usize);
        self.current.rows += rows;
        self.emitted.batches + self.current.batches
    }

    /// Counts a send that starts at `now`.
    pub(crate) fn count_send(&mut self, now: Duration) {
        const SECOND: Duration = Duration::from_secs(1);
        self.recent_sends.push_back(now);
        while let Some(first) = self.recent_sends.front()
            && *first + SECOND <= now
        {
            self.recent_sends.pop_front();
        }
        self.minute.sends += 1;
        self.current.attempts += 1;
        self.current.busiest_second = self.current.busiest_second.max(self.recent_sends.len());
    }

    /// Takes the sends of the minute that is being counted, if it is over at the time `clock`, or in any case at the end of the
    /// invocation.
    pub(crate) fn take_minute(&mut self, clock: Millis, is_end: bool) -> Option<MinuteCount> {
        let minute = clock - clock % MINUTE_MS;
        if minute == self.minute.minute && !is_end {
            return None;
        }
        let taken = std::mem::replace(&mut self.minute, MinuteCount { minute, sends: 0 });
        (taken.sends > 0).then_some(taken)
    }

    /// The time since the last part.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.emitted_at)
    }

    /// Ends the current part and returns it.
    pub(crate) fn take_current(&mut self, now: Duration) -> SendStats {
        let part = std::mem::take(&mut self.current);
        self.emitted.add(&part);
        self.emitted_at = now;
        part
    }

    /// The sum of all parts that were taken.
    pub(crate) fn total(&self) -> SendStats {
        self.emitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busiest_second_counts_half_open_seconds() {
        let mut stats = StatsRecorder::new(Duration::ZERO);
        for ms in [0, 500, 999, 1_000, 1_400, 5_000] {
            stats.count_send(Duration::from_millis(ms));
        }
        assert_eq!(stats.current.busiest_second, 4);
    }

    #[test]
    fn minute_is_taken_once_it_is_over_or_at_the_end() {
        let mut stats = StatsRecorder::new(Duration::ZERO);
        let taken = |minute, sends| Some(MinuteCount { minute, sends });
        assert_eq!(stats.take_minute(120_500, false), None, "nothing was sent");
        stats.count_send(Duration::ZERO);
        stats.count_send(Duration::ZERO);
        assert_eq!(stats.take_minute(179_999, false), None);
        assert_eq!(stats.take_minute(180_000, false), taken(120_000, 2));
        stats.count_send(Duration::ZERO);
        assert_eq!(stats.take_minute(180_001, true), taken(180_000, 1));
        assert_eq!(stats.take_minute(180_002, true), None);
    }

    #[test]
    fn batches_are_numbered_across_parts() {
        let mut stats = StatsRecorder::new(Duration::ZERO);
        assert_eq!((stats.count_batch(3, 0), stats.count_batch(4, 2)), (1, 2));
        stats.take_current(Duration::ZERO);
        assert_eq!(stats.count_batch(5, 1), 3);
        stats.take_current(Duration::ZERO);
        let total = stats.total();
        assert_eq!((total.batches, total.rows, total.max_hops), (3, 12, 2));
    }
}
