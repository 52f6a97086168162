//! Whether everything ended, and whether what is shown is what happened.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::calls::maybe_commanded;
use super::{Evidence, Violation};
use crate::meta::{Call, Told};
use crate::record::CampaignNotes;

/// Meta says of this number that it wants no marketing messages (131050). That is an opt-out, for other campaigns too.
const STOPPED_MARKETING: &str = "+12025550163";

/// States of a row that are final.
const FINAL: [&str; 4] = ["accepted", "rejected", "unconfirmed", "skipped"];

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(small_campaigns(evidence));
    violations.extend(attribution(evidence));
    for (id, notes) in &evidence.notes.campaigns {
        if notes.may_be_deleted {
            continue;
        }
        let mut broken = |promise, what: String| {
            violations.push(Violation {
                promise,
                what: format!("{what} ({id})"),
            });
        };
        let shown = evidence
            .campaigns
            .iter()
            .find(|campaign| campaign["id"] == id.as_str());
        let Some(shown) = shown else {
            broken("nobody is lost", GONE.into());
            continue;
        };
        if notes.end.is_none() && notes.uploads.iter().any(|upload| upload.is_usable) {
            let why = why_unfinished(evidence, id, shown);
            let what = format!("still {}{why}: {}", shown["state"], shown["rows"]);
            broken("everything ends", what);
        }
        let rows = rows_of(evidence.ledger, id);
        for (promise, what) in counters(shown, &rows)
            .into_iter()
            .chain(truth(evidence, id, &rows))
            .chain(everybody(evidence, id, notes, shown))
        {
            broken(promise, what);
        }
    }
    violations
}

/// What is said of a campaign that was deleted before it was over.
pub const GONE: &str = "the campaign is gone";

/// What is said of the message of a test or a reply that is held.
pub const HELD_FOR_EVER: &str = "a test or a reply, is held";

/// What is said of a campaign that nobody repairs any more.
pub const FORGOTTEN: &str = ", and the reconciler does not visit it";

/// What is said of a campaign with a file that cannot be used.
pub const FAILED_FILE: &str = ", with a failed file";

/// What is said of a campaign that sends a file whose import seems to have only read it.
pub const ONLY_READ: &str = ", with a file that was only read";

/// What is known about a campaign that does not end.
fn why_unfinished(evidence: &Evidence<'_>, id: &str, shown: &Value) -> &'static str {
    let has_file = |stage: &str| {
        let mut files = shown["files"].as_array().into_iter().flatten();
        files.any(|file| file["stage"] == stage)
    };
    if !is_visited(evidence, id) {
        FORGOTTEN
    } else if has_file("failed") {
        FAILED_FILE
    } else if shown["state"] == "sending" && has_file("validated") {
        ONLY_READ
    } else {
        ""
    }
}

/// Whether the reconciler still visits a campaign.
fn is_visited(evidence: &Evidence<'_>, id: &str) -> bool {
    let mut items = evidence.campaign_items.iter();
    items.any(|item| {
        item["id"] == id && item["part"] == "campaign" && !item["reconcile_key"].is_null()
    })
}

/// The rows of a campaign in the ledger: number → item.
fn rows_of<'a>(ledger: &'a [Value], id: &str) -> BTreeMap<u32, &'a Value> {
    let is_of_campaign = |item: &&Value| {
        let key = item["partition_key"].as_str().unwrap_or_default();
        key.split('#').next() == Some(id)
    };
    let rows = ledger.iter().filter(is_of_campaign);
    rows.filter_map(|item| Some((item["row"].as_str()?.parse().ok()?, item)))
        .collect()
}

type Broken = (&'static str, String);

/// Test messages and replies end, too; a test that was promised is sent.
fn small_campaigns(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let notes = evidence.notes;
    for row in evidence.ledger {
        let key = row["partition_key"].as_str().unwrap_or_default();
        let id = key.split('#').next().unwrap_or_default();
        let state = row["state"].as_str().unwrap_or_default();
        if !notes.campaigns.contains_key(id) && !FINAL.contains(&state) {
            let what = format!("the message of {id}, a test or a reply, is {state}");
            violations.push(Violation {
                promise: "everything ends",
                what,
            });
        }
    }
    for test in notes
        .campaigns
        .values()
        .flat_map(|campaign| &campaign.tests)
    {
        // A sender that died before the message left leaves it unconfirmed, visibly.
        let is_settled = rows_of(evidence.ledger, test)
            .values()
            .any(|row| FINAL.iter().any(|state| row["state"] == *state));
        let is_sent = evidence.calls.iter().any(|call| call.campaign == *test);
        if !is_sent && !is_settled && !evidence.has_expired {
            let what = format!("the test {test} was promised and never sent");
            violations.push(Violation {
                promise: "nobody is lost",
                what,
            });
        }
    }
    violations
}

/// What a recipient writes belongs to the message that was sent last.
fn attribution(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut last: BTreeMap<&str, &Call> = BTreeMap::new();
    for call in evidence.calls {
        let known = last.entry(&call.to).or_insert(call);
        if known.at_ms <= call.at_ms {
            *known = call;
        }
    }
    let mut violations = Vec::new();
    for contact in evidence.contacts {
        let Some(call) = contact["phone"].as_str().and_then(|phone| last.get(phone)) else {
            continue;
        };
        let campaign = contact["last_campaign"].as_str().unwrap_or_default();
        let may_be_erased = evidence.notes.erased.contains_key(&call.to)
            || evidence.notes.unclear_consent.contains(&call.to);
        if may_be_erased || campaign.is_empty() {
            continue;
        }
        if campaign != call.campaign || contact["last_row"] != call.row {
            let what = format!(
                "{} was messaged last by row {} of {}, and answers count for row {} of {campaign}",
                call.to, call.row, call.campaign, contact["last_row"]
            );
            violations.push(Violation {
                promise: "an answer belongs to the last message",
                what,
            });
        }
    }
    violations
}

/// What the API counts is what the ledger holds.
fn counters(shown: &Value, rows: &BTreeMap<u32, &Value>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for state in [
        "claimed",
        "retry",
        "held",
        "accepted",
        "rejected",
        "unconfirmed",
        "skipped",
    ] {
        let held = rows.values().filter(|row| row["state"] == state).count() as u64;
        let counted = shown["rows"][state].as_u64().unwrap_or_default();
        if held != counted {
            broken.push((
                "counters equal the ledger",
                format!("{held} rows are {state}, {counted} are counted"),
            ));
        }
    }
    broken
}

/// What is shown about each row is what happened to it.
fn truth(evidence: &Evidence<'_>, id: &str, rows: &BTreeMap<u32, &Value>) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut calls: BTreeMap<u32, Vec<&Call>> = BTreeMap::new();
    for call in evidence.calls.iter().filter(|call| call.campaign == id) {
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
            "unconfirmed" if calls.is_empty() && !evidence.had_deaths => {
                broken.push((
                    "unconfirmed only where it is not known",
                    format!("row {number} was never sent"),
                ));
            }
            "unconfirmed"
                if !evidence.had_deaths
                    && calls
                        .iter()
                        .all(|call| matches!(call.told, Told::Refused(_)))
                    && !calls.is_empty() =>
            {
                broken.push((
                    "unconfirmed only where it is not known",
                    format!("row {number} was refused"),
                ));
            }
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

/// Every recipient of the files was messaged, or it is said why not.
fn everybody(
    evidence: &Evidence<'_>,
    id: &str,
    notes: &CampaignNotes,
    shown: &Value,
) -> Vec<Broken> {
    let is_finished = shown["state"] == "finished";
    let is_sure = notes.uploads.iter().all(|upload| upload.is_usable) && !notes.uploads.is_empty();
    let stages = shown["files"].as_array().into_iter().flatten();
    let all_read = stages.clone().count() == notes.uploads.len()
        && stages.clone().all(|file| file["stage"] == "enqueued");
    if !is_finished || !is_sure || !all_read || maybe_commanded(notes, "cancel") {
        return Vec::new();
    }
    let calls_of = |phone: &String| {
        evidence
            .calls
            .iter()
            .any(|call| call.campaign == id && call.to == *phone)
    };
    // Whoever asked for the second column meant it.
    if notes
        .uploads
        .iter()
        .any(|upload| upload.others.keys().any(calls_of))
    {
        return Vec::new();
    }
    let recipients: BTreeSet<&String> = notes
        .uploads
        .iter()
        .flat_map(|upload| upload.recipients.keys())
        .collect();
    let count = |name: &str| shown["rows"][name].as_u64().unwrap_or_default() as usize;
    let known = count("enqueued") + count("suppressed");
    let mut broken = Vec::new();
    if known != recipients.len() {
        broken.push((
            "nobody is lost",
            format!(
                "{} recipients, {known} known: {}",
                recipients.len(),
                shown["rows"]
            ),
        ));
    }
    if notes.not_after.is_some() {
        return broken;
    }
    let called: BTreeSet<&String> = evidence
        .calls
        .iter()
        .filter(|call| call.campaign == id)
        .map(|call| &call.to)
        .collect();
    let excused = |phone: &&&String| {
        let notes = evidence.notes;
        notes.opt_outs.contains_key(**phone)
            || notes.erased.contains_key(**phone)
            || notes.unclear_consent.contains(phone)
            || **phone == STOPPED_MARKETING
    };
    let lost = recipients
        .iter()
        .filter(|phone| !called.contains(**phone))
        .filter(|phone| !excused(phone));
    let lost: Vec<_> = lost.collect();
    // A row whose sender died before the message left is unconfirmed, and nobody may send it.
    let unconfirmed = count("unconfirmed");
    if lost.len() > unconfirmed {
        broken.push((
            "nobody is lost",
            format!("{lost:?} were never messaged, {unconfirmed} are unconfirmed"),
        ));
    }
    broken
}
