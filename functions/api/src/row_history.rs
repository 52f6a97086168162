//! One row of a campaign: what happened to it, in order.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use campaign::delivery::ledger::LedgerRow;
use campaign::delivery::outcome::ErrorInfo;
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::openapi::{NotFound, RequestErrors};
use crate::problem::Problem;
use crate::rows::{RowView, row_view};
use crate::time::format_time;

/// The campaign's id and the row's number in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RowPath {
    /// The campaign's id.
    #[param(value_type = String, min_length = 1, max_length = 64, pattern = "^[a-z0-9-]+$")]
    pub id: CampaignId,
    /// The row's number, from 1.
    #[param(value_type = u64, minimum = 1, maximum = 4294967295_u64)]
    pub row: RowNumber,
}

impl<S: Send + Sync> FromRequestParts<S> for RowPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Ok(Path((id, row))) = path else {
            return Err(Problem::unknown_campaign());
        };
        let id = id.parse().map_err(|_| Problem::unknown_campaign())?;
        let row = row.parse().map_err(|_| {
            Problem::invalid_parameter("row", "must be the number of a row, from 1")
        })?;
        Ok(Self { id, row })
    }
}

/// A row and what happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowHistory {
    /// The row.
    #[serde(flatten)]
    pub row: RowView,
    /// What happened, in order.
    pub events: Vec<RowEvent>,
}

/// What happened to a row.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowEvent {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// `attempted`, `sent`, `delivered`, `read` or `failed`.
    #[schema(example = "delivered")]
    pub event: &'static str,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The state in which the attempt ended, for `attempted`.
    pub outcome: Option<&'static str>,
    /// Why, if an error is the reason.
    pub error: Option<String>,
}

/// Gets one row, with what happened to it: each attempt, and what WhatsApp reported.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/rows/{row}", operation_id = "getRow", tag = "results",
    params(RowPath),
    responses((status = 200, body = RowHistory, description = "The row"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_row(
    State(api): State<Arc<Api>>,
    RowPath { id, row }: RowPath,
) -> Result<Json<RowHistory>, Problem> {
    api.find_campaign(&id).await?;
    let found = api.ledger.get_row(&id, row).await?;
    let found = found.ok_or_else(Problem::unknown_row)?;
    let events = events(&found);
    let row = row_view(found).ok_or_else(Problem::unknown_row)?;
    Ok(Json(RowHistory { row, events }))
}

fn events(row: &LedgerRow) -> Vec<RowEvent> {
    let title = |error: &Option<ErrorInfo>| error.as_ref().map(|error| error.title.clone());
    let mut events: Vec<(Millis, RowEvent)> = Vec::new();
    let mut add = |at: Option<Millis>, event, attempt, outcome, error| {
        if let Some(at) = at {
            let event = RowEvent {
                at: format_time(at),
                event,
                attempt,
                outcome,
                error,
            };
            events.push((at, event));
        }
    };
    for past in &row.history {
        let outcome = Some(past.state.name());
        add(
            Some(past.claimed_at),
            "attempted",
            past.attempt,
            outcome,
            title(&past.error_info),
        );
    }
    let attempt = row.attempt;
    let outcome = Some(row.state.name());
    add(
        Some(row.claimed_at),
        "attempted",
        attempt,
        outcome,
        title(&row.error_info),
    );
    add(row.sent_at, "sent", attempt, None, None);
    add(row.delivered_at, "delivered", attempt, None, None);
    add(row.read_at, "read", attempt, None, None);
    add(row.failed_at, "failed", attempt, None, title(&row.failure));
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().map(|(_, event)| event).collect()
}
