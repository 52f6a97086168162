//! The routes of campaigns.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::progress::compute_progress;
use cloud::files::{Upload, rejects_key};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::Problem;
use crate::view::{self, CampaignList, CampaignUpload, CampaignView, SignedDownload, SignedUpload};
use crate::{Api, create};

/// How long a signed request holds: an hour, as long as a Lambda's own credentials are good for at the least.
pub(crate) const SIGNED_URL_TTL: Duration = Duration::from_secs(3600);

/// Campaigns of a list, unless asked otherwise, and at most.
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// Which campaigns to list.
#[derive(Debug, Deserialize, IntoParams)]
pub struct ListCampaignsQuery {
    /// How many, newest first; 20 unless said, 100 at most.
    limit: Option<u32>,
}

/// Creates a campaign and signs its upload: PUT the file to `upload.url` with `upload.headers`, and it is sent.
#[utoipa::path(
    post, path = "/v1/campaigns", request_body = create::NewCampaign,
    responses(
        (status = 201, body = CampaignUpload), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem),
    )
)]
pub async fn create(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<CampaignUpload>), Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let id: CampaignId = Uuid::now_v7()
        .to_string()
        .parse()
        .map_err(|error| cloud::Error::new("name a campaign", error))?;
    let now = cloud::now();
    let new: create::NewCampaign = create::parse_body(&body)?;
    let checks_template = new.checks_template();
    let mut campaign = new.into_campaign(id, now)?;
    if checks_template {
        let (message, pointer) = match &campaign.fallback {
            Some(fallback) => (fallback, "/fallback"),
            None => (&campaign.message, "/message"),
        };
        campaign.template = api.find_template(message, pointer).await?;
    }
    // Signed first: a campaign without an upload would wait for ever.
    let id = &campaign.id;
    let upload = sign_upload(&api, id, Upload::File(0), campaign.files[0].info.size, now).await?;
    let exclude_upload = match &campaign.exclude {
        Some(list) => Some(sign_upload(&api, id, Upload::Exclusions, list.size, now).await?),
        None => None,
    };
    api.campaigns.create(&campaign).await?;
    if let Some(at) = campaign.schedule.not_before.filter(|&at| at > now)
        && let Err(error) = api.schedules.schedule_start(id, at).await
    {
        // The sweep starts it, then: a few minutes late, not never.
        lambda_http::tracing::error!(campaign.id = %id, "{error}");
    }
    let created = CampaignUpload {
        id: campaign.id.to_string(),
        state: campaign.state.name(),
        upload,
        exclude_upload,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Signs an upload for people.
pub(crate) async fn sign_upload(
    api: &Api,
    id: &CampaignId,
    upload: Upload,
    size: u64,
    now: Millis,
) -> Result<SignedUpload, Problem> {
    let signed = api
        .files
        .sign_upload(id, upload, size, SIGNED_URL_TTL)
        .await?;
    Ok(SignedUpload {
        method: signed.method,
        url: signed.url,
        headers: signed.headers,
        expires_at: signed_url_expiry(now),
    })
}

/// Lists campaigns, newest first.
#[utoipa::path(
    get, path = "/v1/campaigns", params(ListCampaignsQuery),
    responses((status = 200, body = CampaignList), (status = 401, body = Problem))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Query(listing): Query<ListCampaignsQuery>,
) -> Result<Json<CampaignList>, Problem> {
    let limit = listing.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let campaigns = api.campaigns.list_latest(limit as i32).await?;
    let views = stream::iter(campaigns)
        .map(|campaign| campaign_view(&api, campaign))
        .buffered(8);
    Ok(Json(CampaignList {
        campaigns: views.try_collect().await?,
    }))
}

/// Shows one campaign: its state, every term of the sum, the rate, the estimated end.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<CampaignView>, Problem> {
    let campaign = find_campaign(&api, &id).await?;
    Ok(Json(campaign_view(&api, campaign).await?))
}

/// Which file's rejects.
#[derive(Debug, Deserialize, IntoParams)]
pub struct RejectsQuery {
    /// The file's number, from 1; the last one's unless said.
    file: Option<usize>,
}

/// Signs a download of the rows that could not be used: your own columns, then row, column, problem, fix.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/rejects", params(("id" = String, Path, description = "The campaign's id"), RejectsQuery),
    responses((status = 200, body = SignedDownload), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn rejects(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(RejectsQuery { file }): Query<RejectsQuery>,
) -> Result<Json<SignedDownload>, Problem> {
    let campaign = find_campaign(&api, &id).await?;
    let read = campaign
        .files
        .iter()
        .rposition(|file| file.stage != FileStage::Pending);
    let index = file
        .map_or(read, |number| number.checked_sub(1))
        .ok_or_else(Problem::rejects_not_found)?;
    let signed = api
        .files
        .sign_download(
            &rejects_key(&campaign.id, index),
            &format!("rejects-{}-{}.csv", campaign.id, index + 1),
            SIGNED_URL_TTL,
        )
        .await?
        .ok_or_else(Problem::rejects_not_found)?;
    Ok(Json(SignedDownload {
        url: signed.url,
        expires_at: signed_url_expiry(cloud::now()),
    }))
}

pub(crate) async fn find_campaign(api: &Api, id: &str) -> Result<Campaign, Problem> {
    let id: CampaignId = id.parse().map_err(|_| Problem::unknown_campaign())?;
    api.campaigns
        .get(&id)
        .await?
        .ok_or_else(Problem::unknown_campaign)
}

async fn campaign_view(api: &Api, campaign: Campaign) -> Result<CampaignView, Problem> {
    let counters = api.counters.sum(&campaign.id).await?;
    let progress = compute_progress(&campaign, counters, api.messages_per_second, cloud::now());
    Ok(view::campaign_view(
        campaign,
        progress,
        api.messages_per_second,
        cloud::now(),
    ))
}

pub(crate) fn signed_url_expiry(now: Millis) -> String {
    view::format_time(now + SIGNED_URL_TTL.as_millis() as Millis)
}
