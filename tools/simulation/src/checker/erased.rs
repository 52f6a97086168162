//! What is left of people who were erased: nothing but what came after, and a hash.

use serde_json::Value;

use super::evidence::Evidence;
use crate::record::CampaignNotes;
use crate::violation::Violation;

/// An erasure is requested at most so long before it is answered: the API's timeout.
const REQUEST_MS: u64 = 30_000;

/// What an invocation has searched already may get something new until it is done: its timeout.
const INVOCATION_MS: u64 = 900_000;

/// The most of an item that is shown.
const SHOWN_CHARS: usize = 300;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (phone, contact) in &evidence.shown.erased {
        let requested = evidence.sends.notes.erased[phone];
        match done_at(contact) {
            None if waits_for_open_campaign(evidence, contact) => {}
            None => violations.push(Violation {
                promise: "an erasure ends",
                what: format!(
                    "{phone} was to be erased at {requested}; its stage is {}",
                    contact["erasure"]
                ),
            }),
            Some(done) => {
                let since = since(evidence, requested, done);
                let places = places(evidence, phone, since).into_iter();
                violations.extend(places.map(|place| Violation {
                    promise: "nothing is left of erased people",
                    what: format!("{phone}, erased at {requested}, done at {done}, is in {place}"),
                }));
            }
        }
    }
    violations
}

/// When the erasure of a contact was done, by what the API shows.
fn done_at(contact: &Value) -> Option<u64> {
    let consent = contact["consent"].as_array().into_iter().flatten();
    let erasures = consent.filter(|event| event["source"] == "erasure");
    let times = erasures.filter_map(|event| event["at"].as_str()?.parse::<jiff::Timestamp>().ok());
    let latest = times.max()?.as_millisecond();
    (contact["erasure"] == "done").then_some(latest as u64)
}

/// Erasure waits for campaigns that are not over; that they end is another promise.
fn waits_for_open_campaign(evidence: &Evidence<'_>, contact: &Value) -> bool {
    let stage = contact["erasure"].as_str().unwrap_or_default();
    let mut campaigns = evidence.sends.notes.campaigns.iter();
    campaigns.any(|(id, campaign)| campaign.end.is_none() && stage.contains(id.as_str()))
}

/// What Crier was told from this time on may have come after the erasure.
fn since(evidence: &Evidence<'_>, requested: u64, done: u64) -> u64 {
    let begun = requested
        .saturating_sub(REQUEST_MS)
        .max(done.saturating_sub(INVOCATION_MS));
    begun.saturating_sub(evidence.sends.skew_ms)
}

/// Where a number is that should be nowhere.
fn places(evidence: &Evidence<'_>, phone: &str, since: u64) -> Vec<String> {
    let digits = phone.trim_start_matches('+');
    let mut places = Vec::new();
    for (table, items) in &evidence.shown.tables {
        for item in items {
            let text = item.to_string();
            if text.contains(digits) && !came_after(evidence, phone, since, table, item) {
                let text: String = text.chars().take(SHOWN_CHARS).collect();
                places.push(format!("{table}: {text}"));
            }
        }
    }
    for (key, version, bytes) in &evidence.shown.objects {
        let contains =
            |encoded: &Vec<u8>| bytes.windows(encoded.len()).any(|window| window == encoded);
        let campaign = key.split('/').nth(1).unwrap_or_default();
        if encodings(digits).iter().any(contains)
            && !was_uploaded_after(evidence, phone, since, campaign)
            && !has_expired(evidence, campaign)
        {
            places.push(format!("{key}, {version}"));
        }
    }
    places
}

/// Whether an item is about something that happened after the erasure.
fn came_after(evidence: &Evidence<'_>, phone: &str, since: u64, table: &str, item: &Value) -> bool {
    match table {
        "CallbacksTable" | "InboxTable" => {
            let received = item["received_at"].as_u64();
            received.is_some_and(|at| at >= since)
        }
        "MessagesTable" => {
            let mut calls = evidence.sends.calls.iter();
            calls.any(|call| call.to == phone && call.at_ms >= since)
        }
        "ContactsTable" => {
            let named = evidence.sends.notes.named.get(phone);
            named.is_some_and(|&at| at >= since)
        }
        _ => {
            let campaign = item["id"].as_str().unwrap_or_default();
            was_uploaded_after(evidence, phone, since, campaign)
        }
    }
}

/// Whether a file with the number was uploaded to a campaign after the erasure.
fn was_uploaded_after(evidence: &Evidence<'_>, phone: &str, since: u64, campaign: &str) -> bool {
    let notes = evidence.sends.notes.campaigns.get(campaign);
    let is_listed_after = |notes: &&CampaignNotes| {
        notes.excluded.contains(phone) && notes.excluded_ms.is_some_and(|at| at >= since)
    };
    if notes.as_ref().is_some_and(is_listed_after) {
        return true;
    }
    let mut uploads = notes.iter().flat_map(|notes| &notes.uploads);
    uploads.any(|upload| upload.at_ms >= since && upload.names(phone))
}

/// Files are kept for a time of their own, after which S3 deletes them. Nobody knows of them when their campaign has
/// been deleted before.
fn has_expired(evidence: &Evidence<'_>, campaign: &str) -> bool {
    let mut items = evidence.campaign_items.iter();
    evidence.has_expired && !items.any(|item| item["id"] == campaign && item["part"] == "campaign")
}

/// A number as it may be stored: its digits as text, or as an integer of eight bytes or of variable length.
fn encodings(digits: &str) -> Vec<Vec<u8>> {
    let mut encodings = vec![digits.as_bytes().to_vec()];
    if let Ok(mut number) = digits.parse::<u64>() {
        encodings.push(number.to_le_bytes().to_vec());
        let mut varint = Vec::new();
        while number >= 0x80 {
            varint.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        varint.push(number as u8);
        encodings.push(varint);
    }
    encodings
}
