//! What Meta reports back: read leniently, kept raw, typed only where Crier acts.
//!
//! - [`Report`](crate::status::Report): a status of a message
//! - [`Inbound`](crate::inbound::Inbound), [`Preference`](crate::inbound::Preference): what people say
//! - [`Notice`](crate::account_notification::Notice): what Meta says of templates, numbers and the account

use campaign::delivery::outcome::{ErrorInfo, Millis};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account_notification::{self, AccountNotification};
use crate::inbound::{self, MarketingPreference, ReceivedMessage};
use crate::status::{self, StatusCallback};

/// One update of a POST: Meta packs up to 1,000 into one.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The natural key: the same update always has the same, so repeats collapse.
    pub key: String,
    /// The update as it came, with the entry and metadata it came under.
    pub raw: Value,
    /// What it says.
    pub event: Event,
}

/// What an update says, as far as Crier acts on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A status of a message.
    Status(StatusCallback),
    /// Somebody wrote, or pressed a button.
    Message(Box<ReceivedMessage>),
    /// Somebody changed whether they want marketing messages.
    Preference(MarketingPreference),
    /// Something happened to a template, the number or the account.
    Account(AccountNotification),
    /// Meta could not do something, and says so beside no message.
    Error(ErrorInfo),
    /// Anything else, kept raw.
    Other,
}

/// Somebody, as Meta names them: since 2026 a phone may be absent everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactIds {
    /// The number, digits alone.
    pub phone: Option<String>,
    /// The business-scoped user id.
    pub user_id: Option<String>,
}

/// The lists of a change that hold updates of their own, and what their keys begin with.
const LISTS: [(&str, &str); 6] = [
    ("statuses", "status"),
    ("messages", "message"),
    ("user_preferences", "preference"),
    ("message_echoes", "echo"),
    ("calls", "call"),
    ("groups", "group"),
];

/// Splits a body into its updates; one that is no JSON, or has nothing known in it, is a single update.
pub fn parse_callback(body: &[u8]) -> Vec<Update> {
    let Ok(post) = serde_json::from_slice::<Value>(body) else {
        let raw = Value::String(String::from_utf8_lossy(body).into_owned());
        return vec![Update {
            key: format!("unreadable#{}", hash(body)),
            raw,
            event: Event::Other,
        }];
    };
    let mut updates = Vec::new();
    for entry in list_items(&post, "entry") {
        for change in list_items(entry, "changes") {
            read_change(entry, change, &mut updates);
        }
    }
    if updates.is_empty() {
        updates.push(Update {
            key: format!("other#{}", hash(body)),
            raw: post,
            event: Event::Other,
        });
    }
    updates
}

fn read_change(entry: &Value, change: &Value, updates: &mut Vec<Update>) {
    let value = &change["value"];
    let field = change["field"].as_str().unwrap_or_default();
    let before = updates.len();
    for (list, prefix) in LISTS {
        for item in list_items(value, list) {
            let raw = json!({
                "entry": entry["id"], "field": change["field"], "metadata": value["metadata"],
                "contacts": value["contacts"], prefix: item,
            });
            let event = match (list, field) {
                // Calls have statuses, too, under a field of their own.
                ("statuses", "calls") => Event::Other,
                ("statuses", _) => status::parse_status(item).map_or(Event::Other, Event::Status),
                ("messages", _) => inbound::parse_message(item, value)
                    .map_or(Event::Other, |inbound| Event::Message(Box::new(inbound))),
                ("user_preferences", _) => {
                    inbound::parse_preference(item).map_or(Event::Other, Event::Preference)
                }
                _ => Event::Other,
            };
            updates.push(Update {
                key: key(prefix, item),
                raw,
                event,
            });
        }
    }
    if updates.len() == before {
        let raw = json!({"entry": entry["id"], "time": entry["time"], "change": change});
        let event = match account_notification::parse_account_notification(
            field,
            value,
            parse_timestamp(&entry["time"]),
        ) {
            Some(notice) => Event::Account(notice),
            None if value["errors"][0].is_object() => {
                Event::Error(parse_error(&value["errors"][0]))
            }
            None => Event::Other,
        };
        updates.push(Update {
            key: format!("other#{}", hash(raw.to_string().as_bytes())),
            raw,
            event,
        });
    }
}

/// `status#{wamid}#{status}` or `message#{wamid}`; without an id, the content's hash.
fn key(prefix: &str, item: &Value) -> String {
    let happened = item["status"].as_str().or_else(|| item["event"].as_str());
    match (item["id"].as_str(), happened) {
        (Some(id), Some(happened)) => format!("{prefix}#{id}#{happened}"),
        (Some(id), None) => format!("{prefix}#{id}"),
        (None, _) => format!("{prefix}#{}", hash(item.to_string().as_bytes())),
    }
}

/// Where a status of this message is kept that tells which row it belongs to, whichever of them came.
pub fn status_keys(wamid: &str) -> Vec<String> {
    let statuses = ["sent", "delivered", "read", "failed"];
    statuses
        .map(|status| format!("status#{wamid}#{status}"))
        .to_vec()
}

/// A kept status again.
pub fn parse_stored_status(raw: &str) -> Option<StatusCallback> {
    let raw: Value = serde_json::from_str(raw).ok()?;
    status::parse_status(&raw["status"])
}

/// An error object of a callback.
pub(crate) fn parse_error(error: &Value) -> ErrorInfo {
    let details = text(&error["error_data"]["details"]).or_else(|| text(&error["error_data"]));
    let title = text(&error["title"])
        .or_else(|| text(&error["message"]))
        .unwrap_or_default();
    ErrorInfo {
        code: error["code"].as_i64(),
        title,
        details,
        fbtrace_id: None,
    }
}

pub(crate) fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// A number or an id, which come as text or as numbers.
pub(crate) fn digits(value: &Value) -> Option<String> {
    text(value).or_else(|| value.as_u64().map(|number| number.to_string()))
}

/// Seconds as a string, says the documentation; numbers and milliseconds have been seen.
pub(crate) fn parse_timestamp(timestamp: &Value) -> Option<Millis> {
    let number = timestamp
        .as_u64()
        .or_else(|| timestamp.as_str()?.trim().parse().ok())?;
    const YEAR_5138_IN_SECONDS: u64 = 100_000_000_000;
    Some(if number < YEAR_5138_IN_SECONDS {
        number * 1000
    } else {
        number
    })
}

pub(crate) fn list_items<'v>(value: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    value[list]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::MessageStatus;
    use proptest::prelude::*;

    fn report(extra: Value) -> StatusCallback {
        match &status(extra)[0].event {
            Event::Status(report) => report.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn status(extra: Value) -> Vec<Update> {
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
    fn a_status_finds_its_row_without_a_phone() {
        let updates = status(json!({}));
        assert_eq!(updates.len(), 1);
        assert_eq!(updates[0].key, "status#wamid.1#delivered");
        let report = report(json!({}));
        assert_eq!(
            report.correlation_id.map(|tracker| tracker.to_string()),
            Some("c1:7:2".into())
        );
        assert_eq!(
            (report.status, report.at),
            (MessageStatus::Delivered, Some(1_698_266_945_000))
        );
    }

    #[test]
    fn timestamps_come_in_three_kinds() {
        for timestamp in [
            json!("1698266945"),
            json!(1_698_266_945),
            json!("1698266945000"),
        ] {
            let report = report(json!({"timestamp": timestamp}));
            assert_eq!(report.at, Some(1_698_266_945_000));
        }
        assert_eq!(report(json!({"timestamp": null})).at, None);
    }

    #[test]
    fn a_failure_keeps_its_code() {
        let errors = json!([{"code": 131026, "title": "Message undeliverable", "error_data": {"details": "why"}}]);
        let MessageStatus::Failed(fault) =
            report(json!({"status": "failed", "errors": errors})).status
        else {
            panic!("failed")
        };
        assert_eq!(
            (fault.code, fault.details.as_deref()),
            (Some(131026), Some("why"))
        );
    }

    #[test]
    fn a_status_that_is_not_known_yet_is_one_all_the_same() {
        assert_eq!(
            report(json!({"status": "played"})).status,
            MessageStatus::Played
        );
        assert_eq!(
            report(json!({"status": "sung"})).status,
            MessageStatus::Other
        );
    }

    #[test]
    fn a_kept_status_tells_its_row_again() {
        let updates = status(json!({}));
        assert!(status_keys("wamid.1").contains(&updates[0].key));
        let kept = parse_stored_status(&updates[0].raw.to_string())
            .and_then(|report| report.correlation_id);
        assert_eq!(kept.map(|tracker| tracker.row), Some(7));
    }

    #[test]
    fn foreign_callback_data_is_kept_but_moves_nothing() {
        let updates = status(json!({"biz_opaque_callback_data": "somebody else's"}));
        assert!(
            matches!(&updates[0].event, Event::Status(report) if report.correlation_id.is_none())
        );
        assert_eq!(updates[0].raw["status"]["id"], "wamid.1");
    }

    proptest! {
        #[test]
        fn any_body_gives_at_least_one_update_and_the_same_keys_again(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let updates = parse_callback(&body);
            prop_assert!(!updates.is_empty());
            prop_assert_eq!(updates, parse_callback(&body));
        }
    }
}
