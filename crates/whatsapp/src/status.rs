//! Statuses of sent messages.

use campaign::delivery::outcome::ErrorInfo;
use campaign::id::CorrelationId;
use campaign::time::Millis;
use serde_json::Value;

use crate::contact::ContactIds;
use crate::json::{digits, parse_error, parse_timestamp, text};

/// A status of a sent message.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusCallback {
    /// The row and the attempt, if the message belongs to a campaign.
    pub correlation_id: Option<CorrelationId>,
    /// The message's id.
    pub wamid: String,
    /// What happened.
    pub status: MessageStatus,
    /// When, in milliseconds. `None` if Meta does not say.
    pub at: Option<Millis>,
    /// The recipient of the message.
    pub recipient: ContactIds,
    /// The price category, such as `marketing`, if Meta says.
    pub price_category: Option<String>,
}

/// What happened to a message.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageStatus {
    /// Sent to WhatsApp.
    Sent,
    /// Delivered to the recipient's device.
    Delivered,
    /// Read by the recipient. Implies delivered.
    Read,
    /// Played by the recipient. Implies read.
    Played,
    /// Failed after it had been accepted.
    Failed(ErrorInfo),
    /// A status that Meta adds later. It still proves that the message was accepted.
    Other,
}

/// Parses an item of `statuses`. `None` if it has no status.
pub(crate) fn parse_status(item: &Value) -> Option<StatusCallback> {
    let status = match item["status"].as_str()? {
        "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" => MessageStatus::Read,
        "played" => MessageStatus::Played,
        "failed" => MessageStatus::Failed(parse_error(&item["errors"][0])),
        _ => MessageStatus::Other,
    };
    let callback_data = item["biz_opaque_callback_data"].as_str();
    Some(StatusCallback {
        correlation_id: callback_data.and_then(|data| data.parse().ok()),
        wamid: text(&item["id"]).unwrap_or_default(),
        status,
        at: parse_timestamp(&item["timestamp"]),
        recipient: ContactIds {
            phone: digits(&item["recipient_id"]),
            user_id: text(&item["recipient_user_id"]),
        },
        price_category: text(&item["pricing"]["category"]),
    })
}
