//! Start, pause, resume, cancel and continue.

use axum::Json;
use axum::extract::State;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, PausedBy};
use campaign::lifecycle::event::{ApprovalEvent, Conflict, Event, Job};
use campaign::lifecycle::progress::compute_progress;
use campaign::time::Millis;
use cloud::campaigns::Change;
use cloud::import_queue::{ImportJob, Position};
use std::sync::Arc;

use crate::Api;
use crate::caller::Caller;
use crate::extract::CampaignPath;
use crate::openapi::{Conflict as ConflictError, NotFound, RequestErrors};
use crate::problem::Problem;
use crate::view::CampaignStateView;

const OPERATOR_PAUSED: &str = "An operator paused it. POST /v1/campaigns/{id}/resume lets it go on, /cancel skips the remaining rows.";

/// Starts a campaign that was created with `manual_start`.
///
/// If its `not_before` is still to come, it starts then. A campaign that has started already stays as it is.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/start", operation_id = "startCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The campaign has started or is scheduled"),
        RequestErrors, NotFound, ConflictError)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn start_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    // A draft of the time before the setting waits for an approval, too.
    if api.settings.get_latest().await?.approval_required {
        let event = Event::Approval(ApprovalEvent::Require);
        let applied = api.campaigns.apply_to(&id, &event, cloud::now()).await?;
        applied.map_err(Problem::from)?;
    }
    execute_command(&api, &caller, &id, Event::Start).await
}

/// Pauses a campaign.
///
/// No new message is sent later than two seconds after the answer. Nothing is lost.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/pause", operation_id = "pauseCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The campaign is paused"),
        RequestErrors, NotFound, ConflictError)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn pause_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    let event = Event::Pause {
        reason: OPERATOR_PAUSED.to_owned(),
        by: PausedBy::Operator,
        caused_at: None,
    };
    execute_command(&api, &caller, &id, event).await
}

/// Resumes a paused campaign: unsettled rows are enqueued again.
///
/// A campaign that waits for its start, its schedule or the canary still waits for it.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/resume", operation_id = "resumeCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The campaign goes on"),
        RequestErrors, NotFound, ConflictError)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn resume_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, &caller, &id, Event::Resume).await
}

/// Cancels a campaign for good: the rows that were not sent are skipped.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/cancel", operation_id = "cancelCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The campaign is cancelled"),
        RequestErrors, NotFound, ConflictError)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn cancel_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, &caller, &id, Event::Cancel).await
}

/// Sends the rows that waited for the canary rows.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/continue", operation_id = "continueCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The other rows are being sent"),
        RequestErrors, NotFound, ConflictError)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn continue_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, &caller, &id, Event::Continue).await
}

/// Stores the decision first, then enqueues the job. If the job is lost in between, the same command repairs it, and so does
/// the reconciler.
async fn execute_command(
    api: &Api,
    caller: &Caller,
    id: &CampaignId,
    event: Event,
) -> Result<Json<CampaignStateView>, Problem> {
    let counters = api.counters.sum(id).await?;
    let campaign = api.find_campaign(id).await?;
    let now = cloud::now();
    let progress = compute_progress(&campaign, counters, campaign.budget(api.tps_budget), now);
    if progress.finished && event != Event::Start {
        let detail = "the campaign is finished: no row is left to send";
        return Err(Problem::conflict(detail));
    }
    let change = api.apply(caller, &campaign, &event, now).await?;
    let change = change.map_err(|conflict| match conflict {
        Conflict::NotAllowed(_) => {
            let state = campaign.state(now).name();
            Problem::conflict(format!("the campaign is {state}: {conflict}"))
        }
        _ => conflict.into(),
    })?;
    api.enqueue_job(id, change.job).await?;
    let state = change.campaign.state(now);
    Ok(Json(CampaignStateView::new(id, state)))
}

impl Api {
    /// Applies an event to a campaign, and notes the versions before and after for the audit log.
    pub(crate) async fn apply(
        &self,
        caller: &Caller,
        campaign: &Campaign,
        event: &Event,
        now: Millis,
    ) -> Result<Result<Change, Conflict>, cloud::Error> {
        let event = Event::By {
            who: caller.name.clone(),
            event: Box::new(event.clone()),
        };
        let applied = self.campaigns.apply(campaign, &event, now).await?;
        if let Ok(change) = &applied {
            let after = change.campaign.version;
            let before = after - u64::from(change.is_changed);
            caller.note_changed(&campaign.id, before, after);
        }
        Ok(applied)
    }

    /// Applies an event that was decided on this very version of the campaign. Returns whether it changed the campaign; it does
    /// not if another change came first.
    pub(crate) async fn apply_if_unchanged(
        &self,
        caller: &Caller,
        campaign: &Campaign,
        event: Event,
        now: Millis,
    ) -> Result<bool, cloud::Error> {
        let event = Event::By {
            who: caller.name.clone(),
            event: Box::new(event),
        };
        let is_changed = self
            .campaigns
            .apply_if_unchanged(campaign, &event, now)
            .await?;
        if is_changed {
            caller.note_changed(&campaign.id, campaign.version, campaign.version + 1);
        }
        Ok(is_changed)
    }

    /// Gives the splitter the work that follows from a change.
    pub(crate) async fn enqueue_job(
        &self,
        id: &CampaignId,
        job: Option<Job>,
    ) -> Result<(), cloud::Error> {
        let job = match job {
            Some(Job::Import) => ImportJob::resume(id.clone()),
            Some(Job::Requeue) => ImportJob::requeue(id.clone(), Position::default()),
            None => return Ok(()),
        };
        self.import_queue.enqueue(&job).await
    }
}
