//! What can be set, at start and at run time (`PUT /_control/settings` with any of these fields).

use clap::Args;
use serde::{Deserialize, Serialize};

/// The first number in digits, as the display number of callbacks. Further numbers follow it.
const FIRST_DISPLAY_NUMBER: u64 = 15_550_000_000;

/// How the simulated API behaves.
#[derive(Clone, Debug, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Phone number id that it answers for; the first one, if there are further numbers
    #[arg(long, default_value = "100000000000001")]
    pub phone_number_id: String,
    /// Ids of further phone numbers that it answers for, with commas between them
    #[arg(long, value_delimiter = ',')]
    pub further_numbers: Vec<String>,
    /// WhatsApp Business account id that it answers for
    #[arg(long, default_value = "200000000000001")]
    pub waba_id: String,
    /// How many recipients the account may message in 24 hours, in Meta's notation
    #[arg(long, default_value = "TIER_UNLIMITED")]
    pub daily_limit: String,
    /// Meta's rating of each number: GREEN, YELLOW or RED
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
    /// Calls allowed from each number in a sliding second; more are refused with 130429
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
            further_numbers: Vec::new(),
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
    /// Whether it answers for this phone number id.
    pub fn knows_number(&self, id: &str) -> bool {
        self.numbers().any(|number| number == id)
    }

    /// What callbacks give as the display number: one digit string for each phone number id, in the order of the
    /// settings. An id that it does not answer for, because the settings changed, gets that of the first number.
    pub fn display_number(&self, id: &str) -> String {
        let index = self.numbers().position(|number| number == id);
        (FIRST_DISPLAY_NUMBER + index.unwrap_or_default() as u64).to_string()
    }

    /// Every phone number id, the first number's first.
    fn numbers(&self) -> impl Iterator<Item = &str> {
        let further = self.further_numbers.iter().map(String::as_str);
        std::iter::once(self.phone_number_id.as_str()).chain(further)
    }

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

    #[test]
    fn further_numbers_are_known_and_their_display_numbers_follow_in_order() {
        let mut settings = Settings::default();
        assert!(settings.knows_number("100000000000001") && !settings.knows_number("7"));
        settings.further_numbers = vec!["7".into(), "5".into()];
        for (id, display_number) in [
            ("100000000000001", "15550000000"),
            ("7", "15550000001"),
            ("5", "15550000002"),
        ] {
            assert!(settings.knows_number(id), "{id}");
            assert_eq!(settings.display_number(id), display_number);
        }
        assert!(!settings.knows_number(""));
    }
}
