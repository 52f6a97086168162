//! What recipients send: messages, button presses, calls, and whether they want marketing.

use campaign::id::NumberId;
use campaign::time::Millis;
use serde_json::Value;

use crate::contact::ContactIds;
use crate::json::{digits, list_items, parse_timestamp, text};

/// A message from a recipient.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReceivedMessage {
    /// The message's id.
    pub wamid: String,
    /// The sender.
    pub from: ContactIds,
    /// The sender's profile name.
    pub name: Option<String>,
    /// When, in milliseconds. `None` if Meta does not say.
    pub at: Option<Millis>,
    /// Meta's type: `text`, `image`, `button`, `interactive`, `reaction` …
    pub kind: String,
    /// The text, the caption or the button's label.
    pub text: Option<String>,
    /// The payload of a button, or the id of a list entry.
    pub payload: Option<String>,
    /// The id of the message that this one answers.
    pub reply_to: Option<String>,
    /// The sender's new phone number, digits only, if the message announces one.
    pub new_phone: Option<String>,
    /// Our number that it came to.
    pub number: Option<NumberId>,
}

impl ReceivedMessage {
    /// Whether the message opens the 24-hour service window. A change of number, an edit and a deletion do not.
    pub fn opens_service_window(&self) -> bool {
        !matches!(self.kind.as_str(), "system" | "edit" | "revoke")
    }
}

/// Parses an item of `messages`. `value` is the change that it came in. `None` if it has no id.
pub(crate) fn parse_message(item: &Value, value: &Value) -> Option<ReceivedMessage> {
    let wamid = text(&item["id"])?;
    let phone = digits(&item["from"]);
    let user_id = text(&item["from_user_id"]);
    let contact = find_contact(value, phone.as_deref(), user_id.as_deref());
    Some(ReceivedMessage {
        wamid,
        from: ContactIds {
            phone: phone.or_else(|| digits(&contact?["wa_id"])),
            user_id: user_id.or_else(|| text(&contact?["user_id"])),
        },
        name: contact.and_then(|contact| text(&contact["profile"]["name"])),
        at: parse_timestamp(&item["timestamp"]),
        kind: text(&item["type"]).unwrap_or_else(|| "unknown".into()),
        text: message_text(item),
        payload: payload(item),
        reply_to: text(&item["context"]["id"]).or_else(|| text(&item["reaction"]["message_id"])),
        new_phone: new_phone(item),
        number: number(value),
    })
}

/// The sender's entry in `contacts`. A single entry is always the sender's.
fn find_contact<'v>(
    value: &'v Value,
    phone: Option<&str>,
    user_id: Option<&str>,
) -> Option<&'v Value> {
    let is_sender = |contact: &Value| {
        phone.is_some() && digits(&contact["wa_id"]).as_deref() == phone
            || user_id.is_some() && contact["user_id"].as_str() == user_id
    };
    let mut contacts = list_items(value, "contacts");
    match value["contacts"].as_array().map_or(0, Vec::len) {
        1 => contacts.next(),
        _ => contacts.find(|contact| is_sender(contact)),
    }
}

fn message_text(item: &Value) -> Option<String> {
    let interactive = &item["interactive"];
    let candidates = [
        &item["text"]["body"],
        &item["button"]["text"],
        &interactive["button_reply"]["title"],
        &interactive["list_reply"]["title"],
        &item["image"]["caption"],
        &item["video"]["caption"],
        &item["document"]["caption"],
        &item["reaction"]["emoji"],
        &item["edit"]["message"]["text"]["body"],
        &item["system"]["body"],
    ];
    candidates.into_iter().find_map(text)
}

fn payload(item: &Value) -> Option<String> {
    let interactive = &item["interactive"];
    let candidates = [
        &item["button"]["payload"],
        &interactive["button_reply"]["id"],
        &interactive["list_reply"]["id"],
        &interactive["nfm_reply"]["response_json"],
    ];
    candidates.into_iter().find_map(text)
}

fn new_phone(item: &Value) -> Option<String> {
    let system = &item["system"];
    match system["type"].as_str()? {
        "user_changed_number" | "customer_changed_number" => {
            digits(&system["new_wa_id"]).or_else(|| digits(&system["wa_id"]))
        }
        _ => None,
    }
}

/// A call from a recipient, answered or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedCall {
    /// The caller.
    pub from: ContactIds,
    /// When, in milliseconds. `None` if Meta does not say.
    pub at: Option<Millis>,
    /// Our number that was called.
    pub number: Option<NumberId>,
}

/// Parses an item of `calls`. `None` unless it says that a recipient begins to call the business (Meta, "User-initiated
/// calls"): the call's end is another item, with a later time.
pub(crate) fn parse_call(item: &Value, value: &Value) -> Option<ReceivedCall> {
    if item["event"] != "connect" || item["direction"] != "USER_INITIATED" {
        return None;
    }
    let phone = digits(&item["from"]);
    let user_id = text(&item["from_user_id"]);
    let contact = find_contact(value, phone.as_deref(), user_id.as_deref());
    Some(ReceivedCall {
        from: ContactIds {
            phone: phone.or_else(|| digits(&contact?["wa_id"])),
            user_id: user_id.or_else(|| text(&contact?["user_id"])),
        },
        at: parse_timestamp(&item["timestamp"]),
        number: number(value),
    })
}

/// Our number in the metadata of a change.
fn number(value: &Value) -> Option<NumberId> {
    text(&value["metadata"]["phone_number_id"])?.parse().ok()
}

/// Whether a recipient wants marketing messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketingPreference {
    /// The recipient.
    pub contact: ContactIds,
    /// So far always `marketing_messages`.
    pub category: String,
    /// Whether the recipient stopped these messages. `false` if the recipient resumed them.
    pub opted_out: bool,
    /// Meta's sentence about it.
    pub detail: Option<String>,
    /// When, in milliseconds.
    pub at: Option<Millis>,
}

/// Parses an item of `user_preferences`. `None` if its value is unknown.
pub(crate) fn parse_preference(item: &Value) -> Option<MarketingPreference> {
    let opted_out = match item["value"].as_str()? {
        "stop" => true,
        "resume" | "signup" => false,
        _ => return None,
    };
    Some(MarketingPreference {
        contact: ContactIds {
            phone: digits(&item["wa_id"]),
            user_id: text(&item["user_id"]),
        },
        category: text(&item["category"]).unwrap_or_default(),
        opted_out,
        detail: text(&item["detail"]),
        at: parse_timestamp(&item["timestamp"]),
    })
}
