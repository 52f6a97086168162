//! What Meta reports back: read leniently, kept raw, typed only where Crier acts.

use campaign::id::Tracker;
use campaign::outcome::{Fault, Millis};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One update of a POST: Meta packs up to 1,000 into one.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The natural key: the same update always has the same, so repeats collapse.
    pub key: String,
    /// The update as it came, with the entry and metadata it came under.
    pub raw: Value,
    /// What it says about a message of ours, where it does.
    pub report: Option<Report>,
}

/// A status of a message we sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The row and the attempt it speaks of.
    pub tracker: Tracker,
    /// The message's id.
    pub wamid: String,
    /// What happened.
    pub status: Status,
    /// When, in milliseconds; `None` where it does not say.
    pub at: Option<Millis>,
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
    /// Refused after it had been accepted.
    Failed(Fault),
    /// Played, or one that Meta adds later: the message was accepted, that much is certain.
    Other,
}

/// Splits a body into its updates; one that is no JSON, or has nothing known in it, is a single update.
pub fn read(body: &[u8]) -> Vec<Update> {
    let Ok(post) = serde_json::from_slice::<Value>(body) else {
        let raw = Value::String(String::from_utf8_lossy(body).into_owned());
        return vec![Update {
            key: format!("unreadable#{}", hash(body)),
            raw,
            report: None,
        }];
    };
    let mut updates = Vec::new();
    for entry in items(&post, "entry") {
        for change in items(entry, "changes") {
            read_change(entry, change, &mut updates);
        }
    }
    if updates.is_empty() {
        updates.push(Update {
            key: format!("other#{}", hash(body)),
            raw: post,
            report: None,
        });
    }
    updates
}

fn read_change(entry: &Value, change: &Value, updates: &mut Vec<Update>) {
    let value = &change["value"];
    let before = updates.len();
    for (list, prefix) in [("statuses", "status"), ("messages", "message")] {
        for item in items(value, list) {
            let raw = json!({
                "entry": entry["id"], "field": change["field"], "metadata": value["metadata"],
                "contacts": value["contacts"], prefix: item,
            });
            let report = if list == "statuses" {
                report(item)
            } else {
                None
            };
            updates.push(Update {
                key: key(prefix, item),
                raw,
                report,
            });
        }
    }
    if updates.len() == before {
        let raw = json!({"entry": entry["id"], "change": change});
        updates.push(Update {
            key: format!("other#{}", hash(raw.to_string().as_bytes())),
            raw,
            report: None,
        });
    }
}

/// `status#{wamid}#{status}` or `message#{wamid}`; without an id, the content's hash.
fn key(prefix: &str, item: &Value) -> String {
    match (item["id"].as_str(), item["status"].as_str()) {
        (Some(id), Some(status)) => format!("{prefix}#{id}#{status}"),
        (Some(id), None) => format!("{prefix}#{id}"),
        (None, _) => format!("{prefix}#{}", hash(item.to_string().as_bytes())),
    }
}

fn report(status: &Value) -> Option<Report> {
    let tracker = status["biz_opaque_callback_data"].as_str()?.parse().ok()?;
    let happened = match status["status"].as_str()? {
        "sent" => Status::Sent,
        "delivered" => Status::Delivered,
        "read" => Status::Read,
        "failed" => Status::Failed(fault(&status["errors"][0])),
        _ => Status::Other,
    };
    let wamid = status["id"].as_str().unwrap_or_default().to_owned();
    Some(Report {
        tracker,
        wamid,
        status: happened,
        at: millis(&status["timestamp"]),
    })
}

fn fault(error: &Value) -> Fault {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let details = text(&error["error_data"]["details"]).or_else(|| text(&error["error_data"]));
    let title = text(&error["title"])
        .or_else(|| text(&error["message"]))
        .unwrap_or_default();
    Fault {
        code: error["code"].as_i64(),
        title,
        details,
        fbtrace_id: None,
    }
}

/// Seconds as a string, says the documentation; numbers and milliseconds have been seen.
fn millis(timestamp: &Value) -> Option<Millis> {
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

fn items<'v>(value: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
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
    use proptest::prelude::*;

    fn status(extra: Value) -> Vec<Update> {
        let mut status = json!({"id": "wamid.1", "status": "delivered", "timestamp": "1698266945",
            "biz_opaque_callback_data": "c1:7:2"});
        status
            .as_object_mut()
            .expect("object")
            .extend(extra.as_object().expect("object").clone());
        let post = json!({"entry": [{"id": "9", "changes": [{"field": "messages", "value": {"statuses": [status]}}]}]});
        read(post.to_string().as_bytes())
    }

    #[test]
    fn a_status_finds_its_row_without_a_phone() {
        let updates = status(json!({}));
        assert_eq!(updates.len(), 1);
        assert_eq!(updates[0].key, "status#wamid.1#delivered");
        let report = updates[0].report.clone().expect("a report");
        assert_eq!(report.tracker.to_string(), "c1:7:2");
        assert_eq!(
            (report.status, report.at),
            (Status::Delivered, Some(1_698_266_945_000))
        );
    }

    #[test]
    fn timestamps_come_in_three_kinds() {
        for timestamp in [
            json!("1698266945"),
            json!(1_698_266_945),
            json!("1698266945000"),
        ] {
            let updates = status(json!({"timestamp": timestamp}));
            assert_eq!(
                updates[0].report.as_ref().and_then(|report| report.at),
                Some(1_698_266_945_000)
            );
        }
        assert_eq!(
            status(json!({"timestamp": null}))[0]
                .report
                .as_ref()
                .and_then(|report| report.at),
            None
        );
    }

    #[test]
    fn a_failure_keeps_its_code() {
        let errors = json!([{"code": 131026, "title": "Message undeliverable", "error_data": {"details": "why"}}]);
        let updates = status(json!({"status": "failed", "errors": errors}));
        let Some(Report {
            status: Status::Failed(fault),
            ..
        }) = &updates[0].report
        else {
            panic!("failed")
        };
        assert_eq!(
            (fault.code, fault.details.as_deref()),
            (Some(131026), Some("why"))
        );
        assert!(matches!(
            status(json!({"status": "played"}))[0].report,
            Some(Report {
                status: Status::Other,
                ..
            })
        ));
    }

    #[test]
    fn foreign_callback_data_is_kept_but_moves_nothing() {
        let updates = status(json!({"biz_opaque_callback_data": "somebody else's"}));
        assert!(updates[0].report.is_none());
        assert_eq!(updates[0].raw["status"]["id"], "wamid.1");
    }

    proptest! {
        #[test]
        fn any_body_gives_at_least_one_update_and_the_same_keys_again(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let updates = read(&body);
            prop_assert!(!updates.is_empty());
            prop_assert_eq!(updates, read(&body));
        }
    }
}
