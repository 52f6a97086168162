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
            seed: u64::from(rows) + median_ms,
        }
    }

    /// Everything fails now and then; the seed also chooses how slow responses are.
    pub(crate) fn faulty(rate: Rate, rows: u32, seed: u64) -> Self {
        let median_ms = [10, 300, 2000, 8000][seed as usize % 4];
        Self {
            error_share: 0.05,
            throttle_share: 0.1,
            kill_share: 0.2,
            aws_error_share: 0.0005,
            seed,
            ..Self::faultless(rate, rows, median_ms)
        }
    }
}
