//! Single messages: one message to one recipient, ahead of campaigns, such as a code to sign in with. Each is a campaign of
//! one row, so it has the ledger, the consent rules and the rate of every other message.
//!
//! | the process dies … | repaired by |
//! |---|---|
//! | before the campaign is stored | the client, who repeats the request: nothing was done |
//! | before the row is in the queue | the client, whose repeated request enqueues it, or the reconciler |
//! | before the answer | the client: the repeated request gets the answer |

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use campaign::contacts::contact::Contact;
use campaign::delivery::batch::Row;
use campaign::delivery::ledger::LedgerRow;
use campaign::id::{CampaignId, MESSAGE_PREFIX, NumberId};
use campaign::import::phone::{self, Phone};
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::summary::{DeliveryRecord, RecipientStatus};
use campaign::message::Message;
use campaign::time::Millis;
use cloud::contacts::ContactKey;
use cloud::numbers::SenderNumber;
use cloud::tokens::TokenHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::extract::{CampaignPath, Limit, Query};
use crate::message_schema::MessageSchema;
use crate::new_message::{check_recipient, parse_message};
use crate::numbers::parse_number_id;
use crate::openapi::{BodyErrors, Conflict, NotFound, RecipientStatusName, RequestErrors};
use crate::problem::Problem;
use crate::time::format_time;

/// The header that makes a repeated request the same message (IETF draft "The Idempotency-Key HTTP Header Field").
const KEY_HEADER: &str = "idempotency-key";

/// The only row of a message's campaign.
const ROW: u32 = 1;

/// After this time, a message without an attempt is enqueued again when its request is repeated.
const ENQUEUE_AGAIN_MS: Millis = 5_000;

/// The longest that a request waits for the outcome, in seconds.
const MAX_WAIT_SECONDS: u32 = 20;

/// How often the ledger is read meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// What `POST /v1/messages` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSingleMessage {
    /// The recipient's number with its country code.
    #[schema(example = "+5511987654321")]
    to: String,
    /// The Cloud API's message object without `to` and without `{{column}}`. Outside the service window it must be a template.
    #[schema(value_type = MessageSchema)]
    message: Value,
    /// Whether it goes ahead of campaigns; it does by default. The ceiling holds for both together.
    #[serde(default = "default_urgent")]
    urgent: bool,
    /// The id of the number that it is sent from; by default the one from which the recipient hears, or the installation's
    /// first.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,32}$", example = "100000000000001")]
    number: Option<String>,
}

fn default_urgent() -> bool {
    true
}

/// A message that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedMessage {
    /// Its id: GET /v1/messages/{id} shows what became of it.
    #[schema(example = "message-0123456789abcdef0123456789abcdef")]
    pub id: String,
}

/// The query of `GET /v1/messages/{id}`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GetMessageQuery {
    /// For how many seconds the answer waits for WhatsApp's response at most; it does not wait by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 20)]
    wait: Option<Limit<MAX_WAIT_SECONDS>>,
}

/// A single message.
#[derive(Debug, Serialize, ToSchema)]
pub struct SingleMessageView {
    /// Its id.
    pub id: String,
    /// What became of it.
    #[schema(value_type = RecipientStatusName)]
    pub status: &'static str,
    /// When it was requested.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The message id that WhatsApp assigned.
    pub wamid: Option<String>,
    /// The error code of the Graph API.
    pub error_code: Option<i64>,
    /// The error as a sentence.
    pub error: Option<String>,
    /// When the latest attempt began.
    #[schema(format = DateTime)]
    pub attempted_at: Option<String>,
    /// When WhatsApp sent it.
    #[schema(format = DateTime)]
    pub sent_at: Option<String>,
    /// When it was delivered.
    #[schema(format = DateTime)]
    pub delivered_at: Option<String>,
    /// When it was read.
    #[schema(format = DateTime)]
    pub read_at: Option<String>,
}

/// Sends one message to one recipient.
///
/// The same `Idempotency-Key` with the same body is the same message, however often it is sent; with another body it is
/// refused. Messages wait in a queue, so a burst is taken at once and sent at the rate that you are allowed.
#[utoipa::path(
    post, path = "/v1/messages", operation_id = "sendMessage", tag = "messages",
    params(("Idempotency-Key" = String, Header, min_length = 8, max_length = 255, pattern = "^[!-~]+$",
        description = "A key of your own for this message, such as a UUID", example = "0198c0de-0000-7000-8000-000000000001")),
    request_body = NewSingleMessage,
    responses((status = 202, body = AcceptedMessage, description = "The message is on its way"),
        RequestErrors, BodyErrors, Conflict)
)]
#[tracing::instrument(skip_all)]
pub async fn send_message(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(request): JsonBody<NewSingleMessage>,
) -> Result<(StatusCode, Json<AcceptedMessage>), Problem> {
    let key = idempotency_key(&headers)?;
    let id = message_id(&caller.name, key)?;
    caller.note_created(&id);
    let request = request.parse()?;
    let now = cloud::now();
    match api.campaigns.get(&id).await? {
        Some(known) => api.repeat(&known, &request, now).await?,
        None => api.send(&id, &request, &caller, now).await?,
    }
    let accepted = AcceptedMessage { id: id.to_string() };
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// Gets what became of a message.
#[utoipa::path(
    get, path = "/v1/messages/{id}", operation_id = "getMessage", tag = "messages",
    params(CampaignPath, GetMessageQuery),
    responses((status = 200, body = SingleMessageView, description = "The message"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_message(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    Query(GetMessageQuery { wait }): Query<GetMessageQuery>,
) -> Result<Json<SingleMessageView>, Problem> {
    if !id.as_str().starts_with(MESSAGE_PREFIX) {
        return Err(Problem::unknown_message());
    }
    let campaign = api.campaigns.get(&id).await?;
    let campaign = campaign.ok_or_else(Problem::unknown_message)?;
    let seconds = wait.map_or(0, |Limit(seconds)| seconds);
    let until = cloud::now() + Millis::from(seconds) * 1000;
    let row = loop {
        let row = api.ledger.get_row(&id, ROW).await?;
        if row.as_ref().is_some_and(has_outcome) || cloud::now() >= until {
            break row;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    };
    Ok(Json(message_view(&campaign, row)))
}

/// A request that makes sense.
struct MessageRequest {
    to: Phone,
    message: Message,
    urgent: bool,
    number: Option<NumberId>,
    hash: String,
}

impl NewSingleMessage {
    fn parse(self) -> Result<MessageRequest, Problem> {
        let Self {
            to,
            message,
            urgent,
            number,
        } = self;
        let to = phone::parse(&to, None).map_err(|problem| {
            Problem::invalid_field("/to", format!("{problem}; {}", problem.fix()))
        })?;
        let message = parse_message(Some(message), "/message")?;
        if !message.columns().is_empty() {
            let detail = "must not contain {{column}}: there is no file to take values from; write the values";
            return Err(Problem::invalid_field("/message", detail));
        }
        let body = message.body();
        let number = number
            .map(|id| parse_number_id(&id, "/number"))
            .transpose()?;
        let from = number.as_ref().map(NumberId::as_str).unwrap_or_default();
        let hash = TokenHash::of(&format!("{} {urgent} {from} {body}", to.canonical()));
        Ok(MessageRequest {
            to,
            message,
            urgent,
            number,
            hash: hash.as_str().to_owned(),
        })
    }
}

impl Api {
    /// Sends a message that is new, unless another request with the same key was faster.
    async fn send(
        &self,
        id: &CampaignId,
        request: &MessageRequest,
        caller: &Caller,
        now: Millis,
    ) -> Result<(), Problem> {
        let MessageRequest { to, message, .. } = request;
        let contact = self.contacts.get(&ContactKey::Phone(*to)).await?;
        let contact = contact.unwrap_or_default();
        let number = self.sender_of(request, &contact).await?;
        check_recipient(&contact, message, &number.id, now)?;
        let row = Row {
            row: ROW,
            to: *to,
            values: Vec::new(),
        };
        let name = "Message".to_owned();
        let mut campaign = Campaign::single_row(id.clone(), name, message.clone(), row, now);
        campaign.numbers = vec![number.to_campaign_number()];
        campaign.template = self.find_template(message, "/message").await?;
        campaign.created_by = Some(caller.name.clone());
        campaign.request_hash = Some(request.hash.clone());
        if self.campaigns.create_single(&campaign).await? {
            return self.enqueue_message(&campaign, request.urgent).await;
        }
        match self.campaigns.get(id).await? {
            Some(known) => self.repeat(&known, request, now).await,
            None => Ok(()),
        }
    }

    /// The number that a message is sent from.
    async fn sender_of(
        &self,
        request: &MessageRequest,
        contact: &Contact,
    ) -> Result<Arc<SenderNumber>, Problem> {
        match &request.number {
            Some(id) => self.find_number(id, "/number").await,
            None => {
                // A text may be sent only from the number that the recipient wrote to.
                let known = match request.message.is_template() {
                    true => &contact.number,
                    false => &contact.last_inbound_number,
                };
                Ok(self.numbers.written_to(known.as_ref()).await?)
            }
        }
    }

    /// Does what is left to do of a message that was requested before.
    async fn repeat(
        &self,
        known: &Campaign,
        request: &MessageRequest,
        now: Millis,
    ) -> Result<(), Problem> {
        if known.request_hash.as_ref() != Some(&request.hash) {
            return Err(Problem::idempotency_key_reused());
        }
        // Else whoever requested it first may be about to enqueue it.
        let is_due = now >= known.created_at + ENQUEUE_AGAIN_MS;
        if is_due
            && known.single_row.is_some()
            && self.ledger.get_row(&known.id, ROW).await?.is_none()
        {
            self.enqueue_message(known, request.urgent).await?;
        }
        Ok(())
    }

    async fn enqueue_message(&self, campaign: &Campaign, urgent: bool) -> Result<(), Problem> {
        let senders = self.numbers.of_campaign(campaign).await?;
        Ok(senders.enqueue_single_row(campaign, urgent).await?)
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let key = headers.get(KEY_HEADER).and_then(|key| key.to_str().ok());
    let is_valid = |key: &&str| {
        (8..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    key.filter(is_valid)
        .ok_or_else(Problem::invalid_idempotency_key)
}

/// The id follows from the key and from whose it is: two programs may use the same keys.
fn message_id(caller: &str, key: &str) -> Result<CampaignId, cloud::Error> {
    let hash = TokenHash::of(&format!("message {key} {caller}"));
    let id = format!("{MESSAGE_PREFIX}{}", &hash.as_str()[..32]);
    id.parse()
        .map_err(|error| cloud::Error::new("name a message", error))
}

/// Whether WhatsApp has answered, or nothing is going to be asked of it.
fn has_outcome(row: &LedgerRow) -> bool {
    let status = DeliveryRecord::from(row).status();
    !matches!(
        status,
        RecipientStatus::Claimed | RecipientStatus::Retry | RecipientStatus::Held
    )
}

fn message_view(campaign: &Campaign, row: Option<LedgerRow>) -> SingleMessageView {
    let record = row.as_ref().map(DeliveryRecord::from);
    let error = record.as_ref().and_then(DeliveryRecord::error_info);
    let status = record
        .as_ref()
        .map_or(RecipientStatus::Waiting, DeliveryRecord::status);
    SingleMessageView {
        id: campaign.id.to_string(),
        status: status.name(),
        created_at: format_time(campaign.created_at),
        error_code: error.and_then(|error| error.code),
        error: error.map(|error| error.title.clone()),
        attempted_at: row.as_ref().map(|row| format_time(row.claimed_at)),
        sent_at: record
            .as_ref()
            .and_then(|record| record.sent_at)
            .map(format_time),
        delivered_at: record
            .as_ref()
            .and_then(|record| record.delivered_at)
            .map(format_time),
        read_at: record
            .as_ref()
            .and_then(|record| record.read_at)
            .map(format_time),
        wamid: row.and_then(|row| row.wamid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_belongs_to_whoever_uses_it() {
        let id = |caller, key| message_id(caller, key).expect("an id");
        assert_eq!(id("shop", "order-0001"), id("shop", "order-0001"));
        assert_ne!(id("shop", "order-0001"), id("shop", "order-0002"));
        assert_ne!(id("shop", "order-0001"), id("app", "order-0001"));
    }

    #[test]
    fn key_is_visible_text() {
        let check = |key: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(KEY_HEADER, axum::http::HeaderValue::from_static(key));
            idempotency_key(&headers).is_ok()
        };
        assert!(check("01234567") && check("order/2026-11-30#1"));
        assert!(!check("short") && !check("with a space in it") && !check(""));
        assert!(idempotency_key(&HeaderMap::new()).is_err());
    }

    #[test]
    fn another_body_has_another_hash() {
        let request_from = |number: Option<&str>, body: &str, to: &str, urgent| {
            let new = NewSingleMessage {
                to: to.to_owned(),
                message: serde_json::json!({"type": "text", "text": {"body": body}}),
                urgent,
                number: number.map(str::to_owned),
            };
            new.parse().expect("a request").hash
        };
        let request = |body: &str, to: &str, urgent| request_from(None, body, to, urgent);
        let first = request("1234", "+5511987654321", true);
        assert_eq!(first, request("1234", "+55 11 98765-4321", true));
        assert_ne!(first, request("1235", "+5511987654321", true));
        assert_ne!(first, request("1234", "+34612345678", true));
        assert_ne!(first, request("1234", "+5511987654321", false));
        let number = Some("100000000000001");
        assert_ne!(first, request_from(number, "1234", "+5511987654321", true));
    }
}
