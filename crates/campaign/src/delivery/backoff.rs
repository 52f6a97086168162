//! How delays grow from failure to failure: for sends, records and deliveries that are tried again.

use std::time::Duration;

/// The delay after so many failures: `first` after the first one, `factor` times as long after each further one, at most
/// `max`. What is random about a delay is the caller's choice.
pub fn exponential_delay(first: Duration, factor: u32, max: Duration, failures: u32) -> Duration {
    let growth = factor.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(growth).min(max)
}
