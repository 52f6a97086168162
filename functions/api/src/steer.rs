//! Stop and go: pause, resume, cancel, continue.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use campaign::progress::progress;
use campaign::record::{Campaign, CampaignState};
use campaign::steer::{Order, Steer, steer};
use cloud::splits::{Position, SplitOrder};

use crate::Api;
use crate::campaigns::find;
use crate::problem::Problem;
use crate::view::StateView;

/// How often an order is tried where the campaign changes in the same moment.
const TRIES: usize = 3;

/// Stops a campaign: two seconds after the answer at the latest no new call starts. Nothing is lost.
#[utoipa::path(
    post, path = "/campaigns/{id}/pause", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = StateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn pause(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<StateView>, Problem> {
    order(&api, id, Order::Pause).await
}

/// Goes on where a pause stopped: every row that is not settled is offered again.
#[utoipa::path(
    post, path = "/campaigns/{id}/resume", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = StateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn resume(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<StateView>, Problem> {
    order(&api, id, Order::Resume).await
}

/// Gives a campaign up for good: what was not sent ends as skipped.
#[utoipa::path(
    post, path = "/campaigns/{id}/cancel", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = StateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn cancel(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<StateView>, Problem> {
    order(&api, id, Order::Cancel).await
}

/// The canary rows went well: the rest follows.
#[utoipa::path(
    post, path = "/campaigns/{id}/continue", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = StateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn go_on(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<StateView>, Problem> {
    order(&api, id, Order::Continue).await
}

/// Changes the state first, then tells the splitter: where the second is lost, the same order again repairs it, and so
/// does the sweep.
async fn order(api: &Api, id: String, order: Order) -> Result<Json<StateView>, Problem> {
    for _ in 0..TRIES {
        let campaign = find(api, &id).await?;
        let counters = api.counters.total(&campaign.id).await?;
        let now = cloud::now();
        let finished = progress(&campaign, counters, api.budget, now).finished;
        let step = steer(&campaign, finished, order, now).map_err(|why| {
            let state = if finished {
                "finished"
            } else {
                campaign.state.name()
            };
            Problem::conflict(format!("the campaign is {state}: {why}"))
        })?;
        let state = match step {
            Steer::Already => campaign.state,
            Steer::Enter(to) => {
                if !enter(api, &campaign, order, to).await? {
                    continue;
                }
                to
            }
        };
        if let Some(order) = split_order(&campaign, order) {
            api.splits.order(&order, Duration::ZERO).await?;
        }
        let state = state.name();
        return Ok(Json(StateView { id, state }));
    }
    Err(Problem::conflict(
        "the campaign changes all the time; look at it and try again",
    ))
}

async fn enter(
    api: &Api,
    campaign: &Campaign,
    order: Order,
    to: CampaignState,
) -> Result<bool, cloud::Error> {
    if order == Order::Continue {
        return api.campaigns.release(&campaign.id).await;
    }
    let reason = match order {
        Order::Pause => {
            Some("An operator paused it. POST /campaigns/{id}/resume goes on, /cancel gives it up.")
        }
        Order::Cancel => Some("An operator cancelled it."),
        Order::Resume | Order::Continue => None,
    };
    api.campaigns
        .enter(&campaign.id, to, &[campaign.state], reason)
        .await
}

fn split_order(campaign: &Campaign, order: Order) -> Option<SplitOrder> {
    let id = campaign.id.clone();
    match order {
        Order::Pause => None,
        Order::Resume | Order::Cancel => Some(SplitOrder::offer(id, Position::default())),
        Order::Continue => Some(SplitOrder::go_on(id)),
    }
}
