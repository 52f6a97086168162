//! What people say: messages, buttons, and whether they want marketing.

use campaign::delivery::outcome::Millis;
use serde_json::Value;

use crate::callback::{ContactIds, digits, list_items, parse_timestamp, text};

/// A message from somebody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReceivedMessage {
    /// Its id.
    pub wamid: String,
    /// From whom.
    pub from: ContactIds,
    /// What they call themselves.
    pub name: Option<String>,
    /// When, in milliseconds; `None` where it does not say.
    pub at: Option<Millis>,
    /// `text`, `image`, `button`, `interactive`, `reaction` … as Meta has it.
    pub kind: String,
    /// The words in it: a text, a caption, a button's label.
    pub text: Option<String>,
    /// What a button or a list entry stands for.
    pub payload: Option<String>,
    /// The id of the message it answers.
    pub reply_to: Option<String>,
    /// The number that somebody has from now on, digits alone.
    pub new_phone: Option<String>,
}

impl ReceivedMessage {
    /// Whether somebody said something, so that the 24-hour window opens: a change of number, an edit or a message taken
    /// back does not.
    pub fn opens_service_window(&self) -> bool {
        !matches!(self.kind.as_str(), "system" | "edit" | "revoke")
    }
}

/// Reads an item of `messages`; `value` is the change it came in. `None` where it has no id.
pub(crate) fn parse_message(item: &Value, value: &Value) -> Option<ReceivedMessage> {
    let wamid = text(&item["id"])?;
    let phone = digits(&item["from"]);
    let known = contact(value, phone.as_deref(), item["from_user_id"].as_str());
    let of = |field: &str| known.and_then(|known| text(&known[field]));
    Some(ReceivedMessage {
        wamid,
        from: ContactIds {
            phone: phone.or_else(|| known.and_then(|known| digits(&known["wa_id"]))),
            user_id: text(&item["from_user_id"]).or_else(|| of("user_id")),
        },
        name: known.and_then(|known| text(&known["profile"]["name"])),
        at: parse_timestamp(&item["timestamp"]),
        kind: text(&item["type"]).unwrap_or_else(|| "unknown".into()),
        text: message_text(item),
        payload: payload(item),
        reply_to: text(&item["context"]["id"]).or_else(|| text(&item["reaction"]["message_id"])),
        new_phone: moved_to(item),
    })
}

/// Who of `contacts` wrote; the only one where there is one.
fn contact<'v>(value: &'v Value, phone: Option<&str>, user: Option<&str>) -> Option<&'v Value> {
    let is_it = |contact: &Value| {
        phone.is_some() && digits(&contact["wa_id"]).as_deref() == phone
            || user.is_some() && contact["user_id"].as_str() == user
    };
    let mut contacts = list_items(value, "contacts");
    match value["contacts"].as_array().map_or(0, Vec::len) {
        1 => contacts.next(),
        _ => contacts.find(|contact| is_it(contact)),
    }
}

fn message_text(item: &Value) -> Option<String> {
    let interactive = &item["interactive"];
    let places = [
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
    places.into_iter().find_map(text)
}

fn payload(item: &Value) -> Option<String> {
    let interactive = &item["interactive"];
    let places = [
        &item["button"]["payload"],
        &interactive["button_reply"]["id"],
        &interactive["list_reply"]["id"],
        &interactive["nfm_reply"]["response_json"],
    ];
    places.into_iter().find_map(text)
}

fn moved_to(item: &Value) -> Option<String> {
    let system = &item["system"];
    let kind = system["type"].as_str()?;
    let moves = ["user_changed_number", "customer_changed_number"].contains(&kind);
    if !moves {
        return None;
    }
    digits(&system["new_wa_id"]).or_else(|| digits(&system["wa_id"]))
}

/// Whether somebody wants marketing messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketingPreference {
    /// Who.
    pub contact: ContactIds,
    /// `marketing_messages`, so far.
    pub category: String,
    /// Whether they want none any more; else they want them again.
    pub opted_out: bool,
    /// Meta's sentence about it.
    pub detail: Option<String>,
    /// When, in milliseconds.
    pub at: Option<Millis>,
}

/// Reads an item of `user_preferences`; `None` where its value is not known.
pub(crate) fn parse_preference(item: &Value) -> Option<MarketingPreference> {
    let stop = match item["value"].as_str()? {
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
        opted_out: stop,
        detail: text(&item["detail"]),
        at: parse_timestamp(&item["timestamp"]),
    })
}
