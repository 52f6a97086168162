//! Start, pause, resume, cancel and continue.

use axum::Json;
use axum::extract::State;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use campaign::lifecycle::control::{Command, CommandEffect, apply_command, apply_start};
use campaign::lifecycle::progress::compute_progress;
use cloud::import_queue::{ImportJob, Position};
use std::sync::Arc;

use crate::Api;
use crate::extract::CampaignPath;
use crate::openapi::{Conflict, NotFound, RequestErrors};
use crate::problem::Problem;
use crate::view::CampaignStateView;

/// How often a command is tried when the campaign changes at the same moment.
const MAX_ATTEMPTS: usize = 3;

/// Starts a campaign that was created with `manual_start`.
///
/// If its `not_before` is still to come, it starts then. A campaign that has started already stays as it is.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/start", operation_id = "startCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The campaign has started or is scheduled"),
        RequestErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn start_campaign(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    let campaign = api.find_campaign(&id).await?;
    let state = match apply_start(&campaign, cloud::now()).map_err(Problem::conflict)? {
        CommandEffect::AlreadyDone => campaign.state,
        CommandEffect::Enter(to) => {
            api.campaigns
                .transition(&id, to, &[CampaignState::Ready], None)
                .await?;
            to
        }
    };
    if state == CampaignState::Enqueuing {
        let job = ImportJob::resume(id.clone());
        api.import_queue.enqueue(&job).await?;
    }
    Ok(Json(CampaignStateView::new(&id, state)))
}

/// Pauses a campaign.
///
/// No new message is sent later than two seconds after the answer. Nothing is lost.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/pause", operation_id = "pauseCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The campaign is paused"),
        RequestErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn pause_campaign(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, &id, Command::Pause).await
}

/// Resumes a paused campaign: every row without a final state is enqueued again.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/resume", operation_id = "resumeCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The campaign goes on"),
        RequestErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn resume_campaign(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, &id, Command::Resume).await
}

/// Cancels a campaign for good: the rows that were not sent are skipped.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/cancel", operation_id = "cancelCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The campaign is cancelled"),
        RequestErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn cancel_campaign(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, &id, Command::Cancel).await
}

/// Sends the rows that waited for the canary rows.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/continue", operation_id = "continueCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignStateView, description = "The other rows are being sent"),
        RequestErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn continue_campaign(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, &id, Command::Continue).await
}

/// Changes the state first, then enqueues the job. If the job is lost in between, the same command repairs it, and so does
/// the reconciler.
async fn execute_command(
    api: &Api,
    id: &CampaignId,
    command: Command,
) -> Result<Json<CampaignStateView>, Problem> {
    for _ in 0..MAX_ATTEMPTS {
        let campaign = api.find_campaign(id).await?;
        let state = match command_effect(api, &campaign, command).await? {
            CommandEffect::AlreadyDone => campaign.state,
            CommandEffect::Enter(to) => {
                if !apply_transition(api, &campaign, command, to).await? {
                    cloud::sometimes!("a command that lost a race is decided again");
                    continue;
                }
                to
            }
        };
        if let Some(job) = import_job(id, command) {
            api.import_queue.enqueue(&job).await?;
        }
        return Ok(Json(CampaignStateView::new(id, state)));
    }
    Err(Problem::conflict(
        "the campaign changed during each attempt; GET it and try again",
    ))
}

async fn command_effect(
    api: &Api,
    campaign: &Campaign,
    command: Command,
) -> Result<CommandEffect, Problem> {
    let counters = api.counters.sum(&campaign.id).await?;
    let now = cloud::now();
    let progress = compute_progress(campaign, counters, api.tps_budget, now);
    apply_command(campaign, progress.finished, command, now).map_err(|reason| {
        let state = match progress.finished {
            true => "finished",
            false => campaign.state.name(),
        };
        Problem::conflict(format!("the campaign is {state}: {reason}"))
    })
}

async fn apply_transition(
    api: &Api,
    campaign: &Campaign,
    command: Command,
    to: CampaignState,
) -> Result<bool, cloud::Error> {
    let reason = match command {
        Command::Continue => return api.campaigns.release_remainder(&campaign.id).await,
        Command::Pause => Some(
            "An operator paused it. POST /v1/campaigns/{id}/resume sends the remaining rows, /cancel skips them.",
        ),
        Command::Cancel => Some("An operator cancelled it."),
        Command::Resume => None,
    };
    api.campaigns
        .transition(&campaign.id, to, &[campaign.state], reason)
        .await
}

fn import_job(id: &CampaignId, command: Command) -> Option<ImportJob> {
    match command {
        Command::Pause => None,
        Command::Resume | Command::Cancel => {
            Some(ImportJob::requeue(id.clone(), Position::default()))
        }
        Command::Continue => Some(ImportJob::resume(id.clone())),
    }
}
