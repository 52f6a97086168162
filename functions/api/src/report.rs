//! Results: the operator's files back with what became of each row, a summary, and the counters anew.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::summary::{RecipientStatus, Summary};
use cloud::files::{report_key, summary_key};
use cloud::jobs::{Job, JobProgress, JobRequest, JobStage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::campaigns::{SIGNED_URL_TTL, find_campaign, signed_url_expiry};
use crate::problem::Problem;
use crate::view::format_time;
use crate::{Api, create};

/// What `POST /v1/campaigns/{id}/report` takes; an empty body stands for `{}`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// Whether the files begin with the mark by which Excel knows UTF-8. Not unless said: the bytes are those you uploaded.
    #[serde(default)]
    bom: bool,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// `requested`, `running`, `done` or `failed`.
    pub state: &'static str,
    /// When it was asked for.
    pub requested_at: String,
    /// Rows done so far.
    pub rows: u64,
    /// What came of it.
    pub outcome: Option<String>,
}

/// A campaign's results.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    /// How far the report is.
    #[serde(flatten)]
    pub job: JobView,
    /// Your files, each row with what became of it.
    pub files: Vec<ReportFile>,
    /// What the rows add up to; none before it is done.
    pub summary: Option<SummaryView>,
}

/// A file to download.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportFile {
    /// The file's number, from 1.
    pub file: usize,
    /// GET it from here, without a token.
    pub url: String,
    /// Until then.
    pub expires_at: String,
}

/// What the rows add up to.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryView {
    /// Records in the files.
    pub rows: u64,
    /// Whether each is counted once.
    pub balanced: bool,
    /// Rows by status.
    #[schema(value_type = Object)]
    pub status: BTreeMap<RecipientStatus, u64>,
    /// Rows that something went wrong with, by code, most first.
    pub errors: Vec<ErrorCountView>,
    /// By country, as ISO 3166-1 code, by status.
    #[schema(value_type = Object)]
    pub countries: BTreeMap<String, BTreeMap<RecipientStatus, u64>>,
    /// By what Meta charges for.
    #[schema(value_type = Object)]
    pub categories: BTreeMap<String, u64>,
    /// Delivered and read, by the minute in which that happened.
    pub minutes: Vec<MinuteView>,
}

/// Rows that met one code.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorCountView {
    /// The Graph API's code.
    pub code: i64,
    /// How many.
    pub rows: u64,
    /// What WhatsApp calls it.
    pub title: String,
    /// What it means.
    pub meaning: Option<&'static str>,
}

/// What happened within a minute.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinuteView {
    /// Its beginning.
    pub at: String,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages read.
    pub read: u64,
}

/// Asks for the operator's files back, with what became of each row; GET the same route for how far it is and where they are.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/report", request_body = ReportRequest, params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 202, body = JobView), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn request(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let ReportRequest { bom } = match body.is_empty() {
        true => ReportRequest::default(),
        false => create::parse_body(&body)?,
    };
    let campaign = find_campaign(&api, &id).await?;
    if !campaign
        .files
        .iter()
        .any(|file| file.stage != FileStage::Pending)
    {
        return Err(Problem::conflict("no file of this campaign was read yet"));
    }
    request_job(&api, &campaign, Job::Report { bom }).await
}

/// Shows how far the report is, and signs the downloads once it is done.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/report", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = ReportView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<ReportView>, Problem> {
    let campaign = find_campaign(&api, &id).await?;
    let job = job_progress(&api, &campaign, Job::Report { bom: false }).await?;
    let (mut files, mut summary) = (Vec::new(), None);
    if job.stage == JobStage::Done {
        files = sign_files(&api, &campaign).await?;
        let kept = api.files.read_object(&summary_key(&campaign.id)).await?;
        let kept: Option<Summary> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        summary = kept.map(SummaryView::from);
    }
    Ok(Json(ReportView {
        job: job_view(job),
        files,
        summary,
    }))
}

/// Counts the campaign's rows anew, from the ledger: for the case that its numbers are ever doubted.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/recount", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 202, body = JobView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn recount(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let campaign = find_campaign(&api, &id).await?;
    request_job(&api, &campaign, Job::Recount).await
}

/// Shows how far the recount is, and whether the counters were right.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/recount", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = JobView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn recounted(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<JobView>, Problem> {
    let campaign = find_campaign(&api, &id).await?;
    Ok(Json(job_view(
        job_progress(&api, &campaign, Job::Recount).await?,
    )))
}

/// Asks for a job, unless somebody is at it.
async fn request_job(
    api: &Api,
    campaign: &Campaign,
    job: Job,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let now = cloud::now();
    let known = api.jobs.get_progress(&campaign.id, job).await?;
    let progress = match known.filter(|progress| progress.is_in_progress(now)) {
        Some(under_way) => under_way,
        None => {
            let campaign = campaign.id.clone();
            api.jobs.enqueue(&JobRequest { campaign, job }, now).await?
        }
    };
    Ok((StatusCode::ACCEPTED, Json(job_view(progress))))
}

async fn job_progress(api: &Api, campaign: &Campaign, job: Job) -> Result<JobProgress, Problem> {
    let progress = api.jobs.get_progress(&campaign.id, job).await?;
    progress.ok_or_else(Problem::job_not_requested)
}

async fn sign_files(api: &Api, campaign: &Campaign) -> Result<Vec<ReportFile>, Problem> {
    let mut files = Vec::new();
    for index in 0..campaign.files.len() {
        let key = report_key(&campaign.id, index);
        let name = format!("report-{}-{}.csv", campaign.id, index + 1);
        if let Some(signed) = api.files.sign_download(&key, &name, SIGNED_URL_TTL).await? {
            files.push(ReportFile {
                file: index + 1,
                url: signed.url,
                expires_at: signed_url_expiry(cloud::now()),
            });
        }
    }
    Ok(files)
}

fn job_view(progress: JobProgress) -> JobView {
    JobView {
        state: progress.stage.name(),
        requested_at: format_time(progress.requested_at),
        rows: progress.rows,
        outcome: progress.outcome,
    }
}

impl From<Summary> for SummaryView {
    fn from(summary: Summary) -> Self {
        let conserved = summary.is_balanced();
        let error =
            |(code, count): (i64, campaign::lifecycle::summary::ErrorCount)| ErrorCountView {
                code,
                rows: count.rows,
                title: count.title,
                meaning: whatsapp::error_code::describe_code(code),
            };
        let mut errors: Vec<ErrorCountView> = summary.errors.into_iter().map(error).collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.rows));
        let minute = |(at, minute): (u64, campaign::lifecycle::summary::MinuteCounts)| MinuteView {
            at: format_time(at),
            delivered: minute.delivered,
            read: minute.read,
        };
        Self {
            rows: summary.rows,
            balanced: conserved,
            status: summary.status,
            errors,
            countries: summary.countries,
            categories: summary.categories,
            minutes: summary.minutes.into_iter().map(minute).collect(),
        }
    }
}
