//! The messages of a conversation, as they are shown.

use cloud::inbox::{ConversationMessage, SentReply};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Api;
use crate::inbox::{InboundMessageView, message_view};
use crate::openapi::RowStateName;
use crate::problem::Problem;
use crate::time::format_time;

/// Replies whose rows are read at once.
const CONCURRENT_READS: usize = 8;

/// A message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "direction")]
pub enum ConversationMessageView {
    /// The recipient wrote it.
    #[serde(rename = "in")]
    Received(Box<InboundMessageView>),
    /// An operator sent it.
    #[serde(rename = "out")]
    Sent(Box<SentReplyView>),
}

impl ConversationMessageView {
    /// When it was received or sent.
    pub fn at(&self) -> &str {
        match self {
            Self::Received(message) => &message.received_at,
            Self::Sent(reply) => &reply.sent_at,
        }
    }
}

/// A message that an operator sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentReplyView {
    /// The campaign of one row that sends it.
    pub campaign: String,
    /// When it was written.
    #[schema(format = DateTime)]
    pub sent_at: String,
    /// Who wrote it.
    pub by: String,
    /// Its text, if it has one.
    pub text: Option<String>,
    /// The message object.
    #[schema(value_type = Object)]
    pub message: Value,
    /// Its state; null before the first attempt.
    #[schema(value_type = Option<RowStateName>)]
    pub state: Option<&'static str>,
    /// When it was delivered.
    #[schema(format = DateTime)]
    pub delivered_at: Option<String>,
    /// When it was read.
    #[schema(format = DateTime)]
    pub read_at: Option<String>,
    /// Why it was not sent or not delivered.
    pub error: Option<String>,
}

/// The messages, with the state of each reply.
pub async fn message_views(
    api: &Api,
    messages: Vec<ConversationMessage>,
) -> Result<Vec<ConversationMessageView>, Problem> {
    let views = stream::iter(messages)
        .map(async |message| match message {
            ConversationMessage::Received(message) => {
                let view = Box::new(message_view(*message));
                Ok::<_, Problem>(ConversationMessageView::Received(view))
            }
            ConversationMessage::Sent(reply) => {
                let view = reply_view(api, reply).await?;
                Ok(ConversationMessageView::Sent(Box::new(view)))
            }
        })
        .buffered(CONCURRENT_READS);
    views.try_collect().await
}

async fn reply_view(api: &Api, reply: SentReply) -> Result<SentReplyView, Problem> {
    let row = match reply.campaign() {
        Some(campaign) => api.ledger.get_row(&campaign, 1).await?,
        None => None,
    };
    let message: Value = serde_json::from_str(&reply.raw).unwrap_or_default();
    let error = row
        .as_ref()
        .and_then(|row| row.error_info.as_ref().or(row.failure.as_ref()));
    Ok(SentReplyView {
        campaign: reply.id,
        sent_at: format_time(reply.sent_at),
        by: reply.by,
        text: message["text"]["body"].as_str().map(str::to_owned),
        message,
        state: row.as_ref().map(|row| row.state.name()),
        delivered_at: row
            .as_ref()
            .and_then(|row| row.delivered_at)
            .map(format_time),
        read_at: row.as_ref().and_then(|row| row.read_at).map(format_time),
        error: error.map(|error| error.title.clone()),
    })
}
