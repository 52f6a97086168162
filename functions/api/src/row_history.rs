//! One row of a campaign, or those of one person: what happened to it, in order.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use campaign::delivery::ledger::LedgerRow;
use campaign::delivery::outcome::ErrorInfo;
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;
use cloud::files::ChunkSet;
use recipients::chunks::find_rows;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::extract::{CampaignPath, PhonePath};
use crate::openapi::{NotFound, PhoneErrors, RequestErrors};
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

/// One person's rows of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecipientRows {
    /// The rows with their number, in the order of the file. More than one is rare: all but the first are duplicates.
    pub rows: Vec<RecipientRow>,
}

/// A row of one person.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecipientRow {
    /// Its number in the file, from 1.
    pub row: RowNumber,
    /// What happened to it; null for a row that waits, or that was not used: its reason is in the preview and the report.
    pub history: Option<RowHistory>,
}

/// Gets the rows of one person in a campaign, with what happened to them.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/recipients/{phone}", operation_id = "getRecipient", tag = "results",
    params(CampaignPath, PhonePath),
    responses((status = 200, body = RecipientRows, description = "The person's rows; none if the files do not have them"),
        RequestErrors, PhoneErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_recipient(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    PhonePath { phone }: PhonePath,
) -> Result<Json<RecipientRows>, Problem> {
    let campaign = api.find_campaign(&id).await?;
    let mut rows = Vec::new();
    for index in 0..campaign.files.len() {
        let Some(set) = ChunkSet::of(&campaign, index) else {
            continue;
        };
        let found = find_rows(&api.files, &set, phone.canonical()).await;
        let found = found.map_err(|error| cloud::Error::new("find a person's rows", error))?;
        for row in found {
            let entry = api.ledger.get_row(&id, row).await?;
            let history = entry.and_then(row_history);
            rows.push(RecipientRow { row, history });
        }
    }
    Ok(Json(RecipientRows { rows }))
}

fn row_history(row: LedgerRow) -> Option<RowHistory> {
    let events = events(&row);
    let row = row_view(row)?;
    Some(RowHistory { row, events })
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
    let history = found.and_then(row_history);
    Ok(Json(history.ok_or_else(Problem::unknown_row)?))
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
