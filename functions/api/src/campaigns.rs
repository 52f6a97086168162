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
use campaign::record::Campaign;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::Problem;
use crate::view::{self, CampaignList, CampaignView, Created, SignedDownload, SignedUpload};
use crate::{Api, create};

/// How long a signed request holds: an hour, as long as a Lambda's own credentials are good for at the least.
const SIGNED_FOR: Duration = Duration::from_secs(3600);

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
    let campaign = create::read(&body)?.checked(id, now)?;
    // Signed first: a campaign without an upload would wait for ever.
    let signed = api
        .files
        .sign_upload(&campaign.id, campaign.file.size, SIGNED_FOR)
        .await?;
    api.campaigns.create(&campaign).await?;
    let upload = SignedUpload {
        method: signed.method,
        url: signed.url,
        headers: signed.headers,
        expires_at: expires_at(now),
    };
    let created = Created {
        id: campaign.id.to_string(),
        state: campaign.state.name(),
        upload,
    };
    Ok((StatusCode::CREATED, Json(created)))
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

/// Signs a download of the rows that could not be used: row, column, reason.
#[utoipa::path(
    get, path = "/campaigns/{id}/rejects", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = SignedDownload), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn rejects(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<SignedDownload>, Problem> {
    let campaign = find(&api, &id).await?;
    let signed = api
        .files
        .sign_rejects(&campaign.id, SIGNED_FOR)
        .await?
        .ok_or_else(Problem::no_rejects)?;
    Ok(Json(SignedDownload {
        url: signed.url,
        expires_at: expires_at(cloud::now()),
    }))
}

async fn find(api: &Api, id: &str) -> Result<Campaign, Problem> {
    let id: CampaignId = id.parse().map_err(|_| Problem::no_campaign())?;
    api.campaigns
        .get(&id)
        .await?
        .ok_or_else(Problem::no_campaign)
}

async fn view_of(api: &Api, campaign: Campaign) -> Result<CampaignView, Problem> {
    let counters = api.counters.total(&campaign.id).await?;
    let progress = progress(&campaign, counters, api.budget, cloud::now());
    Ok(view::campaign(campaign, progress, api.budget))
}

fn expires_at(now: Millis) -> String {
    view::time(now + SIGNED_FOR.as_millis() as Millis)
}
