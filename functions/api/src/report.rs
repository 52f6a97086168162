//! Results: the operator's files back with what became of each row, a summary, and the counters anew.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use campaign::record::{Campaign, FileStage};
use campaign::summary::{Status, Summary};
use cloud::files::{report_key, summary_key};
use cloud::jobs::{Job, JobOrder, Progress, Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::campaigns::{SIGNED_FOR, expires_at, find};
use crate::problem::Problem;
use crate::view::time;
use crate::{Api, create};

/// What `POST /campaigns/{id}/report` takes; an empty body stands for `{}`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReport {
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
    pub conserved: bool,
    /// Rows by status.
    #[schema(value_type = Object)]
    pub status: BTreeMap<Status, u64>,
    /// Rows that something went wrong with, by code, most first.
    pub errors: Vec<ErrorView>,
    /// By country, as ISO 3166-1 code, by status.
    #[schema(value_type = Object)]
    pub countries: BTreeMap<String, BTreeMap<Status, u64>>,
    /// By what Meta charges for.
    #[schema(value_type = Object)]
    pub categories: BTreeMap<String, u64>,
    /// Delivered and read, by the minute in which that happened.
    pub minutes: Vec<MinuteView>,
}

/// Rows that met one code.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorView {
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
    post, path = "/campaigns/{id}/report", request_body = NewReport, params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 202, body = JobView), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn request(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let body = body.map_err(|_| Problem::too_large())?;
    let NewReport { bom } = match body.is_empty() {
        true => NewReport::default(),
        false => create::read(&body)?,
    };
    let campaign = find(&api, &id).await?;
    if !campaign
        .files
        .iter()
        .any(|file| file.stage != FileStage::Announced)
    {
        return Err(Problem::conflict("no file of this campaign was read yet"));
    }
    ask(&api, &campaign, Job::Report { bom }).await
}

/// Shows how far the report is, and signs the downloads once it is done.
#[utoipa::path(
    get, path = "/campaigns/{id}/report", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = ReportView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<ReportView>, Problem> {
    let campaign = find(&api, &id).await?;
    let job = progress(&api, &campaign, Job::Report { bom: false }).await?;
    let (mut files, mut summary) = (Vec::new(), None);
    if job.stage == Stage::Done {
        files = signed(&api, &campaign).await?;
        let kept = api.files.read(&summary_key(&campaign.id)).await?;
        let kept: Option<Summary> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        summary = kept.map(SummaryView::from);
    }
    Ok(Json(ReportView {
        job: view(job),
        files,
        summary,
    }))
}

/// Counts the campaign's rows anew, from the ledger: for the case that its numbers are ever doubted.
#[utoipa::path(
    post, path = "/campaigns/{id}/recount", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 202, body = JobView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn recount(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let campaign = find(&api, &id).await?;
    ask(&api, &campaign, Job::Recount).await
}

/// Shows how far the recount is, and whether the counters were right.
#[utoipa::path(
    get, path = "/campaigns/{id}/recount", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = JobView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn recounted(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<JobView>, Problem> {
    let campaign = find(&api, &id).await?;
    Ok(Json(view(progress(&api, &campaign, Job::Recount).await?)))
}

/// Asks for a job, unless somebody is at it.
async fn ask(
    api: &Api,
    campaign: &Campaign,
    job: Job,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let now = cloud::now();
    let known = api.jobs.progress(&campaign.id, job).await?;
    let progress = match known.filter(|progress| progress.is_under_way(now)) {
        Some(under_way) => under_way,
        None => {
            let campaign = campaign.id.clone();
            api.jobs.order(&JobOrder { campaign, job }, now).await?
        }
    };
    Ok((StatusCode::ACCEPTED, Json(view(progress))))
}

async fn progress(api: &Api, campaign: &Campaign, job: Job) -> Result<Progress, Problem> {
    let progress = api.jobs.progress(&campaign.id, job).await?;
    progress.ok_or_else(Problem::no_job)
}

async fn signed(api: &Api, campaign: &Campaign) -> Result<Vec<ReportFile>, Problem> {
    let mut files = Vec::new();
    for index in 0..campaign.files.len() {
        let key = report_key(&campaign.id, index);
        let name = format!("report-{}-{}.csv", campaign.id, index + 1);
        if let Some(signed) = api.files.sign_download(&key, &name, SIGNED_FOR).await? {
            files.push(ReportFile {
                file: index + 1,
                url: signed.url,
                expires_at: expires_at(cloud::now()),
            });
        }
    }
    Ok(files)
}

fn view(progress: Progress) -> JobView {
    JobView {
        state: progress.stage.name(),
        requested_at: time(progress.requested_at),
        rows: progress.rows,
        outcome: progress.outcome,
    }
}

impl From<Summary> for SummaryView {
    fn from(summary: Summary) -> Self {
        let conserved = summary.is_conserved();
        let error = |(code, count): (i64, campaign::summary::ErrorCount)| ErrorView {
            code,
            rows: count.rows,
            title: count.title,
            meaning: whatsapp::code::meaning(code),
        };
        let mut errors: Vec<ErrorView> = summary.errors.into_iter().map(error).collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.rows));
        let minute = |(at, minute): (u64, campaign::summary::Minute)| MinuteView {
            at: time(at),
            delivered: minute.delivered,
            read: minute.read,
        };
        Self {
            rows: summary.rows,
            conserved,
            status: summary.status,
            errors,
            countries: summary.countries,
            categories: summary.categories,
            minutes: summary.minutes.into_iter().map(minute).collect(),
        }
    }
}
