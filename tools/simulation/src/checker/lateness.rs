//! Nobody waits longer than needed.

use std::collections::BTreeSet;

use super::evidence::Evidence;
use crate::record::CampaignNotes;
use crate::violation::Violation;

/// Where nothing goes wrong, a row is sent within this time, apart from what the rate takes. It is shorter than the
/// reconciler needs to find a campaign in which nothing happens.
const SOON_MS: u64 = 150_000;

/// What faults have delayed is over within this time once they have ended.
const RECOVERY_MS: u64 = 3_600_000;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (id, notes) in &evidence.sends.notes.campaigns {
        if evidence.is_calm {
            violations.extend(late_row(evidence, id, notes));
        }
        violations.extend(late_end(evidence, id, notes));
    }
    violations
}

/// A row that could have been sent much earlier. Until the last command nobody knows what its operator wants.
fn late_row(evidence: &Evidence<'_>, id: &str, notes: &CampaignNotes) -> Option<Violation> {
    // Canary rows whose callbacks are awaited make the others late.
    if notes.canary.is_some_and(|canary| !canary.waits) {
        return None;
    }
    let uploads = notes.uploads.iter().map(|upload| upload.at_ms);
    let commands = notes.commands.iter();
    let commands = commands.map(|command| command.answered_ms.unwrap_or(command.asked_ms));
    let may_be_sent_ms = uploads.chain(commands).chain(notes.not_before).max()?;
    let calls = &evidence.sends.calls;
    let pace_ms = 1_000 * calls.len() as u64 / evidence.sends.budgets.largest as u64;
    let latest_ms = may_be_sent_ms + SOON_MS + pace_ms;
    let mut seen = BTreeSet::new();
    let mut first_calls = calls
        .iter()
        .filter(|call| call.campaign == id && seen.insert(call.row));
    let late = first_calls.find(|call| call.at_ms > latest_ms)?;
    Some(Violation {
        promise: "nobody waits longer than needed",
        what: format!(
            "row {} of {id} was sent at {}, {} s after it could have been",
            late.row,
            late.at_ms,
            (late.at_ms - may_be_sent_ms) / 1_000
        ),
    })
}

/// A campaign that went on for long after the last fault, and did not wait for anything.
fn late_end(evidence: &Evidence<'_>, id: &str, notes: &CampaignNotes) -> Option<Violation> {
    let waits = notes.resends || notes.retries_undelivered;
    let since_ms = evidence.calm_ms.max(notes.not_before.unwrap_or_default());
    let end_ms = notes.end_ms.filter(|_| !waits)?;
    (end_ms > since_ms + RECOVERY_MS).then(|| Violation {
        promise: "nobody waits longer than needed",
        what: format!(
            "{id} was over at {end_ms}, {} s after the last fault",
            (end_ms - since_ms) / 1_000
        ),
    })
}
