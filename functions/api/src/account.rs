//! The account: the send budget and Meta's latest events about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::import::preview::DailyLimit;
use campaign::time::Millis;
use cloud::account_events::StoredAccountEvent;
use serde::Serialize;
use utoipa::ToSchema;
use whatsapp::account::NumberFacts;

use crate::Api;
use crate::openapi::RequestErrors;
use crate::problem::Problem;
use crate::templates::{MAX_AGE_MS, daily_limit_number};
use crate::time::format_time;

/// Events of one answer.
const MAX_ACCOUNT_EVENTS: i32 = 100;

/// The account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// The send budget: messages per second, at most.
    pub budget: u32,
    /// The number that messages are sent from, as Meta describes it; null while Meta cannot be asked.
    pub number: Option<NumberView>,
    /// Meta's events about templates, the number and the account, newest first.
    pub events: Vec<AccountEventView>,
}

/// A number, as Meta describes it.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberView {
    /// The number.
    #[schema(example = "+1 555-0100")]
    pub phone: Option<String>,
    /// The name that recipients see.
    pub name: Option<String>,
    /// Meta's rating of what recipients think of its messages: `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality: Option<String>,
    /// Meta's throughput level: `STANDARD` (80 messages a second) or `HIGH` (1,000), for example.
    pub throughput: Option<String>,
    /// Meta's status, such as `CONNECTED`, `FLAGGED` or `RESTRICTED`.
    pub status: Option<String>,
    /// How many recipients it may start to message in 24 hours; null for no limit, or if Meta does not say.
    pub daily_limit: Option<u64>,
    /// Whether Meta says how many; if so, null means that there is no limit.
    pub daily_limit_known: bool,
    /// When Meta was asked; at most ten minutes ago, while Meta answers.
    #[schema(format = DateTime)]
    pub asked_at: String,
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

/// Gets the send budget, the number with its quality and limit, and Meta's latest events about templates, the number and the account.
///
/// An event that prevents sending pauses the campaigns; their `reason` is then its text.
#[utoipa::path(
    get, path = "/v1/account", operation_id = "getAccount", tag = "account",
    responses((status = 200, body = AccountView, description = "The account"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn get_account(State(api): State<Arc<Api>>) -> Result<Json<AccountView>, Problem> {
    let events = api.account_events.list_latest(MAX_ACCOUNT_EVENTS).await?;
    // The rest is useful also where Meta cannot be asked.
    let facts = api.account_facts(MAX_AGE_MS).await.ok();
    let view = |event: StoredAccountEvent| AccountEventView {
        at: format_time(event.at),
        field: event.field,
        event: event.event,
        text: event.text,
    };
    Ok(Json(AccountView {
        budget: api.tps_budget,
        number: facts.map(|facts| NumberView::new(facts.number, facts.asked_at)),
        events: events.into_iter().map(view).collect(),
    }))
}

impl NumberView {
    /// What Meta said at `asked_at`.
    pub(crate) fn new(number: NumberFacts, asked_at: Millis) -> Self {
        Self {
            phone: number.phone,
            name: number.name,
            quality: number.quality,
            throughput: number.throughput,
            status: number.status,
            daily_limit: daily_limit_number(number.daily_limit),
            daily_limit_known: number.daily_limit != DailyLimit::Unknown,
            asked_at: format_time(asked_at),
        }
    }
}
