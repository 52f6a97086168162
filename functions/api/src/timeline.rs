//! What a campaign did over time, for its charts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::lifecycle::counters::{BUCKET_MS, TimelinePoint};
use campaign::lifecycle::progress::Progress;
use campaign::time::Millis;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::campaign_page::remaining_seconds;
use crate::extract::CampaignPath;
use crate::openapi::{NotFound, RequestErrors};
use crate::problem::Problem;
use crate::time::format_time;

/// How many of the latest buckets are shown: five minutes.
const RECENT_BUCKETS: u64 = 60;

/// What a campaign did over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timeline {
    /// The time of this answer.
    #[schema(format = DateTime)]
    pub now: String,
    /// The send budget: messages per second, at most.
    pub budget: u32,
    /// The last five minutes.
    pub recent: RecentAttempts,
    /// The whole time since the first attempt.
    pub history: History,
    /// When the first attempt began.
    #[schema(format = DateTime)]
    pub first_attempt_at: Option<String>,
    /// When the latest attempt began.
    #[schema(format = DateTime)]
    pub last_attempt_at: Option<String>,
    /// When the last attempt is expected.
    #[schema(format = DateTime)]
    pub estimated_end: Option<String>,
    /// How many seconds that is from now.
    pub remaining_seconds: Option<u64>,
}

/// Attempts of the last five minutes, without gaps.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecentAttempts {
    /// The seconds of each point: messages per second are its attempts divided by this.
    pub bucket_seconds: u64,
    /// The points, oldest first.
    pub points: Vec<RecentPoint>,
}

/// Attempts that began within some seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecentPoint {
    /// The beginning.
    #[schema(format = DateTime)]
    pub at: String,
    /// How many.
    pub attempts: i64,
    /// Whether more may follow: the seconds are not over, or not counted to their end.
    pub complete: bool,
}

/// Attempts, deliveries and reads since the first attempt.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// The seconds of each point: 60, doubled as often as it takes for 60 points to suffice.
    pub bucket_seconds: u64,
    /// The points in which something happened, oldest first.
    pub points: Vec<HistoryPoint>,
}

/// What happened within some minutes.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryPoint {
    /// The beginning.
    #[schema(format = DateTime)]
    pub at: String,
    /// Attempts that began.
    pub attempts: i64,
    /// Messages that were delivered, by WhatsApp's time.
    pub delivered: i64,
    /// Messages that were read.
    pub read: i64,
}

/// Gets what a campaign did over time: attempts of the last five minutes, and attempts, deliveries and reads since the first.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/timeline", operation_id = "getTimeline", tag = "results",
    params(CampaignPath),
    responses((status = 200, body = Timeline, description = "What the campaign did over time"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_timeline(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<Timeline>, Problem> {
    let (campaign, progress) = api.find_progress(&id).await?;
    let budget = campaign.budget(api.tps_budget);
    Ok(Json(timeline(&progress, budget, cloud::now())))
}

fn timeline(progress: &Progress, budget: u32, now: Millis) -> Timeline {
    let counters = &progress.counters;
    let history = &counters.timeline;
    let point = |point: TimelinePoint| HistoryPoint {
        at: format_time(point.at),
        attempts: point.attempts,
        delivered: point.delivered,
        read: point.read,
    };
    Timeline {
        now: format_time(now),
        budget,
        recent: recent(&counters.recent, now),
        history: History {
            bucket_seconds: history.bucket_ms() / 1000,
            points: history.points().map(point).collect(),
        },
        first_attempt_at: counters.first_attempt_at.map(format_time),
        last_attempt_at: counters.last_attempt_at.map(format_time),
        estimated_end: progress.estimated_end.map(format_time),
        remaining_seconds: remaining_seconds(progress, now),
    }
}

/// Every bucket of the last minutes, also those in which nothing was sent.
fn recent(buckets: &[(Millis, i64)], now: Millis) -> RecentAttempts {
    let current = now - now % BUCKET_MS;
    let starts = (0..RECENT_BUCKETS)
        .rev()
        .map(|back| current.saturating_sub(back * BUCKET_MS));
    let point = |start: Millis| {
        let found = buckets.iter().find(|(known, _)| *known == start);
        RecentPoint {
            at: format_time(start),
            attempts: found.map_or(0, |(_, attempts)| *attempts),
            // The counter is a second or two behind.
            complete: start + 2 * BUCKET_MS <= now,
        }
    };
    RecentAttempts {
        bucket_seconds: BUCKET_MS / 1000,
        points: starts.map(point).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_points_have_no_gaps_and_the_latest_are_not_complete() {
        let now = 1_000_002_000;
        let shown = recent(&[(999_995_000, 7), (1, 9)], now).points;
        assert_eq!(shown.len(), 60);
        let last: Vec<_> = shown[57..]
            .iter()
            .map(|point| (point.attempts, point.complete))
            .collect();
        assert_eq!(last, [(0, true), (7, false), (0, false)]);
        assert_eq!(shown.iter().map(|point| point.attempts).sum::<i64>(), 7);
    }
}
