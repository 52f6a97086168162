//! Statuses: what became of a message.

use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::id::CorrelationId;
use serde_json::Value;

use crate::callback::{ContactIds, digits, parse_error, parse_timestamp, text};

/// A status of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusCallback {
    /// The row and the attempt it speaks of, where the message is one of a campaign.
    pub correlation_id: Option<CorrelationId>,
    /// The message's id.
    pub wamid: String,
    /// What happened.
    pub status: MessageStatus,
    /// When, in milliseconds; `None` where it does not say.
    pub at: Option<Millis>,
    /// To whose message.
    pub recipient: ContactIds,
    /// What Meta charges for, such as `marketing`; where it says.
    pub price_category: Option<String>,
}

/// What happened to a message.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageStatus {
    /// On its way.
    Sent,
    /// On the device.
    Delivered,
    /// Seen; implies delivered.
    Read,
    /// Listened to; implies read.
    Played,
    /// Refused after it had been accepted.
    Failed(ErrorInfo),
    /// One that Meta adds later: the message was accepted, that much is certain.
    Other,
}

/// Reads an item of `statuses`; `None` where it names no status.
pub(crate) fn parse_status(item: &Value) -> Option<StatusCallback> {
    let status = match item["status"].as_str()? {
        "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" => MessageStatus::Read,
        "played" => MessageStatus::Played,
        "failed" => MessageStatus::Failed(parse_error(&item["errors"][0])),
        _ => MessageStatus::Other,
    };
    let tracker = item["biz_opaque_callback_data"].as_str();
    Some(StatusCallback {
        correlation_id: tracker.and_then(|tracker| tracker.parse().ok()),
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
