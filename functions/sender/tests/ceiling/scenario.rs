//! The conditions of a run.

use std::time::Duration;

use campaign::delivery::pacing::Rate;

/// What a run is like. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) rate: Rate,
    pub(crate) rows: u32,
    /// Median time to a response. The 99th percentile is five times as long; every response takes 10 ms to 20 s.
    pub(crate) median: Duration,
    /// Share of sends that fail and are retried.
    pub(crate) error_share: f64,
    /// Share of failed sends that fail because of too much throughput, which slows their slot down.
    pub(crate) throttle_share: f64,
    /// Share of invocations that are killed at some moment.
    pub(crate) kill_share: f64,
    /// Share of requests to AWS that fail, which ends an invocation early.
    pub(crate) aws_error_share: f64,
    /// Share of reads of the campaign whose response takes up to five seconds.
    pub(crate) slow_read_share: f64,
    /// The longest time until a record of the rate that is written can be read.
    pub(crate) rate_write: Duration,
    /// Whether the event source reaches its concurrency bit by bit, or at once.
    pub(crate) ramps_up: bool,
    /// Mean time to open a connection; the real ones take half of it to three halves.
    pub(crate) handshake: Duration,
    /// After so many requests the other end closes a connection without a word.
    pub(crate) requests_per_connection: u32,
    /// Whether a connection carries several requests at a time (HTTP/2).
    pub(crate) is_multiplexed: bool,
    /// Share of connections that cannot be opened.
    pub(crate) connect_error_share: f64,
    /// Whether the campaign is paused for 30 seconds and cooled down for 20, again and again.
    pub(crate) interruptions: bool,
    /// Urgent messages besides the campaign's rows, one every two seconds.
    pub(crate) urgent_rows: u32,
    /// The rate of a deployment while sending, and when it comes.
    pub(crate) deployment: Option<(Duration, Rate)>,
    pub(crate) seed: u64,
}

impl Scenario {
    /// Nothing fails.
    pub(crate) fn faultless(rate: Rate, rows: u32, median_ms: u64) -> Self {
        Self {
            rate,
            rows,
            median: Duration::from_millis(median_ms),
            error_share: 0.0,
            throttle_share: 0.0,
            kill_share: 0.0,
            aws_error_share: 0.0,
            slow_read_share: 0.0,
            rate_write: Duration::from_millis(30),
            ramps_up: false,
            handshake: Duration::from_millis(100),
            requests_per_connection: u32::MAX,
            is_multiplexed: false,
            connect_error_share: 0.0,
            interruptions: false,
            urgent_rows: 0,
            deployment: None,
            seed: u64::from(rows) + median_ms,
        }
    }

    /// Everything fails now and then; the seed also chooses how slow responses and connections are.
    pub(crate) fn faulty(rate: Rate, rows: u32, seed: u64) -> Self {
        let median_ms = [10, 300, 2000, 8000][seed as usize % 4];
        Self {
            error_share: 0.05,
            throttle_share: 0.1,
            kill_share: 0.2,
            aws_error_share: 0.0005,
            slow_read_share: 0.001,
            rate_write: Duration::from_secs(4),
            ramps_up: true,
            handshake: Duration::from_millis([20, 100, 400][seed as usize % 3]),
            requests_per_connection: [50, 7, u32::MAX][seed as usize / 3 % 3],
            is_multiplexed: seed % 2 == 1,
            connect_error_share: 0.01,
            interruptions: true,
            // Half as long as the campaign.
            urgent_rows: rows / rate.budget() / 4,
            seed,
            ..Self::faultless(rate, rows, median_ms)
        }
    }

    /// The same with an event source that reaches its concurrency bit by bit.
    pub(crate) fn with_ramp(self) -> Self {
        Self {
            ramps_up: true,
            ..self
        }
    }

    /// When the event source first uses a slot: it starts with five concurrent invocations and adds 300 a minute (AWS,
    /// "Configuring scaling behavior for SQS event source mappings").
    pub(crate) fn slot_delay(&self, slot: u32) -> Duration {
        match self.ramps_up {
            true => Duration::from_millis(200) * slot.saturating_sub(4),
            false => Duration::ZERO,
        }
    }

    /// How long it takes to reach every slot.
    pub(crate) fn ramp(&self) -> Duration {
        self.slot_delay(self.rate.slots - 1)
    }
}
