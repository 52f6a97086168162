//! What became of the callback POSTs.

use serde::Serialize;

/// Every POST so far.
#[derive(Clone, Debug, Default)]
pub struct PostStats {
    /// Answer times of accepted POSTs, in milliseconds.
    pub accepted_ms: Vec<f64>,
    /// POSTs that the webhook did not accept.
    pub refused: usize,
    /// Statuses in accepted POSTs.
    pub statuses: usize,
}

/// The POSTs in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PostSummary {
    /// Accepted POSTs.
    pub posts: usize,
    /// POSTs that were not accepted and were sent again.
    pub refused: usize,
    /// Statuses in accepted POSTs.
    pub statuses: usize,
    /// Statuses that are waiting or being posted.
    pub pending: usize,
    /// Median answer time, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the answer time, milliseconds.
    pub p99_ms: f64,
}

impl PostStats {
    /// Sums up. `pending` is the number of statuses that are still to be delivered.
    pub fn summary(&self, pending: usize) -> PostSummary {
        let mut times = self.accepted_ms.clone();
        times.sort_by(f64::total_cmp);
        PostSummary {
            posts: times.len(),
            refused: self.refused,
            statuses: self.statuses,
            pending,
            p50_ms: quantile(&times, 0.5).unwrap_or_default(),
            p99_ms: quantile(&times, 0.99).unwrap_or_default(),
        }
    }
}

/// The value below which this share of `sorted` lies. `None` if it is empty.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let index = (sorted.len() as f64 * share) as usize;
    sorted
        .get(index.min(sorted.len().saturating_sub(1)))
        .copied()
}
