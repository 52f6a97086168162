//! What can be set, at start and at run time (`PUT /_control/settings` with any of these fields).

use clap::Args;
use serde::{Deserialize, Serialize};

/// How the simulated API behaves.
#[derive(Clone, Debug, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Phone number id that it answers for
    #[arg(long, default_value = "100000000000001")]
    pub phone_number_id: String,
    /// WhatsApp Business account id that it answers for
    #[arg(long, default_value = "200000000000001")]
    pub waba_id: String,
    /// How many recipients the account may message in 24 hours, in Meta's notation
    #[arg(long, default_value = "TIER_UNLIMITED")]
    pub daily_limit: String,
    /// Meta's rating of the number: GREEN, YELLOW or RED
    #[arg(long, default_value = "GREEN")]
    pub quality_rating: String,
    /// Access token that it accepts
    #[arg(long, default_value = "simulated-access-token")]
    pub access_token: String,
    /// App secret that it signs callbacks with
    #[arg(long, default_value = "simulated-app-secret")]
    pub app_secret: String,
    /// URL that callbacks go to; empty for no callbacks
    #[arg(long, default_value = "")]
    pub webhook_url: String,
    /// Median response time in milliseconds (log-normal)
    #[arg(long, default_value_t = 300.0)]
    pub median_ms: f64,
    /// 99th percentile of the response time in milliseconds
    #[arg(long, default_value_t = 1500.0)]
    pub p99_ms: f64,
    /// Share of calls that are answered after five to ten seconds
    #[arg(long, default_value_t = 0.0)]
    pub slow_share: f64,
    /// Calls allowed in a sliding second; more are refused with 130429
    #[arg(long, default_value_t = 80)]
    pub throughput: usize,
    /// Share of calls that get a random fault: no response, a broken one, a slow one, 5xx, 130429, 131016
    #[arg(long, default_value_t = 0.0)]
    pub fault_share: f64,
    /// Time before the handshake of a new connection in milliseconds
    #[arg(long, default_value_t = 0.0)]
    pub handshake_ms: f64,
    /// Requests after which a connection is closed; 0 for no limit
    #[arg(long, default_value_t = 0)]
    pub requests_per_connection: usize,
    /// Share of requests after whose response the connection is reset
    #[arg(long, default_value_t = 0.0)]
    pub reset_share: f64,
    /// Error code that every call is refused with
    #[arg(long)]
    pub refuse: Option<i64>,
    /// Whether responses contain business-scoped user ids
    #[arg(long)]
    pub user_ids: bool,
    /// Mean time from one status to the next in milliseconds
    #[arg(long, default_value_t = 800.0)]
    pub status_delay_ms: f64,
    /// Share of delivered messages that are read
    #[arg(long, default_value_t = 0.6)]
    pub read_share: f64,
    /// Share of statuses that are posted twice
    #[arg(long, default_value_t = 0.0)]
    pub duplicate_share: f64,
    /// Whether statuses are shuffled within and between POSTs
    #[arg(long)]
    pub shuffle: bool,
    /// Most statuses in a POST
    #[arg(long, default_value_t = 100)]
    pub batch_size: usize,
    /// How long statuses are collected for a POST in milliseconds
    #[arg(long, default_value_t = 250)]
    pub batch_window_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            phone_number_id: "100000000000001".into(),
            waba_id: "200000000000001".into(),
            daily_limit: "TIER_UNLIMITED".into(),
            quality_rating: "GREEN".into(),
            access_token: "simulated-access-token".into(),
            app_secret: "simulated-app-secret".into(),
            webhook_url: String::new(),
            median_ms: 300.0,
            p99_ms: 1500.0,
            slow_share: 0.0,
            throughput: 80,
            fault_share: 0.0,
            handshake_ms: 0.0,
            requests_per_connection: 0,
            reset_share: 0.0,
            refuse: None,
            user_ids: false,
            status_delay_ms: 800.0,
            read_share: 0.6,
            duplicate_share: 0.0,
            shuffle: false,
            batch_size: 100,
            batch_window_ms: 250,
        }
    }
}

impl Settings {
    /// Draws a response time in milliseconds.
    pub fn sample_latency_ms(&self) -> f64 {
        match rand::random::<f64>() < self.slow_share {
            true => 5_000.0 + 5_000.0 * rand::random::<f64>(),
            false => self.latency_ms(sample_standard_normal()),
        }
    }

    /// A response time in milliseconds. `normal` is drawn from the standard normal distribution.
    fn latency_ms(&self, normal: f64) -> f64 {
        const NORMAL_P99: f64 = 2.326;
        let sigma = (self.p99_ms.max(self.median_ms) / self.median_ms).ln() / NORMAL_P99;
        self.median_ms * (sigma * normal).exp()
    }
}

/// Draws from the standard normal distribution (Box-Muller).
fn sample_standard_normal() -> f64 {
    let (u, v): (f64, f64) = (rand::random(), rand::random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_the_configured_median_and_percentile() {
        let settings = Settings::default();
        assert!((settings.latency_ms(0.0) - 300.0).abs() < 0.01);
        assert!((settings.latency_ms(2.326) - 1500.0).abs() < 1.0);
    }
}
