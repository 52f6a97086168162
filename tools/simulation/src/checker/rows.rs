//! What is shown about each row is what happened to it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::evidence::Evidence;
use crate::call::{Call, Told};
use crate::record::CampaignNotes;

/// A promise, and what happened.
pub(super) type Broken = (&'static str, String);

/// States of a row that are final.
pub(super) const FINAL: [&str; 4] = ["accepted", "rejected", "unconfirmed", "skipped"];

/// Clocks that differ by more than this make a claim look abandoned while its sender works on it.
const LEASE_SKEW_MS: u64 = 60_000;

/// The rows of a campaign in the ledger: number → item.
pub(super) fn rows_of<'a>(ledger: &'a [Value], id: &str) -> BTreeMap<u32, &'a Value> {
    let is_of_campaign = |item: &&Value| {
        let key = item["partition_key"].as_str().unwrap_or_default();
        key.split('#').next() == Some(id)
    };
    let rows = ledger.iter().filter(is_of_campaign);
    rows.filter_map(|item| Some((item["row"].as_str()?.parse().ok()?, item)))
        .collect()
}

/// The item of a row.
pub(super) fn item_of<'a>(ledger: &'a [Value], id: &str, row: u32) -> Option<&'a Value> {
    let rows = rows_of(ledger, id);
    rows.get(&row).copied()
}

/// Whether a message was not delivered and is to be sent again.
pub(super) fn settles_later(row: &Value, notes: &CampaignNotes) -> bool {
    notes.retries_undelivered && !row["failed_at"].is_null()
}

/// What is shown about each row is what happened to it.
pub(super) fn truth(
    evidence: &Evidence<'_>,
    id: &str,
    notes: &CampaignNotes,
    rows: &BTreeMap<u32, &Value>,
) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut calls: BTreeMap<u32, Vec<&Call>> = BTreeMap::new();
    for call in evidence
        .sends
        .calls
        .iter()
        .filter(|call| call.campaign == id)
    {
        calls.entry(call.row).or_default().push(call);
    }
    let none = Vec::new();
    for (number, row) in rows {
        let calls = calls.get(number).unwrap_or(&none);
        let accepted = calls.iter().any(|call| call.accepted);
        let state = row["state"].as_str().unwrap_or_default();
        let was_failed = !row["failed_at"].is_null()
            || row["history"]
                .as_array()
                .is_some_and(|past| !past.is_empty());
        match state {
            "accepted" if !accepted => broken.push((
                "what is shown happened",
                format!("row {number} is accepted, which it is not"),
            )),
            "rejected" | "skipped" if accepted && !was_failed => {
                broken.push((
                    "what is shown happened",
                    format!("row {number} is {state}, and was accepted"),
                ));
            }
            "unconfirmed" if !is_explained(evidence, notes, row, calls) => broken.push((
                "unconfirmed only where it is not known",
                format!("row {number} had an outcome: {row}"),
            )),
            _ if FINAL.contains(&state) => {}
            _ => broken.push(("everything ends", format!("row {number} is {state}"))),
        }
    }
    for number in calls.keys().filter(|number| !rows.contains_key(number)) {
        broken.push((
            "what is shown happened",
            format!("row {number} was sent and is not in the ledger"),
        ));
    }
    broken
}

/// Whether nobody can know whether a row was sent: the response was lost, or the sender.
fn is_explained(
    evidence: &Evidence<'_>,
    notes: &CampaignNotes,
    row: &Value,
    calls: &[&Call],
) -> bool {
    let sends = &evidence.sends;
    let owner = row["owner"].as_str().unwrap_or_default();
    let invocation = owner.split('/').next().unwrap_or_default();
    let is_unknown =
        |call: &&Call| call.told == Told::Nothing || sends.lost.contains(&call.invocation);
    let has_past = row["history"]
        .as_array()
        .is_some_and(|past| !past.is_empty());
    sends.lost.contains(invocation)
        || calls.iter().any(is_unknown)
        // The owner of an earlier attempt is not kept.
        || (notes.resends && has_past)
        || sends.skew_ms > LEASE_SKEW_MS
        || evidence.had_outage
}
