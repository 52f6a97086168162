//! The audit log: who did what, when, to which version of a campaign.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use campaign::id::CampaignId;
use cloud::audit::{AuditEntry, is_entry_id};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::csv::CsvFile;
use crate::extract::{Limit, Query};
use crate::openapi::{RequestErrors, RoleName};
use crate::problem::Problem;
use crate::time::format_time;

/// Entries of one list.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Entries of one exported file.
const MAX_EXPORTED: usize = 10_000;

/// Entries of one query of the table while a file is written.
const EXPORT_PAGE: i32 = 1_000;

/// The query of `GET /v1/audit`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListAuditQuery {
    /// Only what concerns this campaign.
    #[param(pattern = "^[a-z0-9-]{1,64}$")]
    campaign: Option<String>,
    /// Where the previous list ended: its `next`.
    #[param(pattern = "^[0-9]{15}#[0-9a-f]{8}$")]
    after: Option<String>,
    /// How many entries to list; 50 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<Limit<MAX_LIMIT>>,
}

/// The query of `GET /v1/audit.csv`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportAuditQuery {
    /// Only what concerns this campaign.
    #[param(pattern = "^[a-z0-9-]{1,64}$")]
    campaign: Option<String>,
    /// Where the previous file ended: its header `x-crier-next`.
    #[param(pattern = "^[0-9]{15}#[0-9a-f]{8}$")]
    after: Option<String>,
}

/// Entries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    /// The entries.
    pub entries: Vec<AuditEntryView>,
    /// The `after` of the next list; null at the end.
    pub next: Option<String>,
}

/// What somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntryView {
    /// The entry's id.
    pub id: String,
    /// When it began.
    #[schema(format = DateTime)]
    pub at: String,
    /// The name of the token.
    pub who: String,
    /// The role in which it was done.
    #[schema(value_type = RoleName)]
    pub role: &'static str,
    /// `session` or `token`.
    pub via: String,
    /// The id of the operation in this description.
    #[schema(example = "startCampaign")]
    pub operation: String,
    /// The campaign.
    pub campaign: Option<String>,
    /// The campaign's version before.
    pub version_before: Option<u64>,
    /// The campaign's version afterwards.
    pub version_after: Option<u64>,
    /// What stands for the contact: the beginning of the hash of the number, which stays after an erasure.
    pub contact: Option<String>,
    /// The id of the number that messages are sent from, where it was about one.
    pub number: Option<String>,
    /// The HTTP status of the answer: from 400 on nothing was changed. Null if the function ended before it answered, so that
    /// nobody knows.
    pub status: Option<u16>,
}

/// Lists what was done by whom, newest first.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "listAudit", tag = "access",
    params(ListAuditQuery),
    responses((status = 200, body = AuditList, description = "Entries, newest first"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_audit(
    State(api): State<Arc<Api>>,
    Query(query): Query<ListAuditQuery>,
) -> Result<Json<AuditList>, Problem> {
    let limit = query.limit.map_or(DEFAULT_LIMIT, |Limit(limit)| limit);
    let campaign = parse_campaign(query.campaign.as_deref())?;
    let after = parse_cursor(query.after.as_deref())?;
    let entries = api
        .audit
        .list(campaign.as_ref(), after, limit as i32)
        .await?;
    let is_full = entries.len() == limit as usize;
    let last = entries.last().map(|entry| entry.id.clone());
    Ok(Json(AuditList {
        next: last.filter(|_| is_full),
        entries: entries.into_iter().map(AuditEntryView::from).collect(),
    }))
}

/// Exports what was done by whom as CSV, newest first; 10,000 entries at most.
///
/// If there are more, the header `x-crier-next` is the `after` of the next file.
#[utoipa::path(
    get, path = "/v1/audit.csv", operation_id = "exportAudit", tag = "access",
    params(ExportAuditQuery),
    responses((status = 200, body = String, content_type = "text/csv", description = "Entries, newest first"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn export_audit(
    State(api): State<Arc<Api>>,
    Query(query): Query<ExportAuditQuery>,
) -> Result<(HeaderMap, String), Problem> {
    let campaign = parse_campaign(query.campaign.as_deref())?;
    let mut after = parse_cursor(query.after.as_deref())?.map(str::to_owned);
    let mut csv = CsvFile::new(&[
        "at",
        "who",
        "role",
        "via",
        "operation",
        "campaign",
        "version_before",
        "version_after",
        "contact",
        "number",
        "status",
    ]);
    let mut written = 0;
    let has_more = loop {
        let page = api
            .audit
            .list(campaign.as_ref(), after.as_deref(), EXPORT_PAGE)
            .await?;
        let is_last = page.len() < EXPORT_PAGE as usize;
        after = page.last().map(|entry| entry.id.clone()).or(after);
        written += page.len();
        for entry in page {
            write_entry(&mut csv, AuditEntryView::from(entry));
        }
        if is_last || written >= MAX_EXPORTED {
            break !is_last;
        }
    };
    Ok(csv.into_answer("audit.csv", after.filter(|_| has_more)))
}

fn write_entry(csv: &mut CsvFile, entry: AuditEntryView) {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    csv.write(&[
        &entry.at,
        &entry.who,
        entry.role,
        &entry.via,
        &entry.operation,
        &entry.campaign.unwrap_or_default(),
        &number(entry.version_before),
        &number(entry.version_after),
        &entry.contact.unwrap_or_default(),
        &entry.number.unwrap_or_default(),
        &number(entry.status.map(u64::from)),
    ]);
}

fn parse_campaign(text: Option<&str>) -> Result<Option<CampaignId>, Problem> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| Problem::invalid_parameter("campaign", "must be the id of a campaign"))
}

fn parse_cursor(text: Option<&str>) -> Result<Option<&str>, Problem> {
    match text {
        Some(id) if !is_entry_id(id) => {
            let detail = "must be the `next` of a list; copy it from there";
            Err(Problem::invalid_parameter("after", detail))
        }
        id => Ok(id),
    }
}

impl From<AuditEntry> for AuditEntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: format_time(entry.at),
            who: entry.who,
            role: entry.role.name(),
            via: entry.via,
            operation: entry.operation,
            campaign: entry.campaign.map(|campaign| campaign.to_string()),
            version_before: entry.version_before,
            version_after: entry.version_after,
            contact: entry.contact,
            number: entry.number.map(|number| number.to_string()),
            status: entry.status,
        }
    }
}
