//! Approval by a second person: ask for it, give it, take it back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::id::CampaignId;
use campaign::lifecycle::approval::check_second_person;
use campaign::lifecycle::event::{ApprovalEvent, Event};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{JsonBody, OptionalJsonBody};
use crate::caller::Caller;
use crate::campaign_page::ApprovalView;
use crate::extract::CampaignPath;
use crate::openapi::{BodyErrors, Conflict, NotFound, RequestErrors};
use crate::problem::Problem;

/// The most characters of a note.
const MAX_NOTE_CHARS: usize = 500;

/// What `POST /v1/campaigns/{id}/approval-request` takes; an empty body stands for `{}`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApprovalRequest {
    /// What the other person should know; up to 500 characters.
    #[schema(max_length = 500, example = "Please look at the second paragraph")]
    note: Option<String>,
}

/// What `POST /v1/campaigns/{id}/approval` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApproval {
    /// The `approval.hash` of the campaign as you saw it.
    #[schema(
        pattern = "^[0-9a-f]{64}$",
        example = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )]
    hash: String,
}

/// Asks a second person to approve a campaign that waits for its start.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/approval-request", operation_id = "requestApproval", tag = "campaigns",
    params(CampaignPath), request_body = Option<NewApprovalRequest>,
    responses((status = 200, body = ApprovalView, description = "The approval is asked for"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn request_approval(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
    OptionalJsonBody(NewApprovalRequest { note }): OptionalJsonBody<NewApprovalRequest>,
) -> Result<Json<ApprovalView>, Problem> {
    let length = note.as_ref().map_or(0, |note| note.chars().count());
    if length > MAX_NOTE_CHARS {
        let detail = format!("must have at most {MAX_NOTE_CHARS} characters; shorten it");
        return Err(Problem::invalid_field("/note", detail));
    }
    let by = caller.name.clone();
    change(&api, &caller, &id, ApprovalEvent::Request { by, note }).await
}

/// Approves exactly what a campaign would send now.
///
/// Whoever created it, changed it last or asked for the approval cannot give it. Once anything changes that would be sent, or
/// when, the approval is void.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/approval", operation_id = "giveApproval", tag = "campaigns",
    params(CampaignPath), request_body = NewApproval,
    responses((status = 200, body = ApprovalView, description = "The campaign is approved"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn give_approval(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
    JsonBody(NewApproval { hash }): JsonBody<NewApproval>,
) -> Result<Json<ApprovalView>, Problem> {
    let campaign = api.find_campaign(&id).await?;
    check_second_person(&campaign, &caller.name).map_err(Problem::second_person_needed)?;
    let by = caller.name.clone();
    change(&api, &caller, &id, ApprovalEvent::Give { by, hash }).await
}

/// Takes the request and the approval back, as long as the campaign has not started.
#[utoipa::path(
    delete, path = "/v1/campaigns/{id}/approval", operation_id = "withdrawApproval", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = ApprovalView, description = "There is no approval any more"),
        RequestErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn withdraw_approval(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<ApprovalView>, Problem> {
    change(&api, &caller, &id, ApprovalEvent::Withdraw).await
}

async fn change(
    api: &Api,
    caller: &Caller,
    id: &CampaignId,
    event: ApprovalEvent,
) -> Result<Json<ApprovalView>, Problem> {
    let campaign = api.find_campaign(id).await?;
    let event = Event::Approval(event);
    let applied = api.apply(caller, &campaign, &event, cloud::now()).await?;
    let campaign = applied.map_err(Problem::from)?.campaign;
    Ok(Json(ApprovalView::new(&campaign, &caller.name)))
}
