//! Retries: chosen rows of a campaign that is over are sent again, as a campaign of their own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, FileInfo, Schedule};
use campaign::lifecycle::event::{Event, Job};
use campaign::lifecycle::progress::compute_progress;
use campaign::lifecycle::retry::{RETRY_PHONE_COLUMN, RetryLink, RetrySelection, RetryState};
use campaign::time::Millis;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Api;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::campaigns::new_campaign_id;
use crate::extract::CampaignPath;
use crate::openapi::{BodyErrors, Conflict, NotFound, RequestErrors, RetryStateName};
use crate::problem::Problem;
use crate::view::CampaignStateView;

/// What `POST /v1/campaigns/{id}/retries` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRetry {
    /// Rows in one of these states; `rejected` and `undelivered` by default. Recipients who were or may
    /// have been reached are messaged again only if you name their state.
    #[schema(value_type = Option<Vec<RetryStateName>>, min_items = 1)]
    states: Option<Vec<RetryState>>,
    /// Of these rows, those with one of these error codes of WhatsApp; whatever their code by default.
    #[schema(example = json!([131026]))]
    #[serde(default)]
    codes: Vec<i64>,
    /// Whether the new campaign waits, once its rows are known, for `POST /v1/campaigns/{id}/start`.
    #[serde(default)]
    manual_start: bool,
    /// Whether rows may be chosen that an earlier retry of this campaign may include.
    #[serde(default)]
    allow_repeat: bool,
}

/// Sends chosen rows of a finished or cancelled campaign again, as a new campaign.
///
/// The new campaign has the same message, fallback, policy and window, no canary rows and no other schedule; its `retry_of` names this one.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/retries", operation_id = "createRetry", tag = "campaigns",
    params(CampaignPath), request_body = NewRetry,
    responses((status = 201, body = CampaignStateView, description = "The new campaign"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn create_retry(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
    JsonBody(request): JsonBody<NewRetry>,
) -> Result<(StatusCode, Json<CampaignStateView>), Problem> {
    let counters = api.counters.sum(&id).await?;
    let campaign = api.find_campaign(&id).await?;
    let now = cloud::now();
    let progress = compute_progress(&campaign, counters, campaign.budget(api.tps_budget), now);
    let (manual_start, allow_repeat) = (request.manual_start, request.allow_repeat);
    let selection = request.into_selection()?;
    if !progress.finished && !campaign.is_closed() {
        let detail = "rows can be sent again once the campaign is finished; after a cancellation some minutes later, once its rows are settled";
        return Err(Problem::conflict(detail));
    }
    refuse_undelivered_if_sent_anyway(&campaign, &selection, now)?;
    let link = link_retry(&api, &caller, &campaign, selection, allow_repeat, now).await?;
    let mut retry = retry_campaign(&campaign, &link, now, api.sendable_for);
    retry.manual_start = manual_start;
    retry.created_by = Some(caller.name.clone());
    api.require_approval(&mut retry).await?;
    api.campaigns.create_once(&retry).await?;
    api.enqueue_job(&retry.id, Some(Job::Import)).await?;
    let view = CampaignStateView::new(&retry.id, retry.state(now));
    Ok((StatusCode::CREATED, Json(view)))
}

impl NewRetry {
    fn into_selection(self) -> Result<RetrySelection, Problem> {
        let states = self.states.unwrap_or(RetrySelection::DEFAULT.to_vec());
        if states.is_empty() {
            let detail = "must name a state; leave it out for rejected and undelivered rows";
            return Err(Problem::invalid_field("/states", detail));
        }
        let codes = self.codes;
        Ok(RetrySelection { states, codes }.normalized())
    }
}

/// With `retry_undelivered`, a message that is reported as undelivered may be sent again by the campaign itself.
fn refuse_undelivered_if_sent_anyway(
    campaign: &Campaign,
    selection: &RetrySelection,
    now: Millis,
) -> Result<(), Problem> {
    let is_chosen = selection.states.contains(&RetryState::Undelivered);
    if is_chosen && campaign.policy.retry_undelivered && !campaign.has_ended(now) {
        let detail = "the campaign sends undelivered messages again by itself (retry_undelivered); choose other states";
        return Err(Problem::conflict(detail));
    }
    Ok(())
}

/// Notes the retry with the campaign first, so that two requests at once do not send the same rows twice. A request that is
/// repeated gets the campaign of the first one until that is closed; if the first one died before it created the campaign,
/// the second one does.
async fn link_retry(
    api: &Api,
    caller: &Caller,
    campaign: &Campaign,
    selection: RetrySelection,
    allow_repeat: bool,
    now: Millis,
) -> Result<RetryLink, Problem> {
    let same = campaign
        .retries
        .iter()
        .rfind(|link| link.selection == selection);
    if let Some(link) = same {
        let earlier = api.campaigns.get(&link.campaign).await?;
        if !earlier.is_some_and(|earlier| earlier.is_closed()) {
            return Ok(link.clone());
        }
    }
    let link = RetryLink {
        campaign: new_campaign_id()?,
        selection,
    };
    let event = Event::Retry {
        link: link.clone(),
        allow_repeat,
    };
    let applied = api.apply(caller, campaign, &event, now).await?;
    applied.map_err(Problem::from)?;
    Ok(link)
}

fn retry_campaign(
    campaign: &Campaign,
    link: &RetryLink,
    now: Millis,
    sendable_for: Millis,
) -> Campaign {
    let id: CampaignId = link.campaign.clone();
    let info = FileInfo {
        name: format!("rows of {}", campaign.id),
        size: 0,
    };
    let name = format!("Retry of {}", campaign.name);
    let mut retry = Campaign::new(id, name, campaign.message.clone(), info, now);
    retry.files[0].options.phone_columns = vec![RETRY_PHONE_COLUMN.into()];
    retry.files[0].options.header = Some(true);
    Campaign {
        sendable_until: now + sendable_for,
        fallback: campaign.fallback.clone(),
        outside_service_window: campaign.outside_service_window,
        numbers: campaign.numbers.clone(),
        allow_repeat: true,
        policy: campaign.policy,
        schedule: Schedule {
            window: campaign.schedule.window.clone(),
            ..Schedule::default()
        },
        template: campaign.template.clone(),
        retry_of: Some(RetryLink {
            campaign: campaign.id.clone(),
            selection: link.selection.clone(),
        }),
        ..retry
    }
}
