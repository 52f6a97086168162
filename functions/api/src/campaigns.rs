//! The routes of campaigns.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use campaign::id::CampaignId;
use campaign::outcome::Millis;
use campaign::progress::progress;
use campaign::record::{Campaign, FileStage};
use cloud::files::{Upload, rejects_key};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::Problem;
use crate::view::{self, CampaignList, CampaignView, Created, SignedDownload, SignedUpload};
use crate::{Api, create};

/// How long a signed request holds: an hour, as long as a Lambda's own credentials are good for at the least.
pub(crate) const SIGNED_FOR: Duration = Duration::from_secs(3600);

/// Campaigns of a list, unless asked otherwise, and at most.
const LISTED: u32 = 20;
const MOST_LISTED: u32 = 100;

/// Which campaigns to list.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Listing {
    /// How many, newest first; 20 unless said, 100 at most.
    limit: Option<u32>,
}

/// Creates a campaign and signs its upload: PUT the file to `upload.url` with `upload.headers`, and it is sent.
#[utoipa::path(
    post, path = "/campaigns", request_body = create::NewCampaign,
    responses(
        (status = 201, body = Created), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem),
    )
)]
pub async fn create(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let body = body.map_err(|_| Problem::too_large())?;
    let id: CampaignId = Uuid::now_v7()
        .to_string()
        .parse()
        .map_err(|error| cloud::Error::new("name a campaign", error))?;
    let now = cloud::now();
    let new: create::NewCampaign = create::read(&body)?;
    let checks_template = new.checks_template();
    let mut campaign = new.checked(id, now)?;
    if checks_template {
        let (message, pointer) = match &campaign.fallback {
            Some(fallback) => (fallback, "/fallback"),
            None => (&campaign.message, "/message"),
        };
        campaign.template = api.template_of(message, pointer).await?;
    }
    // Signed first: a campaign without an upload would wait for ever.
    let id = &campaign.id;
    let upload = signed_upload(&api, id, Upload::File(0), campaign.files[0].info.size, now).await?;
    let exclude_upload = match &campaign.exclude {
        Some(list) => Some(signed_upload(&api, id, Upload::Exclude, list.size, now).await?),
        None => None,
    };
    api.campaigns.create(&campaign).await?;
    if let Some(at) = campaign.window.not_before.filter(|&at| at > now)
        && let Err(error) = api.schedules.start_at(id, at).await
    {
        // The sweep starts it, then: a few minutes late, not never.
        lambda_http::tracing::error!(campaign.id = %id, "{error}");
    }
    let created = Created {
        id: campaign.id.to_string(),
        state: campaign.state.name(),
        upload,
        exclude_upload,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Signs an upload for people.
pub(crate) async fn signed_upload(
    api: &Api,
    id: &CampaignId,
    upload: Upload,
    size: u64,
    now: Millis,
) -> Result<SignedUpload, Problem> {
    let signed = api.files.sign_upload(id, upload, size, SIGNED_FOR).await?;
    Ok(SignedUpload {
        method: signed.method,
        url: signed.url,
        headers: signed.headers,
        expires_at: expires_at(now),
    })
}

/// Lists campaigns, newest first.
#[utoipa::path(
    get, path = "/campaigns", params(Listing),
    responses((status = 200, body = CampaignList), (status = 401, body = Problem))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Query(listing): Query<Listing>,
) -> Result<Json<CampaignList>, Problem> {
    let limit = listing.limit.unwrap_or(LISTED).clamp(1, MOST_LISTED);
    let campaigns = api.campaigns.list(limit as i32).await?;
    let views = stream::iter(campaigns)
        .map(|campaign| view_of(&api, campaign))
        .buffered(8);
    Ok(Json(CampaignList {
        campaigns: views.try_collect().await?,
    }))
}

/// Shows one campaign: its state, every term of the sum, the rate, the estimated end.
#[utoipa::path(
    get, path = "/campaigns/{id}", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<CampaignView>, Problem> {
    let campaign = find(&api, &id).await?;
    Ok(Json(view_of(&api, campaign).await?))
}

/// Which file's rejects.
#[derive(Debug, Deserialize, IntoParams)]
pub struct OfFile {
    /// The file's number, from 1; the last one's unless said.
    file: Option<usize>,
}

/// Signs a download of the rows that could not be used: your own columns, then row, column, problem, fix.
#[utoipa::path(
    get, path = "/campaigns/{id}/rejects", params(("id" = String, Path, description = "The campaign's id"), OfFile),
    responses((status = 200, body = SignedDownload), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn rejects(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(OfFile { file }): Query<OfFile>,
) -> Result<Json<SignedDownload>, Problem> {
    let campaign = find(&api, &id).await?;
    let read = campaign
        .files
        .iter()
        .rposition(|file| file.stage != FileStage::Announced);
    let index = file
        .map_or(read, |number| number.checked_sub(1))
        .ok_or_else(Problem::no_rejects)?;
    let signed = api
        .files
        .sign_download(
            &rejects_key(&campaign.id, index),
            &format!("rejects-{}-{}.csv", campaign.id, index + 1),
            SIGNED_FOR,
        )
        .await?
        .ok_or_else(Problem::no_rejects)?;
    Ok(Json(SignedDownload {
        url: signed.url,
        expires_at: expires_at(cloud::now()),
    }))
}

pub(crate) async fn find(api: &Api, id: &str) -> Result<Campaign, Problem> {
    let id: CampaignId = id.parse().map_err(|_| Problem::no_campaign())?;
    api.campaigns
        .get(&id)
        .await?
        .ok_or_else(Problem::no_campaign)
}

async fn view_of(api: &Api, campaign: Campaign) -> Result<CampaignView, Problem> {
    let counters = api.counters.total(&campaign.id).await?;
    let progress = progress(&campaign, counters, api.budget, cloud::now());
    Ok(view::campaign(campaign, progress, api.budget, cloud::now()))
}

pub(crate) fn expires_at(now: Millis) -> String {
    view::time(now + SIGNED_FOR.as_millis() as Millis)
}
