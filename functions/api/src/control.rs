//! Stop and go: pause, resume, cancel, continue.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use campaign::lifecycle::control::{Command, CommandEffect, apply_command};
use campaign::lifecycle::progress::compute_progress;
use cloud::import_queue::{ImportJob, Position};

use crate::Api;
use crate::campaigns::find_campaign;
use crate::problem::Problem;
use crate::view::CampaignStateView;

/// How often an order is tried where the campaign changes in the same moment.
const MAX_ATTEMPTS: usize = 3;

/// Stops a campaign: two seconds after the answer at the latest no new call starts. Nothing is lost.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/pause", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignStateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn pause(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, id, Command::Pause).await
}

/// Goes on where a pause stopped: every row that is not settled is offered again.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/resume", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignStateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn resume(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, id, Command::Resume).await
}

/// Gives a campaign up for good: what was not sent ends as skipped.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/cancel", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignStateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn cancel(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, id, Command::Cancel).await
}

/// The canary rows went well: the rest follows.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/continue", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignStateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn go_on(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<CampaignStateView>, Problem> {
    execute_command(&api, id, Command::Continue).await
}

/// Changes the state first, then tells the splitter: where the second is lost, the same order again repairs it, and so
/// does the sweep.
async fn execute_command(
    api: &Api,
    id: String,
    order: Command,
) -> Result<Json<CampaignStateView>, Problem> {
    for _ in 0..MAX_ATTEMPTS {
        let campaign = find_campaign(api, &id).await?;
        let counters = api.counters.sum(&campaign.id).await?;
        let now = cloud::now();
        let finished = compute_progress(&campaign, counters, api.messages_per_second, now).finished;
        let step = apply_command(&campaign, finished, order, now).map_err(|why| {
            let state = if finished {
                "finished"
            } else {
                campaign.state.name()
            };
            Problem::conflict(format!("the campaign is {state}: {why}"))
        })?;
        let state = match step {
            CommandEffect::AlreadyDone => campaign.state,
            CommandEffect::Enter(to) => {
                if !apply_transition(api, &campaign, order, to).await? {
                    continue;
                }
                to
            }
        };
        if let Some(order) = import_job(&campaign, order) {
            api.import_queue.enqueue(&order, Duration::ZERO).await?;
        }
        let state = state.name();
        return Ok(Json(CampaignStateView { id, state }));
    }
    Err(Problem::conflict(
        "the campaign changes all the time; look at it and try again",
    ))
}

async fn apply_transition(
    api: &Api,
    campaign: &Campaign,
    order: Command,
    to: CampaignState,
) -> Result<bool, cloud::Error> {
    if order == Command::Continue {
        return api.campaigns.release_remainder(&campaign.id).await;
    }
    let reason = match order {
        Command::Pause => Some(
            "An operator paused it. POST /v1/campaigns/{id}/resume goes on, /cancel gives it up.",
        ),
        Command::Cancel => Some("An operator cancelled it."),
        Command::Resume | Command::Continue => None,
    };
    api.campaigns
        .transition(&campaign.id, to, &[campaign.state], reason)
        .await
}

fn import_job(campaign: &Campaign, order: Command) -> Option<ImportJob> {
    let id = campaign.id.clone();
    match order {
        Command::Pause => None,
        Command::Resume | Command::Cancel => Some(ImportJob::requeue(id, Position::default())),
        Command::Continue => Some(ImportJob::resume(id)),
    }
}
