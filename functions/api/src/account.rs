//! The account: the send budget and Meta's latest events about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cloud::account_events::StoredAccountEvent;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::openapi::RequestErrors;
use crate::problem::Problem;
use crate::time::format_time;

/// Events of one answer.
const MAX_ACCOUNT_EVENTS: i32 = 100;

/// The account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// The send budget: messages per second, at most.
    pub budget: u32,
    /// Meta's events about templates, the number and the account, newest first.
    pub events: Vec<AccountEventView>,
}

/// An event about the account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountEventView {
    /// When it happened.
    #[schema(format = DateTime)]
    pub at: String,
    /// The field of Meta's webhook, such as `account_update`.
    pub field: String,
    /// Meta's name of the event, such as `THROUGHPUT_UPGRADE`.
    pub event: String,
    /// The event as a sentence, with what to do about it.
    pub text: String,
}

/// Gets the send budget and Meta's latest events about templates, the number and the account.
///
/// An event that prevents sending pauses the campaigns; their `reason` is then its text.
#[utoipa::path(
    get, path = "/v1/account", operation_id = "getAccount", tag = "account",
    responses((status = 200, body = AccountView, description = "The account"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn get_account(State(api): State<Arc<Api>>) -> Result<Json<AccountView>, Problem> {
    let events = api.account_events.list_latest(MAX_ACCOUNT_EVENTS).await?;
    let view = |event: StoredAccountEvent| AccountEventView {
        at: format_time(event.at),
        field: event.field,
        event: event.event,
        text: event.text,
    };
    Ok(Json(AccountView {
        budget: api.tps_budget,
        events: events.into_iter().map(view).collect(),
    }))
}
