//! The preview: what a file would send, before anything is sent.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::access::role::Role;
use campaign::id::CampaignId;
use campaign::import::preview::{DailyLimit, Preview, collect_warnings};
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use campaign::lifecycle::event::Event;
use campaign::lifecycle::progress::{compute_progress, recipients_in_a_day};
use campaign::time::Millis;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

use crate::Api;
use crate::audit_trail::{begin_entry_of_campaign, complete_entry};
use crate::body::OptionalJsonBody;
use crate::caller::Caller;
use crate::extract::CampaignPath;
use crate::new_file::FileOptions;
use crate::openapi::{BodyErrors, Conflict, NotFound, RequestErrors};
use crate::preview_view::PreviewView;
use crate::problem::Problem;
use crate::view::CampaignStateView;

/// The latest campaigns, whose recipients count towards the account's limit.
const COUNTED_CAMPAIGNS: i32 = 100;

/// Campaigns whose counters are read at once.
const CONCURRENT_READS: usize = 8;

/// What the audit log calls a preview with other options.
const SET_OPTIONS: &str = "previewCampaign";

/// What `POST /v1/campaigns/{id}/preview` takes; an empty body stands for `{}`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// Read the file again, with these options instead of the former.
    options: Option<FileOptions>,
}

/// The preview, or the state of a campaign that has none yet.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum PreviewResponse {
    /// The file has been read.
    Ready(Box<PreviewView>),
    /// The file is being read.
    Validating(CampaignStateView),
}

/// Shows what would be sent, once the file has been read.
///
/// With `options` the file is read again in another way.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/preview", operation_id = "previewCampaign", tag = "campaigns",
    params(CampaignPath), request_body = Option<PreviewRequest>,
    responses((status = 200, body = PreviewView, description = "The file has been read"),
        (status = 202, body = CampaignStateView, description = "The file is being read; ask again in a moment"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn preview_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
    OptionalJsonBody(request): OptionalJsonBody<PreviewRequest>,
) -> Result<(StatusCode, Json<PreviewResponse>), Problem> {
    let campaign = api.find_campaign(&id).await?;
    let validating = |state: CampaignState| {
        let view = CampaignStateView::new(&id, state);
        Ok((
            StatusCode::ACCEPTED,
            Json(PreviewResponse::Validating(view)),
        ))
    };
    if let Some(options) = request.options {
        validate_again(&api, &caller, &campaign, options).await?;
        return validating(CampaignState::Validating);
    }
    let now = cloud::now();
    match (campaign.state(now), api.imports.get_preview(&id).await?) {
        (CampaignState::AwaitingUpload, _) => Err(Problem::conflict(
            "the file has not been uploaded yet; PUT it to its upload URL first",
        )),
        (CampaignState::Failed, _) => Err(Problem::conflict(format!(
            "the file cannot be used: {} Send other options to have it read again, or POST /v1/campaigns/{{id}}/files for another file",
            campaign.reason(now).unwrap_or_default()
        ))),
        (CampaignState::Validating, _) | (_, None) => validating(campaign.state(now)),
        (_, Some(preview)) => {
            let view = ready_preview(&api, &campaign, preview).await?;
            Ok((StatusCode::OK, Json(PreviewResponse::Ready(Box::new(view)))))
        }
    }
}

/// A preview changes nothing, but for this. So it is here that more than a viewer is asked for, and that the audit log is
/// written.
async fn validate_again(
    api: &Api,
    caller: &Caller,
    campaign: &Campaign,
    options: FileOptions,
) -> Result<(), Problem> {
    caller.require(Role::Author)?;
    let event = Event::SetOptions(options.into_options()?);
    let entry = begin_entry_of_campaign(api, caller, SET_OPTIONS, &campaign.id).await?;
    let applied = api.apply(caller, campaign, &event, cloud::now()).await?;
    let status = match applied {
        Ok(_) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::CONFLICT,
    };
    complete_entry(api, caller, entry, status).await;
    let change = applied.map_err(Problem::from)?;
    Ok(api.enqueue_job(&campaign.id, change.job).await?)
}

async fn ready_preview(
    api: &Api,
    campaign: &Campaign,
    preview: Preview,
) -> Result<PreviewView, Problem> {
    // The preview is useful also where Meta cannot be asked.
    let daily_limit = api
        .account_facts(u64::MAX / 2)
        .await
        .map_or(DailyLimit::Unknown, |facts| facts.number.daily_limit);
    let elsewhere = match daily_limit {
        DailyLimit::Unlimited => 0,
        DailyLimit::Recipients(_) | DailyLimit::Unknown => {
            recipients_elsewhere(api, &campaign.id, cloud::now()).await?
        }
    };
    let warnings = collect_warnings(campaign, &preview, daily_limit, elsewhere);
    let budget = campaign.budget(api.tps_budget);
    Ok(PreviewView::new(campaign, preview, warnings, budget))
}

/// How many recipients the account's other campaigns message within a day, at most.
async fn recipients_elsewhere(api: &Api, id: &CampaignId, now: Millis) -> Result<u64, Problem> {
    let latest = api.campaigns.list_latest(COUNTED_CAMPAIGNS).await?;
    let others = latest.into_iter().filter(|other| other.id != *id);
    let counts = stream::iter(others)
        .map(|other| recipients_of(api, other, now))
        .buffer_unordered(CONCURRENT_READS);
    let counts: Vec<u64> = counts.try_collect().await?;
    Ok(counts.into_iter().sum())
}

async fn recipients_of(api: &Api, campaign: Campaign, now: Millis) -> Result<u64, cloud::Error> {
    let counters = api.counters.sum(&campaign.id).await?;
    let progress = compute_progress(&campaign, counters, campaign.budget(api.tps_budget), now);
    Ok(recipients_in_a_day(&campaign, &progress, now))
}
