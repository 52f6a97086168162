//! Conversations with recipients: the latest ones, the messages of one, and replies.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::contacts::contact::Contact;
use campaign::delivery::batch::Row;
use campaign::id::{CampaignId, REPLY_PREFIX};
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::Campaign;
use campaign::message::Message;
use campaign::time::Millis;
use cloud::contacts::{ContactKey, contact_id};
use cloud::inbox::{Conversations, InboundMessage, SentReply};
use cloud::tokens::TokenHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::conversation_view::{ConversationMessageView, message_views};
use crate::extract::{Limit, PhonePath, Query};
use crate::inbox::{InboundMessageView, format_cursor, message_view, parse_cursor};
use crate::message_schema::MessageSchema;
use crate::new_message::{check_recipient, parse_message};
use crate::openapi::{BodyErrors, Conflict, NotFound, PhoneErrors, RequestErrors};
use crate::problem::Problem;
use crate::time::{format_time, parse_time};
use crate::view::CampaignStateView;

/// Conversations of one list.
const DEFAULT_CONVERSATIONS: u32 = 30;
const MAX_CONVERSATIONS: u32 = 100;

/// Messages of one list.
const DEFAULT_MESSAGES: u32 = 50;
const MAX_MESSAGES: u32 = 200;

/// The characters of the id that a client gives a reply.
const REQUEST_ID_CHARS: std::ops::RangeInclusive<usize> = 8..=64;

/// The query of `GET /v1/conversations`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListConversationsQuery {
    /// Where the previous list ended: its `next`.
    #[param(
        pattern = r"^[0-9]{1,13}\.[A-Za-z0-9._=+/-]*$",
        example = "1796112000000.9f86d081884c7d65"
    )]
    after: Option<String>,
    /// How many to list; 30 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit<MAX_CONVERSATIONS>>,
}

/// The query of `GET /v1/contacts/{phone}/messages`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListMessagesQuery {
    /// Where the previous list ended: its `next`.
    #[param(format = DateTime, example = "2026-12-01T08:00:00Z")]
    after: Option<String>,
    /// How many to list; 50 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<Limit<MAX_MESSAGES>>,
}

/// Conversations, the one with the latest message first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConversationList {
    /// The conversations.
    pub conversations: Vec<ConversationView>,
    /// The `after` of the next list; null at the end. Whoever wrote again meanwhile is in both: the first counts.
    pub next: Option<String>,
}

/// A conversation with one recipient.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConversationView {
    /// What names the recipient, whether or not the number is shown.
    #[schema(example = "9f86d081884c7d65")]
    pub contact: String,
    /// The number; null if WhatsApp does not tell it.
    pub phone: Option<String>,
    /// WhatsApp's id of the recipient.
    pub user_id: Option<String>,
    /// The name that the recipient uses on WhatsApp.
    pub name: Option<String>,
    /// The latest message that the recipient wrote.
    pub last_message: InboundMessageView,
    /// Until when the recipient may be sent messages other than templates; null if that is not allowed now.
    #[schema(format = DateTime)]
    pub service_window_until: Option<String>,
    /// Whether the recipient is on the suppression list.
    pub suppressed: bool,
    /// The campaign that the latest message answers.
    pub campaign: Option<String>,
    /// The row that it answers.
    pub row: Option<u32>,
}

/// Messages of a conversation, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageList {
    /// The messages, in both directions.
    pub messages: Vec<ConversationMessageView>,
    /// The `after` of the next list; null at the end.
    #[schema(format = DateTime)]
    pub next: Option<String>,
    /// Until when the recipient may be sent messages other than templates; null if that is not allowed now.
    #[schema(format = DateTime)]
    pub service_window_until: Option<String>,
    /// Whether the recipient is on the suppression list.
    pub suppressed: bool,
}

/// What `POST /v1/contacts/{phone}/messages` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReply {
    /// An id of your own, such as a UUID: a request that is repeated with the same id sends nothing again.
    #[schema(
        min_length = 8,
        max_length = 64,
        example = "0198c0de-0000-7000-8000-000000000001"
    )]
    request_id: String,
    /// The Cloud API's message object without `to` and without `{{column}}`. Outside the service window it must be a template.
    #[schema(value_type = MessageSchema)]
    message: Value,
}

/// Lists conversations, the one with the latest message of a recipient first.
#[utoipa::path(
    get, path = "/v1/conversations", operation_id = "listConversations", tag = "inbox",
    params(ListConversationsQuery),
    responses((status = 200, body = ConversationList, description = "Conversations, newest first"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_conversations(
    State(api): State<Arc<Api>>,
    Query(query): Query<ListConversationsQuery>,
) -> Result<Json<ConversationList>, Problem> {
    let after = query.after.as_deref().map(parse_cursor).transpose()?;
    let limit = query
        .limit
        .map_or(DEFAULT_CONVERSATIONS, |Limit(limit)| limit);
    let now = cloud::now();
    let Conversations { latest, next } = api
        .inbox
        .list_conversations(after.as_ref(), now, limit as usize)
        .await?;
    let phones: Vec<Phone> = latest
        .iter()
        .filter_map(|(_, message)| message.phone)
        .collect();
    let contacts = api.contacts.find_many(&phones).await?;
    let view = |(contact, message): (String, InboundMessage)| {
        let known = contacts.get(&contact);
        conversation_view(contact, message, known, now)
    };
    Ok(Json(ConversationList {
        conversations: latest.into_iter().map(view).collect(),
        next: next.as_ref().map(format_cursor),
    }))
}

fn conversation_view(
    contact: String,
    message: InboundMessage,
    known: Option<&Contact>,
    now: Millis,
) -> ConversationView {
    ConversationView {
        contact,
        phone: message.phone.map(|phone| phone.to_string()),
        user_id: message.user_id.clone(),
        name: message.name.clone(),
        service_window_until: known
            .and_then(|known| known.latest_service_window_end(now))
            .map(format_time),
        suppressed: known.is_some_and(|known| known.suppressed),
        campaign: message.campaign.as_ref().map(ToString::to_string),
        row: message.row,
        last_message: message_view(message),
    }
}

/// Lists the messages of a conversation, newest first: what the recipient wrote, and the replies of operators.
///
/// Messages of campaigns are not in it; each message of the recipient names the campaign and the row that it answers.
#[utoipa::path(
    get, path = "/v1/contacts/{phone}/messages", operation_id = "listMessages", tag = "inbox",
    params(PhonePath, ListMessagesQuery),
    responses((status = 200, body = MessageList, description = "Messages, newest first"), RequestErrors, PhoneErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_messages(
    State(api): State<Arc<Api>>,
    PhonePath { phone }: PhonePath,
    Query(query): Query<ListMessagesQuery>,
) -> Result<Json<MessageList>, Problem> {
    let before = query
        .after
        .as_deref()
        .map(parse_time)
        .transpose()
        .map_err(|detail| Problem::invalid_parameter("after", detail))?;
    let limit = query.limit.map_or(DEFAULT_MESSAGES, |Limit(limit)| limit);
    let now = cloud::now();
    let messages = api
        .inbox
        .list_conversation(&contact_id(phone), before.unwrap_or(now + 1), limit as i32)
        .await?;
    let is_full = messages.len() == limit as usize;
    let messages = message_views(&api, messages).await?;
    let contact = api.contacts.get(&ContactKey::Phone(phone)).await?;
    let contact = contact.unwrap_or_default();
    let oldest = messages.last().map(|message| message.at().to_owned());
    Ok(Json(MessageList {
        next: oldest.filter(|_| is_full),
        messages,
        service_window_until: contact.latest_service_window_end(now).map(format_time),
        suppressed: contact.suppressed,
    }))
}

/// Sends a message to one recipient, ahead of campaigns.
///
/// Within 24 hours after the recipient wrote it may be any message, later only a template. It has the same rate, ledger and
/// suppression list as every other message: it is a campaign of one row, whose id is returned.
#[utoipa::path(
    post, path = "/v1/contacts/{phone}/messages", operation_id = "sendReply", tag = "inbox",
    params(PhonePath), request_body = NewReply,
    responses((status = 202, body = CampaignStateView, description = "The message is on its way"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all)]
pub async fn send_reply(
    State(api): State<Arc<Api>>,
    caller: Caller,
    PhonePath { phone }: PhonePath,
    JsonBody(NewReply {
        request_id,
        message,
    }): JsonBody<NewReply>,
) -> Result<(StatusCode, Json<CampaignStateView>), Problem> {
    if !REQUEST_ID_CHARS.contains(&request_id.chars().count()) {
        let detail = "must have 8 to 64 characters; a UUID is fine";
        return Err(Problem::invalid_field("/request_id", detail));
    }
    let message = parse_message(Some(message), "/message")?;
    if !message.columns().is_empty() {
        let detail = "must not contain {{column}}: a reply has no file to take values from";
        return Err(Problem::invalid_field("/message", detail));
    }
    let now = cloud::now();
    let contact = api.contacts.get(&ContactKey::Phone(phone)).await?;
    let contact = contact.ok_or_else(Problem::unknown_contact)?;
    let number = contact.last_inbound_number.as_ref();
    let number = api.numbers.written_to(number).await?;
    check_recipient(&contact, &message, &number.id, now)?;
    let template = api.find_template(&message, "/message").await?;
    let id = reply_id(phone, &request_id)?;
    caller.note_created(&id);
    let row = Row {
        row: 1,
        to: phone,
        values: Vec::new(),
    };
    let mut reply = Campaign::single_row(id.clone(), "Reply".into(), message, row, now);
    reply.numbers = vec![number.to_campaign_number()];
    reply.template = template;
    reply.created_by = Some(caller.name.clone());
    api.enqueue_reply(&reply, phone, caller.name, now).await?;
    let view = CampaignStateView::new(&id, reply.state(now));
    Ok((StatusCode::ACCEPTED, Json(view)))
}

impl Api {
    /// Each step may be repeated: the campaign is created once, a row is claimed once, the note is stored once. If the process
    /// dies in between, the reconciler enqueues the row, or the client repeats the request.
    async fn enqueue_reply(
        &self,
        reply: &Campaign,
        phone: Phone,
        by: String,
        now: Millis,
    ) -> Result<(), Problem> {
        let body: &Message = &reply.message;
        let note = SentReply {
            id: reply.id.to_string(),
            sent_at: now,
            phone,
            by,
            raw: body.body().to_string(),
        };
        self.inbox.store_reply(&note).await?;
        self.campaigns.create_single(reply).await?;
        let senders = self.numbers.of_campaign(reply).await?;
        Ok(senders.enqueue_single_row(reply, true).await?)
    }
}

/// The id of a reply follows from the request, so that a repeated request is the same reply.
fn reply_id(phone: Phone, request_id: &str) -> Result<CampaignId, cloud::Error> {
    let hash = TokenHash::of(&format!("reply {} {request_id}", phone.canonical()));
    let id = format!("{REPLY_PREFIX}{}", &hash.as_str()[..32]);
    id.parse()
        .map_err(|error| cloud::Error::new("name a reply", error))
}

#[cfg(test)]
mod tests {
    use campaign::import::phone;

    use super::*;

    #[test]
    fn repeated_request_is_the_same_reply_whatever_the_spelling_of_the_number() {
        let number = |text| phone::parse(text, None).expect("a number");
        let (one, other) = (number("+5511987654321"), number("+551187654321"));
        let id = |phone, request| reply_id(phone, request).expect("an id");
        assert_eq!(id(one, "0123456789"), id(other, "0123456789"));
        assert_ne!(id(one, "0123456789"), id(one, "0123456780"));
        assert!(id(one, "0123456789").as_str().starts_with(REPLY_PREFIX));
    }
}
