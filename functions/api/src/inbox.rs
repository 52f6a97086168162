//! The inbox: what people wrote, and which campaign they answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use cloud::inbox::{Cursor, InboundMessage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::create::parse_time;
use crate::problem::Problem;
use crate::view::format_time;

/// Messages of a list, unless asked otherwise, and at most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Which messages to list.
#[derive(Debug, Deserialize, IntoParams)]
pub struct ListInboxQuery {
    /// Only messages that came then or later (RFC 3339); all that are kept unless said.
    since: Option<String>,
    /// Where the list before ended: its `next`.
    after: Option<String>,
    /// How many; 100 unless said, 1000 at most.
    limit: Option<usize>,
}

/// Messages, in the order in which they came.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboxList {
    /// The messages.
    pub messages: Vec<InboundMessageView>,
    /// What to give as `after` for what follows, also for what comes later; none where nothing is listed.
    pub next: Option<String>,
}

/// What somebody wrote.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboundMessageView {
    /// Its id.
    pub id: String,
    /// When it came.
    pub received_at: String,
    /// When it was written.
    pub written_at: String,
    /// From whom; none where WhatsApp does not say.
    pub phone: Option<String>,
    /// From whom, as WhatsApp calls them.
    pub user_id: Option<String>,
    /// What they call themselves.
    pub name: Option<String>,
    /// `text`, `image`, `button` … as the Cloud API has it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The words in it.
    pub text: Option<String>,
    /// What the button or list entry stands for.
    pub payload: Option<String>,
    /// The campaign it is an answer to.
    pub campaign: Option<String>,
    /// The row in it.
    pub row: Option<u32>,
    /// `context`: it quotes that row's message; `latest`: nobody else wrote to them since.
    pub attribution: Option<String>,
    /// The message object of the callback.
    #[schema(value_type = Object)]
    pub message: Value,
}

/// Lists what people wrote, in the order in which it came.
#[utoipa::path(
    get, path = "/v1/inbox", params(ListInboxQuery),
    responses((status = 200, body = InboxList), (status = 401, body = Problem), (status = 422, body = Problem))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Query(listing): Query<ListInboxQuery>,
) -> Result<Json<InboxList>, Problem> {
    let since = parse_time(listing.since.as_deref(), "/since")?.unwrap_or(0);
    let after = match listing.after.as_deref() {
        Some(place) => parse_cursor(place)?,
        None => Cursor {
            received_at: since,
            id: String::new(),
        },
    };
    let limit = listing.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let letters = api.inbox.list(&after, cloud::now(), limit).await?;
    let next = letters
        .last()
        .map(|last| format!("{}.{}", last.received_at, last.id))
        .or(listing.after);
    Ok(Json(InboxList {
        messages: letters.into_iter().map(message_view).collect(),
        next,
    }))
}

fn parse_cursor(place: &str) -> Result<Cursor, Problem> {
    let parts = place.split_once('.');
    let place = parts.and_then(|(at, id)| {
        Some(Cursor {
            received_at: at.parse().ok()?,
            id: id.to_owned(),
        })
    });
    place.ok_or_else(|| Problem::invalid_field("/after", "must be the `next` of a list"))
}

fn message_view(letter: InboundMessage) -> InboundMessageView {
    InboundMessageView {
        id: letter.id,
        received_at: format_time(letter.received_at),
        written_at: format_time(letter.written_at),
        phone: letter.phone.map(|phone| phone.to_string()),
        user_id: letter.user_id,
        name: letter.name,
        kind: letter.kind,
        text: letter.text,
        payload: letter.payload,
        campaign: letter.campaign.map(|campaign| campaign.to_string()),
        row: letter.row,
        attribution: letter.attribution,
        message: serde_json::from_str(&letter.raw).unwrap_or_default(),
    }
}
