//! What is known of the account: its limits, and what Meta said of it lately.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::problem::Problem;
use crate::view::format_time;

/// Notices that are shown.
const MAX_ACCOUNT_EVENTS: i32 = 100;

/// The account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// Messages a second that are sent at most.
    pub budget: u32,
    /// What Meta said of templates, the number and the account, newest first.
    pub events: Vec<AccountEventView>,
}

/// A notice.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountEventView {
    /// When.
    pub at: String,
    /// The webhook's field, such as `account_update`.
    pub field: String,
    /// What happened, as Meta names it, such as `THROUGHPUT_UPGRADE`.
    pub event: String,
    /// A sentence, with what to do where there is something.
    pub text: String,
}

/// Shows what Meta said of templates, the number and the account. Campaigns that a notice stops are paused, with its text as
/// their reason.
#[utoipa::path(
    get, path = "/v1/account",
    responses((status = 200, body = AccountView), (status = 401, body = Problem))
)]
pub async fn show(State(api): State<Arc<Api>>) -> Result<Json<AccountView>, Problem> {
    let notices = api.account_events.list_latest(MAX_ACCOUNT_EVENTS).await?;
    let view = |noted: cloud::account_events::StoredAccountEvent| AccountEventView {
        at: format_time(noted.at),
        field: noted.field,
        event: noted.event,
        text: noted.text,
    };
    Ok(Json(AccountView {
        budget: api.messages_per_second,
        events: notices.into_iter().map(view).collect(),
    }))
}
