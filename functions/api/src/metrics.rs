//! Numbers for those who scrape: campaigns that are open, in Prometheus' text format.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::progress::{Progress, compute_progress};
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::Api;
use crate::problem::Problem;

/// Campaigns read at once.
const CONCURRENT_READS: usize = 8;

/// The most campaigns that are shown.
const MAX_CAMPAIGNS: usize = 200;

/// Shows every open campaign's numbers, for Prometheus (text format 0.0.4); with a token, as every route.
#[utoipa::path(
    get, path = "/v1/metrics",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 401, body = Problem))
)]
pub async fn show(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, Problem> {
    let open = api.campaigns.list_open_ids().await?;
    let read = open.into_iter().take(MAX_CAMPAIGNS).map(|id| {
        let api = &api;
        async move {
            let Some(campaign) = api.campaigns.get(&id).await? else {
                return Ok(None);
            };
            let counters = api.counters.sum(&id).await?;
            let progress =
                compute_progress(&campaign, counters, api.messages_per_second, cloud::now());
            Ok::<_, cloud::Error>(Some((campaign, progress)))
        }
    });
    let read = stream::iter(read)
        .buffered(CONCURRENT_READS)
        .try_collect::<Vec<_>>();
    let campaigns: Vec<_> = read.await?.into_iter().flatten().collect();
    let text = render(api.messages_per_second, &campaigns);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

fn render(budget: u32, campaigns: &[(Campaign, Progress)]) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<String>| {
        let _ = writeln!(
            text,
            "# HELP crier_{name} {help}\n# TYPE crier_{name} {kind}"
        );
        for line in lines {
            let _ = writeln!(text, "crier_{name}{line}");
        }
    };
    family(
        "budget",
        "gauge",
        "Messages per second, at most.",
        vec![format!(" {budget}")],
    );
    let each = |of: &dyn Fn(&Progress) -> String| {
        let line = |(campaign, progress): &(Campaign, Progress)| {
            format!("{{campaign=\"{}\"}} {}", campaign.id, of(progress))
        };
        campaigns.iter().map(line).collect::<Vec<_>>()
    };
    let rows = campaigns.iter().flat_map(|(campaign, progress)| {
        row_counts(progress).map(|(state, rows)| {
            format!("{{campaign=\"{}\",state=\"{state}\"}} {rows}", campaign.id)
        })
    });
    family(
        "rows",
        "gauge",
        "Rows of the campaign's files, by where they are.",
        rows.collect(),
    );
    let reports = campaigns.iter().flat_map(|(campaign, progress)| {
        let counters = &progress.counters;
        let reports = [
            ("sent", counters.sent),
            ("delivered", counters.delivered),
            ("read", counters.read),
            ("undelivered", counters.undelivered),
        ];
        reports.map(|(report, rows)| {
            format!(
                "{{campaign=\"{}\",status=\"{report}\"}} {rows}",
                campaign.id
            )
        })
    });
    family(
        "statuses",
        "gauge",
        "Rows by what WhatsApp reported of them.",
        reports.collect(),
    );
    family(
        "attempts_total",
        "counter",
        "Attempts.",
        each(&|progress| progress.counters.attempts.to_string()),
    );
    family(
        "rate",
        "gauge",
        "Calls per second over the last ten seconds.",
        each(&|progress| progress.rate.to_string()),
    );
    let conserved = |progress: &Progress| u8::from(progress.balanced).to_string();
    family(
        "balanced",
        "gauge",
        "1 where every row is counted once.",
        each(&conserved),
    );
    text
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
        let campaign = Campaign::single_row(id, "One".into(), message, 0);
        let counters = Counters {
            accepted: 1,
            attempts: 2,
            ..Counters::default()
        };
        let seen = compute_progress(&campaign, counters, 40, 0);
        let text = render(40, &[(campaign, seen)]);
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
    }
}
