//! Results: the report (the operator's files with the status of each row, and a summary) and the recount.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::summary::{ErrorCount, MinuteCounts, RecipientStatus, Summary};
use cloud::files::{report_key, summary_key};
use cloud::jobs::{Job, JobKind, JobProgress, JobStage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::body::OptionalJsonBody;
use crate::caller::Caller;
use crate::extract::CampaignPath;
use crate::openapi::{BodyErrors, Conflict, JobStateName, NotFound, RequestErrors};
use crate::problem::Problem;
use crate::time::format_time;

/// What `POST /v1/campaigns/{id}/report` takes; an empty body stands for `{}`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// Whether the files begin with a byte order mark, by which Excel recognises UTF-8; by default they do not.
    #[serde(default)]
    bom: bool,
}

/// The progress of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// How far it is.
    #[schema(value_type = JobStateName)]
    pub state: &'static str,
    /// When it was requested.
    #[schema(format = DateTime)]
    pub requested_at: String,
    /// Rows processed so far.
    pub rows: u64,
    /// What it has changed so far: the recipients that a suppression put on the list.
    pub affected: u64,
    /// Its result, or why it failed.
    pub outcome: Option<String>,
}

/// A campaign's results.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    /// The progress of the report.
    #[serde(flatten)]
    pub job: JobView,
    /// Your files, each row with its status; empty until the report is done, and for viewers, since the files have the
    /// numbers in them.
    pub files: Vec<ReportFile>,
    /// Counts over all rows; null until the report is done.
    pub summary: Option<SummaryView>,
}

/// A file to download.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportFile {
    /// The file's number, from 1.
    pub file: usize,
    /// GET it from this URL, without a token.
    pub url: String,
    /// When the signature expires.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// Counts over all rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryView {
    /// Records in the files.
    pub rows: u64,
    /// Whether each record is counted once.
    pub balanced: bool,
    /// Rows by status.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub status: BTreeMap<RecipientStatus, u64>,
    /// Rows with an error, by error code, most first.
    pub errors: Vec<ErrorCountView>,
    /// Rows by country (ISO 3166-1 code) and status.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, u64>>)]
    pub countries: BTreeMap<String, BTreeMap<RecipientStatus, u64>>,
    /// Messages by Meta's price category.
    pub categories: BTreeMap<String, u64>,
    /// Messages delivered and read, by the minute.
    pub minutes: Vec<MinuteView>,
}

/// Rows with the same error code.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorCountView {
    /// The error code of the Graph API.
    pub code: i64,
    /// How many rows.
    pub rows: u64,
    /// WhatsApp's title of the error.
    pub title: String,
    /// What the error means.
    pub meaning: Option<&'static str>,
}

/// What happened within a minute.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinuteView {
    /// Its beginning.
    #[schema(format = DateTime)]
    pub at: String,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages read.
    pub read: u64,
}

/// Requests the report: your files, each row with its status, and a summary.
///
/// GET of the same path shows the progress and, once it is done, the downloads.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/report", operation_id = "requestReport", tag = "results",
    params(CampaignPath), request_body = Option<ReportRequest>,
    responses((status = 202, body = JobView, description = "The report is requested or in progress"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn request_report(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    OptionalJsonBody(ReportRequest { bom }): OptionalJsonBody<ReportRequest>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let campaign = api.find_campaign(&id).await?;
    let is_read = campaign
        .files
        .iter()
        .any(|file| file.stage != FileStage::Pending);
    if !is_read {
        return Err(Problem::conflict(
            "no file of this campaign has been read yet; upload it first",
        ));
    }
    request_job(&api, &campaign, Job::Report { bom }).await
}

/// Gets the progress of the report, and signs the downloads once it is done.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/report", operation_id = "getReport", tag = "results",
    params(CampaignPath),
    responses((status = 200, body = ReportView, description = "The report or its progress"),
        RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_report(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<ReportView>, Problem> {
    let campaign = api.find_campaign(&id).await?;
    let progress = job_progress(&api, &campaign, JobKind::Report).await?;
    let (mut files, mut summary) = (Vec::new(), None);
    if progress.stage == JobStage::Done {
        if !caller.sees_masked() {
            files = sign_files(&api, &campaign).await?;
        }
        let stored = api.files.read_object(&summary_key(&id)).await?;
        let stored: Option<Summary> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        summary = stored.map(SummaryView::from);
    }
    Ok(Json(ReportView {
        job: job_view(progress),
        files,
        summary,
    }))
}

/// Requests a recount: the counters are computed again from the ledger.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/recount", operation_id = "requestRecount", tag = "results",
    params(CampaignPath),
    responses((status = 202, body = JobView, description = "The recount is requested or in progress"),
        RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn request_recount(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let campaign = api.find_campaign(&id).await?;
    request_job(&api, &campaign, Job::Recount).await
}

/// Gets the progress of the recount, and whether the counters were right.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/recount", operation_id = "getRecount", tag = "results",
    params(CampaignPath),
    responses((status = 200, body = JobView, description = "The recount or its progress"),
        RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_recount(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<JobView>, Problem> {
    let campaign = api.find_campaign(&id).await?;
    let progress = job_progress(&api, &campaign, JobKind::Recount).await?;
    Ok(Json(job_view(progress)))
}

/// Enqueues a job, unless the same one is in progress.
async fn request_job(
    api: &Api,
    campaign: &Campaign,
    job: Job,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let now = cloud::now();
    let known = api.jobs.get_progress(&campaign.id, job.kind()).await?;
    let progress = match known.filter(|progress| progress.is_in_progress(now)) {
        Some(in_progress) => in_progress,
        None => api.jobs.enqueue(&campaign.id, job, now).await?,
    };
    Ok((StatusCode::ACCEPTED, Json(job_view(progress))))
}

pub(crate) async fn job_progress(
    api: &Api,
    campaign: &Campaign,
    job: JobKind,
) -> Result<JobProgress, Problem> {
    let progress = api.jobs.get_progress(&campaign.id, job).await?;
    progress.ok_or_else(Problem::job_not_requested)
}

async fn sign_files(api: &Api, campaign: &Campaign) -> Result<Vec<ReportFile>, Problem> {
    let mut files = Vec::new();
    for index in 0..campaign.files.len() {
        let file = index + 1;
        let name = format!("report-{}-{file}.csv", campaign.id);
        let key = report_key(&campaign.id, index);
        if let Some(signed) = api.sign_download(&key, &name).await? {
            files.push(ReportFile {
                file,
                url: signed.url,
                expires_at: signed.expires_at,
            });
        }
    }
    Ok(files)
}

pub(crate) fn job_view(progress: JobProgress) -> JobView {
    JobView {
        state: progress.stage.name(),
        requested_at: format_time(progress.requested_at),
        rows: progress.rows,
        affected: progress.affected,
        outcome: progress.outcome,
    }
}

impl From<Summary> for SummaryView {
    fn from(summary: Summary) -> Self {
        let balanced = summary.is_balanced();
        let error_view = |(code, count): (i64, ErrorCount)| ErrorCountView {
            code,
            rows: count.rows,
            title: count.title,
            meaning: whatsapp::error_code::describe_code(code),
        };
        let mut errors: Vec<ErrorCountView> = summary.errors.into_iter().map(error_view).collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.rows));
        let minute_view = |(at, minute): (u64, MinuteCounts)| MinuteView {
            at: format_time(at),
            delivered: minute.delivered,
            read: minute.read,
        };
        Self {
            rows: summary.rows,
            balanced,
            status: summary.status,
            errors,
            countries: summary.countries,
            categories: summary.categories,
            minutes: summary.minutes.into_iter().map(minute_view).collect(),
        }
    }
}
