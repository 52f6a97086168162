//! Statuses: what became of a message.

use campaign::id::Tracker;
use campaign::outcome::{Fault, Millis};
use serde_json::Value;

use crate::callback::{Person, digits, fault, millis, text};

/// A status of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The row and the attempt it speaks of, where the message is one of a campaign.
    pub tracker: Option<Tracker>,
    /// The message's id.
    pub wamid: String,
    /// What happened.
    pub status: Status,
    /// When, in milliseconds; `None` where it does not say.
    pub at: Option<Millis>,
    /// To whose message.
    pub recipient: Person,
    /// What Meta charges for, such as `marketing`; where it says.
    pub category: Option<String>,
}

/// What happened to a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// On its way.
    Sent,
    /// On the device.
    Delivered,
    /// Seen; implies delivered.
    Read,
    /// Listened to; implies read.
    Played,
    /// Refused after it had been accepted.
    Failed(Fault),
    /// One that Meta adds later: the message was accepted, that much is certain.
    Other,
}

/// Reads an item of `statuses`; `None` where it names no status.
pub(crate) fn read(item: &Value) -> Option<Report> {
    let status = match item["status"].as_str()? {
        "sent" => Status::Sent,
        "delivered" => Status::Delivered,
        "read" => Status::Read,
        "played" => Status::Played,
        "failed" => Status::Failed(fault(&item["errors"][0])),
        _ => Status::Other,
    };
    let tracker = item["biz_opaque_callback_data"].as_str();
    Some(Report {
        tracker: tracker.and_then(|tracker| tracker.parse().ok()),
        wamid: text(&item["id"]).unwrap_or_default(),
        status,
        at: millis(&item["timestamp"]),
        recipient: Person {
            phone: digits(&item["recipient_id"]),
            user_id: text(&item["recipient_user_id"]),
        },
        category: text(&item["pricing"]["category"]),
    })
}
