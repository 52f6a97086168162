//! The inbox: messages that recipients wrote, and the campaign and row that they answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cloud::inbox::{Cursor, InboundMessage, message_key};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::extract::{Limit, Query};
use crate::openapi::{Attribution, RequestErrors};
use crate::problem::Problem;
use crate::time::{format_time, parse_time};

/// Messages of one list.
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

/// The query of `GET /v1/inbox`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListInboxQuery {
    /// Only messages received at this time or later (RFC 3339); by default all that are stored.
    #[param(format = DateTime, example = "2026-12-01T08:00:00Z")]
    since: Option<String>,
    /// Where the previous list ended: its `next`.
    #[param(
        pattern = r"^[0-9]{1,13}\.[A-Za-z0-9._=+/-]*$",
        example = "1796112000000.9f86d081884c7d65"
    )]
    after: Option<String>,
    /// How many messages to list; 100 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Limit<MAX_LIMIT>>,
}

/// Messages, in the order in which they were received.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboxList {
    /// The messages.
    pub messages: Vec<InboundMessageView>,
    /// The `after` of the next list, also for messages that are received later; null if nothing is listed.
    pub next: Option<String>,
}

/// A message that a recipient wrote.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboundMessageView {
    /// Its message id.
    pub id: String,
    /// When it was received.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// When it was written.
    #[schema(format = DateTime)]
    pub written_at: String,
    /// The number of its sender; null if WhatsApp does not tell it.
    pub phone: Option<String>,
    /// WhatsApp's id of its sender.
    pub user_id: Option<String>,
    /// The name that its sender uses on WhatsApp.
    pub name: Option<String>,
    /// The Cloud API's type of the message, such as `text`, `image` or `button`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its text.
    pub text: Option<String>,
    /// The payload of the button or list entry.
    pub payload: Option<String>,
    /// The campaign that it answers.
    pub campaign: Option<String>,
    /// The row that it answers.
    pub row: Option<u32>,
    /// How the campaign and the row are known.
    #[schema(value_type = Option<Attribution>)]
    pub attribution: Option<String>,
    /// The message object of the callback.
    #[schema(value_type = Object)]
    pub message: Value,
}

/// Lists messages that recipients wrote, in the order in which they were received.
#[utoipa::path(
    get, path = "/v1/inbox", operation_id = "listInbox", tag = "inbox",
    params(ListInboxQuery),
    responses((status = 200, body = InboxList, description = "Messages, oldest first"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_inbox(
    State(api): State<Arc<Api>>,
    Query(query): Query<ListInboxQuery>,
) -> Result<Json<InboxList>, Problem> {
    let after = match (&query.after, &query.since) {
        (Some(cursor), _) => parse_cursor(cursor)?,
        (None, since) => start_cursor(since.as_deref())?,
    };
    let limit = query.limit.map_or(DEFAULT_LIMIT, |Limit(limit)| limit);
    let messages = api.inbox.list(&after, cloud::now(), limit as usize).await?;
    let next = messages
        .last()
        .map(|last| format_cursor(&Cursor::of(last)))
        .or(query.after);
    Ok(Json(InboxList {
        messages: messages.into_iter().map(message_view).collect(),
        next,
    }))
}

fn start_cursor(since: Option<&str>) -> Result<Cursor, Problem> {
    let received_at = since
        .map(parse_time)
        .transpose()
        .map_err(|detail| Problem::invalid_parameter("since", detail))?;
    Ok(Cursor {
        received_at: received_at.unwrap_or(0),
        key: String::new(),
    })
}

pub(crate) fn format_cursor(cursor: &Cursor) -> String {
    format!("{}.{}", cursor.received_at, cursor.key)
}

pub(crate) fn parse_cursor(text: &str) -> Result<Cursor, Problem> {
    let parts = text.split_once('.');
    let cursor = parts.and_then(|(received_at, id)| {
        Some(Cursor {
            received_at: received_at.parse().ok()?,
            // Programs may still have a cursor of an earlier version, with the message's id in it.
            key: match id.starts_with("wamid.") {
                true => message_key(id),
                false => id.to_owned(),
            },
        })
    });
    cursor.ok_or_else(|| {
        let detail = "must be the `next` of a list; copy it from there";
        Problem::invalid_parameter("after", detail)
    })
}

pub(crate) fn message_view(message: InboundMessage) -> InboundMessageView {
    InboundMessageView {
        id: message.id,
        received_at: format_time(message.received_at),
        written_at: format_time(message.written_at),
        phone: message.phone.map(|phone| phone.to_string()),
        user_id: message.user_id,
        name: message.name,
        kind: message.kind,
        text: message.text,
        payload: message.payload,
        campaign: message.campaign.map(|campaign| campaign.to_string()),
        row: message.row,
        attribution: message.attribution,
        message: serde_json::from_str(&message.raw).unwrap_or_default(),
    }
}
