//! What the webhook acknowledged is kept, and shown with its row.

use std::collections::BTreeSet;

use serde_json::Value;

use super::evidence::Evidence;
use super::rows::{item_of, settles_later};
use crate::record::Update;
use crate::violation::Violation;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let stored = stored_updates(evidence.callbacks);
    let mut violations = Vec::new();
    for update in &evidence.sends.notes.updates {
        let phone = format!("+{}", update.phone);
        if !update.is_acknowledged || evidence.may_be_erased(&phone) {
            continue;
        }
        if !stored.contains(&(update.wamid.clone(), update.status.clone())) {
            violations.push(Violation {
                promise: "callbacks are not lost",
                what: format!("{} of {} is not stored", update.status, update.wamid),
            });
        }
        if let Some(what) = missing_in_row(evidence, update) {
            violations.push(Violation {
                promise: "a callback is shown with its row",
                what,
            });
        }
    }
    violations
}

/// Message and status of each callback in the table.
fn stored_updates(items: &[Value]) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut stored = BTreeSet::new();
    for item in items {
        let raw = item["raw"].as_str().unwrap_or_default();
        let raw: Value = serde_json::from_str(raw).unwrap_or_default();
        let (status, message) = (&raw["status"], &raw["message"]);
        if status.is_object() {
            stored.insert((text(&status["id"]), text(&status["status"])));
        } else if message.is_object() {
            stored.insert((text(&message["id"]), "inbound".to_owned()));
        }
    }
    stored
}

/// What a status says of a row and the row does not show.
fn missing_in_row(evidence: &Evidence<'_>, update: &Update) -> Option<String> {
    let mut data = update.data.split(':');
    let (campaign, row) = (data.next()?, data.next()?.parse().ok()?);
    let attempt: u64 = data.next()?.parse().ok()?;
    let notes = evidence.sends.notes.campaigns.get(campaign)?;
    if notes.may_be_deleted || evidence.has_expired {
        return None;
    }
    let Some(item) = item_of(evidence.ledger, campaign, row) else {
        return Some(format!("row {row} of {campaign} is not in the ledger"));
    };
    // A later attempt has begun.
    if item["attempt"] != attempt {
        return None;
    }
    let state = item["state"].as_str().unwrap_or_default();
    let is_delivery = ["delivered", "read"].contains(&update.status.as_str());
    if is_delivery && !notes.records_delivery(row) {
        let is_recorded = !item["delivered_at"].is_null() || !item["read_at"].is_null();
        return is_recorded.then(|| format!("the delivery of row {row} of {campaign} is recorded"));
    }
    let is_shown = match update.status.as_str() {
        "delivered" => !item["delivered_at"].is_null(),
        "read" => !item["read_at"].is_null(),
        "failed" => !item["failed_at"].is_null(),
        _ => !item["sent_at"].is_null(),
    };
    let is_settled = state == "accepted" || settles_later(item, notes);
    (!is_shown || !is_settled).then(|| {
        format!(
            "row {row} of {campaign} is {state}, and attempt {attempt} was {}: {item}",
            update.status
        )
    })
}
