//! Whether everything ended, and whether what is shown is what happened.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::calls::maybe_commanded;
use super::counters::counters;
use super::evidence::Evidence;
use super::rows::{self, Broken, FINAL, rows_of};
use crate::call::Call;
use crate::record::CampaignNotes;
use crate::violation::Violation;

/// Meta says of this number that it wants no marketing messages (131050). That is an opt-out, for other campaigns too.
const STOPPED_MARKETING: &str = "+12025550163";

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(small_campaigns(evidence));
    violations.extend(attribution(evidence));
    for (id, notes) in &evidence.sends.notes.campaigns {
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
        for (promise, what) in counters(notes, shown, &rows)
            .into_iter()
            .chain(rows::truth(evidence, id, notes, &rows))
            .chain(everybody(evidence, id, notes, shown))
        {
            broken(promise, what);
        }
    }
    violations
}

/// What is said of a campaign that was deleted before it was over.
const GONE: &str = "the campaign is gone";

/// What is said of the message of a test or a reply that is not settled.
const UNREPAIRED: &str = "a test or a reply, is";

/// What is said of a campaign that nobody repairs any more.
const FORGOTTEN: &str = ", and the reconciler does not visit it";

/// What is said of a campaign with a file that cannot be used.
const FAILED_FILE: &str = ", with a failed file";

/// What is said of a campaign that sends a file whose import seems to have only read it.
const ONLY_READ: &str = ", with a file that was only read";

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

/// Test messages and replies end, too; a test that was promised is sent.
fn small_campaigns(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let notes = evidence.sends.notes;
    for row in evidence.ledger {
        let key = row["partition_key"].as_str().unwrap_or_default();
        let id = key.split('#').next().unwrap_or_default();
        let state = row["state"].as_str().unwrap_or_default();
        if !notes.campaigns.contains_key(id) && !FINAL.contains(&state) {
            let what = format!("the message of {id}, {UNREPAIRED} {state}");
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
        let is_sent = evidence
            .sends
            .calls
            .iter()
            .any(|call| call.campaign == *test);
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

/// A sender notes in the contact that it is going to send, and sends after that: of two messages at the same time, either
/// may be taken for the last.
const NOTE_BEFORE_CALL_MS: u64 = 30_000;

/// What a recipient writes belongs to the message that was sent last.
fn attribution(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut last: BTreeMap<&str, &Call> = BTreeMap::new();
    for call in &evidence.sends.calls {
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
        let may_be_erased = evidence.sends.notes.erased.contains_key(&call.to)
            || evidence.sends.notes.unclear_consent.contains(&call.to);
        if may_be_erased || campaign.is_empty() {
            continue;
        }
        let mut calls = evidence.sends.calls.iter();
        let is_named = |named: &&Call| {
            named.to == call.to && named.campaign == campaign && contact["last_row"] == named.row
        };
        // Without a call, its sender has died between the note and the request.
        let named_at = calls
            .rfind(is_named)
            .map_or(call.at_ms, |named| named.at_ms);
        if named_at + NOTE_BEFORE_CALL_MS < call.at_ms {
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

/// Every recipient of the files was messaged, or it is said why not.
fn everybody(
    evidence: &Evidence<'_>,
    id: &str,
    notes: &CampaignNotes,
    shown: &Value,
) -> Vec<Broken> {
    let Some(recipients) = certain_recipients(evidence, id, notes, shown) else {
        return Vec::new();
    };
    let count = |name: &str| shown["rows"][name].as_u64().unwrap_or_default() as usize;
    let known = count("enqueued") + count("suppressed");
    let mut broken = Vec::new();
    // Nobody knows any more that somebody who was erased from one file is in a further one, too.
    let erased = &evidence.sends.notes.erased;
    let erased = recipients
        .iter()
        .filter(|phone| erased.contains_key(**phone));
    // Somebody on the exclude list is left out of each file anew.
    let excluded = |phone: &&&String| notes.excluded.contains(**phone);
    let in_files = |phone: &&String| {
        let uploads = notes.uploads.iter();
        uploads
            .filter(|upload| upload.recipients.contains_key(*phone))
            .count()
    };
    let again = recipients.iter().filter(excluded);
    let again: usize = again.map(|phone| in_files(phone) - 1).sum();
    let possible = recipients.len()..=recipients.len() + erased.count() + again;
    if !possible.contains(&known) {
        let (recipients, rows) = (recipients.len(), &shown["rows"]);
        let what = format!("{recipients} recipients, {known} known: {rows}");
        broken.push(("nobody is lost", what));
    }
    if notes.not_after.is_some() {
        return broken;
    }
    let is_called = |phone: &&&String| {
        let mut calls = evidence.sends.calls.iter();
        calls.any(|call| call.campaign == id && call.to == ***phone)
    };
    let lost = recipients.iter().filter(|phone| !is_called(phone));
    let lost: Vec<_> = lost
        .filter(|phone| !notes.excluded.contains(**phone) && !is_excused(evidence, phone))
        .collect();
    // A row whose sender died before the message left is unconfirmed, and nobody may send it.
    let unconfirmed = count("unconfirmed");
    // Rows that were paused until the campaign's end are skipped, visibly.
    let expired = match evidence.has_expired {
        true => count("skipped"),
        false => 0,
    };
    if lost.len() > unconfirmed + expired {
        let what = format!("{lost:?} were never messaged, {unconfirmed} are unconfirmed");
        broken.push(("nobody is lost", what));
    }
    broken
}

/// The recipients that a finished campaign must have, if that is certain.
fn certain_recipients<'a>(
    evidence: &Evidence<'_>,
    id: &str,
    notes: &'a CampaignNotes,
    shown: &Value,
) -> Option<BTreeSet<&'a String>> {
    let uploads = &notes.uploads;
    let files: Vec<&Value> = shown["files"].as_array().into_iter().flatten().collect();
    let all_read =
        files.len() == uploads.len() && files.iter().all(|file| file["stage"] == "enqueued");
    let all_usable = !uploads.is_empty() && uploads.iter().all(|upload| upload.is_usable);
    let is_certain =
        shown["state"] == "finished" && all_read && all_usable && !maybe_commanded(notes, "cancel");
    // Whoever asked for the second column meant it. Only calls show whether that was what they got.
    let is_other = |call: &Call| {
        let mut uploads = uploads.iter();
        uploads.any(|upload| upload.others.contains_key(&call.to))
    };
    let calls = evidence.sends.calls.iter();
    let mut calls = calls.filter(|call| call.campaign == id).peekable();
    let is_unclear = notes.changes_options && calls.peek().is_none();
    let uses_others = calls.any(is_other);
    let recipients = uploads.iter().flat_map(|upload| upload.recipients.keys());
    (is_certain && !is_unclear && !uses_others).then(|| recipients.collect())
}

/// Whether somebody need not be messaged.
pub(super) fn is_excused(evidence: &Evidence<'_>, phone: &String) -> bool {
    let notes = evidence.sends.notes;
    notes.opt_outs.contains_key(phone)
        || notes.erased.contains_key(phone)
        || notes.unclear_consent.contains(phone)
        || phone == STOPPED_MARKETING
}
