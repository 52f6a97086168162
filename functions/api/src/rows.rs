//! The rows of a campaign, one by one: every unconfirmed one, every rejection.

use std::pin::pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::delivery::ledger::{LedgerRow, State as RowState};
use campaign::delivery::outcome::ErrorInfo;
use campaign::id::{CampaignId, RowNumber};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::extract::{CampaignPath, Limit, Query};
use crate::openapi::{NotFound, RequestErrors, RowStateName};
use crate::problem::Problem;
use crate::time::format_time;

/// Rows of one list.
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

/// Rows of the file that one request looks through.
const MAX_ROWS_READ: u32 = 512 * 64;

/// The query of `GET /v1/campaigns/{id}/rows`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListRowsQuery {
    /// Only rows in this state.
    #[param(value_type = Option<RowStateName>)]
    state: Option<String>,
    /// Only rows with this error code of WhatsApp.
    #[param(value_type = Option<i64>, example = 131_026)]
    code: Option<i64>,
    /// Only rows after the one of this number; 0 by default.
    #[param(value_type = Option<u64>, minimum = 0, maximum = 4294967295_u64)]
    after: Option<RowNumber>,
    /// How many rows to list; 100 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Limit<MAX_LIMIT>>,
}

/// Rows, in the order of the file.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowList {
    /// The rows.
    pub rows: Vec<RowView>,
    /// The `after` of the next list; null at the end. A list may have fewer rows than asked for and not be the last.
    pub next: Option<RowNumber>,
}

/// A row that was attempted or skipped. The ledger has no others.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowView {
    /// Its number in the file, from 1; the header is not counted.
    pub row: RowNumber,
    /// Its state.
    #[schema(value_type = RowStateName)]
    pub state: &'static str,
    /// The number of the latest attempt, from 1; 0 if there was none.
    pub attempt: u32,
    /// When that attempt began; for a row that was skipped without one, when it was skipped.
    #[schema(format = DateTime)]
    pub attempted_at: String,
    /// The id of the number from which it was sent, or would have been; null for a row without an attempt.
    pub number: Option<String>,
    /// When the next attempt may begin, in state `retry`.
    #[schema(format = DateTime)]
    pub not_before: Option<String>,
    /// The message id that WhatsApp assigned.
    pub wamid: Option<String>,
    /// The error code of the Graph API.
    pub error_code: Option<i64>,
    /// The error as a sentence: why the row is in this state.
    pub error: Option<String>,
    /// Whether an earlier attempt may have been sent.
    pub was_unconfirmed: bool,
    /// When WhatsApp sent it.
    #[schema(format = DateTime)]
    pub sent_at: Option<String>,
    /// When it was delivered.
    #[schema(format = DateTime)]
    pub delivered_at: Option<String>,
    /// When it was read.
    #[schema(format = DateTime)]
    pub read_at: Option<String>,
    /// When it failed after it was accepted.
    #[schema(format = DateTime)]
    pub failed_at: Option<String>,
}

/// Lists rows of a campaign, such as `?state=unconfirmed` for all that may have been sent.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/rows", operation_id = "listRows", tag = "results",
    params(CampaignPath, ListRowsQuery),
    responses((status = 200, body = RowList, description = "Rows in the order of the file"),
        RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn list_rows(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    Query(query): Query<ListRowsQuery>,
) -> Result<Json<RowList>, Problem> {
    let filter = RowFilter {
        state: query.state.as_deref().map(parse_state).transpose()?,
        code: query.code,
    };
    let limit = query.limit.map_or(DEFAULT_LIMIT, |Limit(limit)| limit);
    let campaign = api.find_campaign(&id).await?;
    let last = campaign.last_row();
    let range = RowRange {
        after: query.after.unwrap_or(0).min(last),
        last,
        limit: limit as usize,
    };
    Ok(Json(matching_rows(&api, &id, filter, range).await?))
}

/// Where to look for rows.
#[derive(Clone, Copy, Debug)]
struct RowRange {
    after: RowNumber,
    last: RowNumber,
    limit: usize,
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug)]
struct RowFilter {
    state: Option<RowState>,
    code: Option<i64>,
}

impl RowFilter {
    fn fits(self, row: &LedgerRow) -> bool {
        let error = row.error_info.as_ref().or(row.failure.as_ref());
        let code = error.and_then(|error| error.code);
        self.state.is_none_or(|state| row.state == state)
            && (self.code.is_none() || self.code == code)
    }
}

async fn matching_rows(
    api: &Api,
    id: &CampaignId,
    filter: RowFilter,
    RowRange { after, last, limit }: RowRange,
) -> Result<RowList, cloud::Error> {
    let end = last.min(after.saturating_add(MAX_ROWS_READ));
    let mut rows = pin!(api.ledger.rows(id, after.saturating_add(1)..=end));
    let mut found: Vec<RowView> = Vec::new();
    while let Some(row) = rows.try_next().await? {
        if filter.fits(&row) {
            found.extend(row_view(row));
        }
        if found.len() == limit {
            let next = found.last().map(|row| row.row);
            return Ok(RowList { rows: found, next });
        }
    }
    let next = (end < last).then_some(end);
    Ok(RowList { rows: found, next })
}

fn parse_state(name: &str) -> Result<RowState, Problem> {
    RowState::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = RowState::ALL.iter().map(|state| state.name()).collect();
        Problem::invalid_parameter("state", format!("must be one of {}", names.join(", ")))
    })
}

pub(crate) fn row_view(row: LedgerRow) -> Option<RowView> {
    let describe = |error: &ErrorInfo| match &error.details {
        Some(details) => format!("{}: {details}", error.title),
        None => error.title.clone(),
    };
    let error = row.error_info.as_ref().or(row.failure.as_ref());
    Some(RowView {
        row: row.row_number()?,
        state: row.state.name(),
        attempt: row.attempt,
        attempted_at: format_time(row.claimed_at),
        number: row.number.map(String::from),
        not_before: row.not_before.map(format_time),
        error_code: error.and_then(|error| error.code),
        error: error.map(describe),
        was_unconfirmed: row.was_unconfirmed,
        sent_at: row.sent_at.map(format_time),
        delivered_at: row.delivered_at.map(format_time),
        read_at: row.read_at.map(format_time),
        failed_at: row.failed_at.map(format_time),
        wamid: row.wamid,
    })
}
