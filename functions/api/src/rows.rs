//! A campaign's rows, one by one: every doubt, every refusal, for whoever wants to know.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use campaign::delivery::ledger::State as RowState;
use campaign::id::{CampaignId, ROWS_PER_PARTITION, RowNumber, partition_of};
use cloud::ledger::LedgerRow;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::campaigns::find_campaign;
use crate::problem::Problem;
use crate::view::format_time;

/// Rows of a list, unless asked otherwise, and at most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Pages of the ledger read for one request at most, and at once.
const MAX_PARTITIONS_PER_REQUEST: u32 = 512;
const CONCURRENT_READS: usize = 32;

/// Which rows to list.
#[derive(Debug, Deserialize, IntoParams)]
pub struct ListRowsQuery {
    /// Only rows in this state, such as `unconfirmed`, `rejected`, `retry`, `held` or `skipped`.
    state: Option<String>,
    /// Only rows behind this one; 0 unless said.
    after: Option<RowNumber>,
    /// How many; 100 unless said, 1000 at most.
    limit: Option<usize>,
}

/// Rows, in the order of the file.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowList {
    /// The rows.
    pub rows: Vec<RowView>,
    /// What to give as `after` for what follows; none at the end. A list may be short and yet not the last.
    pub next: Option<RowNumber>,
}

/// A row as the ledger has it. Rows without an attempt are not in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowView {
    /// Its number in the file, from 1, the header not counted.
    pub row: RowNumber,
    /// `claimed`, `retry`, `held`, `accepted`, `rejected`, `unconfirmed` or `skipped`.
    pub state: &'static str,
    /// The latest attempt, from 1; 0 where none was made.
    pub attempt: u32,
    /// When that attempt began.
    pub since: String,
    /// When the next attempt may begin, in state `retry`.
    pub not_before: Option<String>,
    /// The message's id.
    pub wamid: Option<String>,
    /// The Graph API's code, where it said one.
    pub code: Option<i64>,
    /// Why it is in this state.
    pub why: Option<String>,
    /// Whether an attempt before may have been sent.
    pub was_unconfirmed: bool,
}

/// Lists rows of a campaign, such as `?state=unconfirmed` for every doubt.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/rows", params(("id" = String, Path, description = "The campaign's id"), ListRowsQuery),
    responses((status = 200, body = RowList), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(listing): Query<ListRowsQuery>,
) -> Result<Json<RowList>, Problem> {
    let campaign = find_campaign(&api, &id).await?;
    let state = listing.state.as_deref().map(parse_state).transpose()?;
    let limit = listing.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let last = u32::try_from(campaign.import_counts().rows).unwrap_or(u32::MAX);
    let after = listing.after.unwrap_or(0).min(last);
    Ok(Json(
        matching_rows(&api, &campaign.id, state, after, last, limit).await?,
    ))
}

async fn matching_rows(
    api: &Api,
    id: &CampaignId,
    state: Option<RowState>,
    after: RowNumber,
    last: RowNumber,
    limit: usize,
) -> Result<RowList, cloud::Error> {
    let first = partition_of(after.saturating_add(1));
    let behind = partition_of(last).min(first + MAX_PARTITIONS_PER_REQUEST - 1);
    let mut pages = stream::iter(first..=behind)
        .map(|page| async move { Ok((page, api.ledger.list_partition(id, page).await?)) })
        .buffered(CONCURRENT_READS);
    let mut found: Vec<RowView> = Vec::new();
    while let Some((page, rows)) = pages.try_next().await? {
        let wanted = |row: &LedgerRow| state.is_none_or(|state| row.state == state);
        let views = rows.into_iter().filter(wanted).filter_map(row_view);
        found.extend(views.filter(|row| row.row > after));
        if found.len() >= limit {
            found.truncate(limit);
            let next = found.last().map(|row| row.row);
            return Ok(RowList { rows: found, next });
        }
        if page == behind && behind < self::partition_of(last) {
            let next = Some((page + 1) * ROWS_PER_PARTITION - 1);
            return Ok(RowList { rows: found, next });
        }
    }
    let next = None;
    Ok(RowList { rows: found, next })
}

fn parse_state(name: &str) -> Result<RowState, Problem> {
    RowState::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = RowState::ALL.iter().map(|state| state.name()).collect();
        Problem::invalid_field("/state", format!("must be one of {}", names.join(", ")))
    })
}

fn row_view(row: LedgerRow) -> Option<RowView> {
    let why = |fault: &campaign::delivery::outcome::ErrorInfo| match &fault.details {
        Some(details) => format!("{}: {details}", fault.title),
        None => fault.title.clone(),
    };
    let fault = row.error_info.as_ref().or(row.failure.as_ref());
    Some(RowView {
        row: row.row_number()?,
        state: row.state.name(),
        attempt: row.attempt,
        since: format_time(row.claimed_at),
        not_before: row.not_before.map(format_time),
        code: fault.and_then(|fault| fault.code),
        why: fault.map(why),
        was_unconfirmed: row.was_unconfirmed,
        wamid: row.wamid,
    })
}
