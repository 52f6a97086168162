//! Campaigns: create, list, get.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::progress::compute_progress;
use campaign::time::Millis;
use cloud::files::Upload;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::Api;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::extract::{CampaignPath, Limit, Query};
use crate::new_campaign::NewCampaign;
use crate::openapi::{BodyErrors, NotFound, RequestErrors};
use crate::problem::Problem;
use crate::view::{CampaignList, CampaignUpload, CampaignView};

/// Campaigns of one list.
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// Campaigns whose counters are read at once.
const CONCURRENT_READS: usize = 8;

/// The query of `GET /v1/campaigns`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListCampaignsQuery {
    /// How many campaigns to list, newest first; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit<MAX_LIMIT>>,
}

/// Creates a campaign and signs its upload.
///
/// PUT the file to `upload.url` with `upload.headers`; the campaign then starts, unless `manual_start` is set.
#[utoipa::path(
    post, path = "/v1/campaigns", operation_id = "createCampaign", tag = "campaigns",
    request_body = NewCampaign,
    responses((status = 201, body = CampaignUpload, description = "The campaign waits for its upload"),
        RequestErrors, BodyErrors)
)]
#[tracing::instrument(skip_all, fields(campaign.id))]
pub async fn create_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    JsonBody(new): JsonBody<NewCampaign>,
) -> Result<(StatusCode, Json<CampaignUpload>), Problem> {
    let id = new_campaign_id()?;
    caller.note_created(&id);
    tracing::Span::current().record("campaign.id", tracing::field::display(&id));
    let now = cloud::now();
    let checks_template = new.checks_template();
    let mut campaign = new.into_campaign(id, now, api.sendable_for)?;
    if checks_template {
        let (message, pointer) = match &campaign.fallback {
            Some(fallback) => (fallback, "/fallback"),
            None => (&campaign.message, "/message"),
        };
        campaign.template = api.find_template(message, pointer).await?;
    }
    // Signed first: a stored campaign without an upload would wait for ever.
    let created = sign_uploads(&api, &campaign, now).await?;
    api.campaigns.create(&campaign).await?;
    schedule_start(&api, &campaign, now).await;
    Ok((StatusCode::CREATED, Json(created)))
}

/// The id of a new campaign.
pub(crate) fn new_campaign_id() -> Result<CampaignId, cloud::Error> {
    let id = Uuid::now_v7().to_string();
    id.parse()
        .map_err(|error| cloud::Error::new("make a campaign id", error))
}

async fn sign_uploads(
    api: &Api,
    campaign: &Campaign,
    now: Millis,
) -> Result<CampaignUpload, Problem> {
    let size = campaign.files[0].info.size;
    let upload = api
        .sign_upload(&campaign.id, Upload::File(0), size, now)
        .await?;
    let exclude_upload = match &campaign.exclude {
        Some(list) => Some(
            api.sign_upload(&campaign.id, Upload::Exclusions, list.size, now)
                .await?,
        ),
        None => None,
    };
    Ok(CampaignUpload {
        id: campaign.id.to_string(),
        state: campaign.state(now).name(),
        upload,
        exclude_upload,
    })
}

async fn schedule_start(api: &Api, campaign: &Campaign, now: Millis) {
    if let Some(at) = campaign.schedule.not_before.filter(|&at| at > now)
        && let Err(error) = api.schedules.schedule_start(&campaign.id, at).await
    {
        // The reconciler then starts the campaign, a few minutes late.
        tracing::error!("{error}");
    }
}

/// Lists campaigns, newest first.
#[utoipa::path(
    get, path = "/v1/campaigns", operation_id = "listCampaigns", tag = "campaigns",
    params(ListCampaignsQuery),
    responses((status = 200, body = CampaignList, description = "The latest campaigns"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_campaigns(
    State(api): State<Arc<Api>>,
    Query(query): Query<ListCampaignsQuery>,
) -> Result<Json<CampaignList>, Problem> {
    let limit = query.limit.map_or(DEFAULT_LIMIT, |Limit(limit)| limit);
    let campaigns = api.campaigns.list_latest(limit as i32).await?;
    let views = stream::iter(campaigns)
        .map(async |campaign| campaign_view(&api, &campaign.id).await)
        .buffered(CONCURRENT_READS);
    Ok(Json(CampaignList {
        campaigns: views.try_collect().await?,
    }))
}

/// Gets one campaign: its state, how many rows are in which state, the rate and the estimated end.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}", operation_id = "getCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignView, description = "The campaign"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_campaign(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignView>, Problem> {
    Ok(Json(campaign_view(&api, &id).await?))
}

impl Api {
    /// The campaign, or 404.
    pub(crate) async fn find_campaign(&self, id: &CampaignId) -> Result<Campaign, Problem> {
        let campaign = self.campaigns.get(id).await?;
        campaign.ok_or_else(Problem::unknown_campaign)
    }
}

/// Counters are read first: rows that are counted must be among those that the campaign has enqueued.
async fn campaign_view(api: &Api, id: &CampaignId) -> Result<CampaignView, Problem> {
    let counters = api.counters.sum(id).await?;
    let campaign = api.find_campaign(id).await?;
    let now = cloud::now();
    let progress = compute_progress(&campaign, counters, api.tps_budget, now);
    Ok(CampaignView::new(campaign, progress, api.tps_budget, now))
}
