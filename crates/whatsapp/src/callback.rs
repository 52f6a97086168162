//! Splits a callback into updates. Reads leniently, keeps everything raw, and types only what Crier acts on.

use campaign::delivery::outcome::ErrorInfo;
use campaign::id::NumberId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account_notification::{self, AccountNotification, phone_digits};
use crate::inbound::{self, MarketingPreference, ReceivedCall, ReceivedMessage};
use crate::json::{list_items, parse_error, parse_timestamp};
use crate::status::{self, StatusCallback};

/// One update of a callback. Meta packs up to 1,000 into one POST.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The natural key. The same update always has the same key, so repeats overwrite each other.
    pub key: String,
    /// The update as it came, with its entry and metadata.
    pub raw: Value,
    /// What it says.
    pub event: Event,
}

impl Update {
    /// Our number, from the metadata: its id, and its phone as digits.
    pub fn our_number(&self) -> Option<(NumberId, Option<String>)> {
        let metadata = &self.raw["metadata"];
        let id = metadata["phone_number_id"].as_str()?.parse().ok()?;
        let shown = metadata["display_phone_number"].as_str();
        Some((id, shown.and_then(phone_digits)))
    }
}

/// What an update says, as far as Crier acts on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A status of a sent message.
    Status(StatusCallback),
    /// A recipient wrote, or pressed a button.
    Message(Box<ReceivedMessage>),
    /// A recipient calls.
    Call(ReceivedCall),
    /// A recipient stopped or resumed marketing messages.
    Preference(MarketingPreference),
    /// Something happened to a template, the phone number or the account.
    Account(AccountNotification),
    /// An error that is not about a message.
    Error(ErrorInfo),
    /// Anything else.
    Other,
}

/// The lists of a change that contain updates, and the prefix of their keys.
const UPDATE_LISTS: [(&str, &str); 6] = [
    ("statuses", "status"),
    ("messages", "message"),
    ("user_preferences", "preference"),
    ("message_echoes", "echo"),
    ("calls", "call"),
    ("groups", "group"),
];

/// Splits a body into its updates. A body that is not JSON, or contains nothing known, is a single update.
pub fn parse_callback(body: &[u8]) -> Vec<Update> {
    let Ok(post) = serde_json::from_slice::<Value>(body) else {
        return vec![Update {
            key: content_key("unreadable", body),
            raw: Value::String(String::from_utf8_lossy(body).into_owned()),
            event: Event::Other,
        }];
    };
    let mut updates = Vec::new();
    for entry in list_items(&post, "entry") {
        for change in list_items(entry, "changes") {
            let count_before = updates.len();
            add_list_updates(entry, change, &mut updates);
            if updates.len() == count_before {
                updates.push(parse_change(entry, change));
            }
        }
    }
    if updates.is_empty() {
        updates.push(Update {
            key: content_key("other", body),
            raw: post,
            event: Event::Other,
        });
    }
    updates
}

/// Adds an update for each item of the lists in a change.
fn add_list_updates(entry: &Value, change: &Value, updates: &mut Vec<Update>) {
    let value = &change["value"];
    let field = change["field"].as_str().unwrap_or_default();
    for (list, prefix) in UPDATE_LISTS {
        for item in list_items(value, list) {
            let raw = json!({
                "entry": entry["id"], "field": change["field"], "metadata": value["metadata"],
                "contacts": value["contacts"], prefix: item,
            });
            updates.push(Update {
                key: item_key(prefix, item),
                raw,
                event: parse_item(list, field, item, value).unwrap_or(Event::Other),
            });
        }
    }
}

fn parse_item(list: &str, field: &str, item: &Value, value: &Value) -> Option<Event> {
    match (list, field) {
        // Phone calls have statuses, too, under a field of their own.
        ("statuses", "calls") => None,
        ("statuses", _) => status::parse_status(item).map(Event::Status),
        ("messages", _) => {
            inbound::parse_message(item, value).map(|message| Event::Message(Box::new(message)))
        }
        ("calls", _) => inbound::parse_call(item, value).map(Event::Call),
        ("user_preferences", _) => inbound::parse_preference(item).map(Event::Preference),
        _ => None,
    }
}

/// Parses a change without lists.
fn parse_change(entry: &Value, change: &Value) -> Update {
    let value = &change["value"];
    let field = change["field"].as_str().unwrap_or_default();
    let at = parse_timestamp(&entry["time"]);
    let error = &value["errors"][0];
    let event = match account_notification::parse_account_notification(field, value, at) {
        Some(notification) => Event::Account(notification),
        None if error.is_object() => Event::Error(parse_error(error)),
        None => Event::Other,
    };
    let raw = json!({"entry": entry["id"], "time": entry["time"], "change": change});
    Update {
        key: content_key("other", raw.to_string().as_bytes()),
        raw,
        event,
    }
}

/// `status#{wamid}#{status}` or `message#{wamid}`. Without an id, the hash of the content.
fn item_key(prefix: &str, item: &Value) -> String {
    let state = item["status"].as_str().or_else(|| item["event"].as_str());
    match (item["id"].as_str(), state) {
        (Some(id), Some(state)) => format!("{prefix}#{id}#{state}"),
        (Some(id), None) => format!("{prefix}#{id}"),
        (None, _) => content_key(prefix, item.to_string().as_bytes()),
    }
}

fn content_key(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}#{}", hex::encode(Sha256::digest(bytes)))
}

/// The keys under which statuses of a message may be stored. Any of them names the message's row.
pub fn status_keys(wamid: &str) -> Vec<String> {
    let statuses = ["sent", "delivered", "read", "failed"];
    statuses
        .map(|status| format!("status#{wamid}#{status}"))
        .to_vec()
}

/// Parses the raw update of a status as it was stored.
pub fn parse_stored_status(raw: &str) -> Option<StatusCallback> {
    let raw: Value = serde_json::from_str(raw).ok()?;
    status::parse_status(&raw["status"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::MessageStatus;
    use proptest::prelude::*;

    fn status(extra: Value) -> StatusCallback {
        match &status_updates(extra)[0].event {
            Event::Status(status) => status.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn status_updates(extra: Value) -> Vec<Update> {
        let mut status = json!({"id": "wamid.1", "status": "delivered", "timestamp": "1698266945",
            "biz_opaque_callback_data": "c1:7:2"});
        status
            .as_object_mut()
            .expect("object")
            .extend(extra.as_object().expect("object").clone());
        let post = json!({"entry": [{"id": "9", "changes": [{"field": "messages", "value": {"statuses": [status]}}]}]});
        parse_callback(post.to_string().as_bytes())
    }

    #[test]
    fn status_without_phone_names_its_row() {
        let updates = status_updates(json!({}));
        assert_eq!(updates.len(), 1);
        assert_eq!(updates[0].key, "status#wamid.1#delivered");
        let status = status(json!({}));
        assert_eq!(
            status.correlation_id.map(|id| id.to_string()),
            Some("c1:7:2".into())
        );
        assert_eq!(
            (status.status, status.at),
            (MessageStatus::Delivered, Some(1_698_266_945_000))
        );
    }

    #[test]
    fn timestamp_may_be_string_or_number_or_milliseconds() {
        for timestamp in [
            json!("1698266945"),
            json!(1_698_266_945),
            json!("1698266945000"),
        ] {
            let status = status(json!({"timestamp": timestamp}));
            assert_eq!(status.at, Some(1_698_266_945_000));
        }
        assert_eq!(status(json!({"timestamp": null})).at, None);
    }

    #[test]
    fn failed_status_keeps_its_code() {
        let errors = json!([{"code": 131026, "title": "Message undeliverable", "error_data": {"details": "why"}}]);
        let failed = status(json!({"status": "failed", "errors": errors}));
        let MessageStatus::Failed(error) = &failed.status else {
            panic!("{failed:?}")
        };
        assert_eq!(
            (error.code, error.details.as_deref()),
            (Some(131026), Some("why"))
        );
    }

    #[test]
    fn unknown_status_is_still_a_status() {
        assert_eq!(
            status(json!({"status": "played"})).status,
            MessageStatus::Played
        );
        assert_eq!(
            status(json!({"status": "sung"})).status,
            MessageStatus::Other
        );
    }

    #[test]
    fn stored_status_names_its_row() {
        let updates = status_updates(json!({}));
        assert!(status_keys("wamid.1").contains(&updates[0].key));
        let stored = parse_stored_status(&updates[0].raw.to_string());
        let correlation_id = stored.and_then(|status| status.correlation_id);
        assert_eq!(correlation_id.map(|id| id.row), Some(7));
    }

    #[test]
    fn foreign_callback_data_is_stored_without_a_row() {
        let updates = status_updates(json!({"biz_opaque_callback_data": "not Crier's"}));
        assert!(
            matches!(&updates[0].event, Event::Status(status) if status.correlation_id.is_none())
        );
        assert_eq!(updates[0].raw["status"]["id"], "wamid.1");
    }

    proptest! {
        #[test]
        fn any_body_gives_updates_with_stable_keys(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let updates = parse_callback(&body);
            prop_assert!(!updates.is_empty());
            prop_assert_eq!(updates, parse_callback(&body));
        }
    }
}
