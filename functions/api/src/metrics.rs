//! Open campaigns and sender numbers in Prometheus' text format.

use std::fmt::{Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use campaign::id::{CampaignId, MESSAGE_PREFIX, NumberId, REPLY_PREFIX};
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::progress::{Progress, compute_progress};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::Api;
use crate::openapi::RequestErrors;
use crate::problem::Problem;

/// Campaigns read at once.
const CONCURRENT_READS: usize = 8;

/// The most campaigns of one answer.
const MAX_CAMPAIGNS: usize = 200;

/// Whether it is a campaign that lists show: no reply, and no single message.
fn is_listed(id: &CampaignId) -> bool {
    [REPLY_PREFIX, MESSAGE_PREFIX]
        .iter()
        .all(|prefix| !id.as_str().starts_with(prefix))
}

/// Gets the counts of every open campaign, and the rate of every sender number, for Prometheus (text format 0.0.4).
#[utoipa::path(
    get, path = "/v1/metrics", operation_id = "getMetrics", tag = "account",
    responses((status = 200, body = String, content_type = "text/plain", description = "Metrics in text format 0.0.4"),
        RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn get_metrics(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, Problem> {
    let ids = api.campaigns.list_open_ids().await?;
    let reads = ids
        .into_iter()
        .filter(is_listed)
        .take(MAX_CAMPAIGNS)
        .map(|id| read_campaign(&api, id));
    let campaigns: Vec<_> = stream::iter(reads)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let campaigns: Vec<_> = campaigns.into_iter().flatten().collect();
    let numbers = api.numbers.all().await?;
    let records = api.numbers.records().all().await?;
    let numbers = numbers.iter().map(async |number| {
        let rate = api.numbers.records().rate_now(&number.id, cloud::now());
        let record = records.get(&number.id);
        Ok::<_, cloud::Error>(NumberMetrics {
            id: number.id.clone(),
            budget: number.rate.budget(),
            rate: rate.await?,
            is_paused: record.is_some_and(|record| record.suspension.paused.is_some()),
        })
    });
    let numbers = try_join_all(numbers).await?;
    let text = render(api.tps_budget, &campaigns, &numbers);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

async fn read_campaign(
    api: &Api,
    id: CampaignId,
) -> Result<Option<(Campaign, Progress)>, cloud::Error> {
    // Counters first: rows that are counted must be among those that the campaign has enqueued.
    let counters = api.counters.sum(&id).await?;
    let Some(campaign) = api.campaigns.get(&id).await? else {
        return Ok(None);
    };
    let progress = compute_progress(
        &campaign,
        counters,
        campaign.budget(api.tps_budget),
        cloud::now(),
    );
    Ok(Some((campaign, progress)))
}

/// What is told of a sender number.
#[derive(Debug)]
struct NumberMetrics {
    id: NumberId,
    budget: u32,
    rate: f64,
    is_paused: bool,
}

/// Metric families, one after the other.
#[derive(Debug, Default)]
struct MetricText(String);

impl MetricText {
    /// Starts a family; `kind` is `gauge` or `counter`.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.0,
            "# HELP crier_{name} {help}\n# TYPE crier_{name} {kind}"
        );
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "crier_{name}{labels} {value}");
    }

    /// A family with one value of each campaign.
    fn per_campaign<V: Display>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        campaigns: &[(Campaign, Progress)],
        value: impl Fn(&Progress) -> V,
    ) {
        self.family(name, kind, help);
        for (campaign, progress) in campaigns {
            let labels = format!("{{campaign=\"{}\"}}", campaign.id);
            self.sample(name, &labels, value(progress));
        }
    }

    /// A gauge with one value of each number.
    fn per_number<V: Display>(
        &mut self,
        (name, help): (&str, &str),
        numbers: &[NumberMetrics],
        value: impl Fn(&NumberMetrics) -> V,
    ) {
        self.family(name, "gauge", help);
        for number in numbers {
            let labels = format!("{{number=\"{}\"}}", number.id);
            self.sample(name, &labels, value(number));
        }
    }

    /// A family with several values of each campaign, told apart by `label`.
    fn per_label<const N: usize>(
        &mut self,
        (name, help, label): (&str, &str, &str),
        campaigns: &[(Campaign, Progress)],
        values: impl Fn(&Progress) -> [(&'static str, i64); N],
    ) {
        self.family(name, "gauge", help);
        for (campaign, progress) in campaigns {
            for (value_name, value) in values(progress) {
                let labels = format!("{{campaign=\"{}\",{label}=\"{value_name}\"}}", campaign.id);
                self.sample(name, &labels, value);
            }
        }
    }
}

fn render(
    tps_budget: u32,
    campaigns: &[(Campaign, Progress)],
    numbers: &[NumberMetrics],
) -> String {
    let mut text = MetricText::default();
    text.family("budget", "gauge", "Messages per second, at most.");
    text.sample("budget", "", tps_budget);
    text.per_label(
        ("rows", "Rows of the campaign's files by state.", "state"),
        campaigns,
        row_counts,
    );
    text.per_label(
        (
            "statuses",
            "Rows by what WhatsApp reported about them.",
            "status",
        ),
        campaigns,
        status_counts,
    );
    text.per_campaign(
        ("attempts_total", "counter", "Attempts."),
        campaigns,
        |progress| progress.counters.attempts,
    );
    text.per_campaign(
        (
            "rate",
            "gauge",
            "Attempts per second over the last ten seconds.",
        ),
        campaigns,
        |progress| progress.rate,
    );
    text.per_campaign(
        ("balanced", "gauge", "1 if every row is counted once."),
        campaigns,
        |progress| u8::from(progress.balanced),
    );
    render_numbers(&mut text, numbers);
    text.0
}

fn render_numbers(text: &mut MetricText, numbers: &[NumberMetrics]) {
    text.per_number(
        (
            "number_budget",
            "Messages per second from the number, at most.",
        ),
        numbers,
        |number| number.budget,
    );
    text.per_number(
        (
            "number_rate",
            "Messages per second from the number in the last minute that is counted.",
        ),
        numbers,
        |number| number.rate,
    );
    text.per_number(
        (
            "number_paused",
            "1 if nothing is sent from the number until it is resumed.",
        ),
        numbers,
        |number| u8::from(number.is_paused),
    );
}

/// Every term of the sum over the file's rows.
fn row_counts(progress: &Progress) -> [(&'static str, i64); 11] {
    let counters = &progress.counters;
    [
        ("rejected_at_import", progress.rejected_at_import),
        ("duplicate", progress.duplicates),
        ("suppressed", progress.suppressed),
        ("waiting", progress.waiting),
        ("claimed", counters.claimed),
        ("retry", counters.retry),
        ("held", counters.held),
        ("accepted", counters.accepted),
        ("rejected", counters.rejected),
        ("unconfirmed", counters.unconfirmed),
        ("skipped", counters.skipped),
    ]
}

fn status_counts(progress: &Progress) -> [(&'static str, i64); 4] {
    let counters = &progress.counters;
    [
        ("sent", counters.sent),
        ("delivered", counters.delivered),
        ("read", counters.read),
        ("undelivered", counters.undelivered),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::lifecycle::counters::Counters;
    use campaign::message::Message;
    use serde_json::json;

    #[test]
    fn renders_one_value_a_line_and_rows_add_up() {
        let message = Message::new(json!({"type": "text"})).expect("a message");
        let id = "c1".parse().expect("an id");
        let row = campaign::delivery::batch::Row {
            row: 1,
            to: campaign::import::phone::parse("+5511987654321", None).unwrap(),
            values: Vec::new(),
        };
        let campaign = Campaign::single_row(id, "One".into(), message, row, 0);
        let counters = Counters {
            accepted: 1,
            attempts: 2,
            ..Counters::default()
        };
        let seen = compute_progress(&campaign, counters, 40, 0);
        let number = NumberMetrics {
            id: "1".parse().expect("an id"),
            budget: 40,
            rate: 39.5,
            is_paused: true,
        };
        let text = render(40, &[(campaign, seen)], &[number]);
        let lines: Vec<(&str, f64)> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').expect("a value"))
            .map(|(name, value)| (name, value.parse().expect("a number")))
            .collect();
        assert!(lines.iter().all(|(name, _)| name.starts_with("crier_")));
        let rows = lines
            .iter()
            .filter(|(name, _)| name.starts_with("crier_rows{"));
        assert_eq!(rows.map(|(_, value)| value).sum::<f64>(), 1.0);
        assert!(lines.contains(&("crier_rows{campaign=\"c1\",state=\"accepted\"}", 1.0)));
        assert!(lines.contains(&("crier_attempts_total{campaign=\"c1\"}", 2.0)));
        assert!(lines.contains(&("crier_balanced{campaign=\"c1\"}", 1.0)));
        for (name, value) in [("budget", 40.0), ("rate", 39.5), ("paused", 1.0)] {
            let expected = format!("crier_number_{name}{{number=\"1\"}}");
            assert!(lines.contains(&(expected.as_str(), value)), "{name}");
        }
    }
}
