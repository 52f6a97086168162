//! Nobody waits longer than needed.

use std::collections::BTreeSet;

use super::evidence::Evidence;
use crate::call::Call;
use crate::functions::SECOND_RATE;
use crate::record::CampaignNotes;
use crate::violation::Violation;

/// Where nothing goes wrong, a row is sent within this time, apart from what the rate takes. It is shorter than the
/// reconciler needs to find a campaign in which nothing happens.
const SOON_MS: u64 = 150_000;

/// What faults have delayed is over within this time once they have ended.
const RECOVERY_MS: u64 = 3_600_000;

const MINUTE_MS: u64 = 60_000;

/// Hours after the faults, the world lets the reconciler act rarely, and nothing is said about what waits for it.
const RARELY_FROM_MS: u64 = 2 * 3_600_000;

/// No window is closed for longer: a day off, and the hours of other zones.
const LONGEST_CLOSED_MS: u64 = 34 * 3_600_000;

/// The reconciler acts within this time after a window opens (`infra/template.yaml`).
const RECONCILED_MS: u64 = 300_000;

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
    let of_numbers = evidence.sends.notes.number_commands.values().flatten();
    let commands = notes.commands.iter().chain(of_numbers);
    let commands = commands.map(|command| command.answered_ms.unwrap_or(command.asked_ms));
    let may_be_sent_ms = uploads.chain(commands).chain(notes.not_before).max()?;
    let calls = &evidence.sends.calls;
    // The second number may have the smaller budget.
    let budget = evidence
        .sends
        .budgets
        .largest
        .min(SECOND_RATE.budget() as usize);
    let pace_ms = 1_000 * calls.len() as u64 / budget as u64;
    let latest_ms = may_be_sent_ms + SOON_MS + pace_ms;
    let mut seen = BTreeSet::new();
    let mut first_calls = calls
        .iter()
        .filter(|call| call.campaign == id && seen.insert(call.row));
    let is_late = |call: &&Call| match notes.window {
        // It may wait, and again for its turn after each opening.
        Some(window) => {
            let (open, openings) = window.open_minutes(&call.to, may_be_sent_ms, call.at_ms);
            let is_reconciled = call.at_ms < evidence.calm_ms + RARELY_FROM_MS;
            let may_take_ms = SOON_MS + pace_ms + openings * (RECONCILED_MS + SOON_MS + pace_ms);
            is_reconciled && open * MINUTE_MS > may_take_ms
        }
        None => call.at_ms > latest_ms,
    };
    let late = first_calls.find(|call| is_late(call))?;
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
    let may_wait_ms = match notes.window {
        Some(_) => LONGEST_CLOSED_MS,
        None => 0,
    };
    (end_ms > since_ms + RECOVERY_MS + may_wait_ms).then(|| Violation {
        promise: "nobody waits longer than needed",
        what: format!(
            "{id} was over at {end_ms}, {} s after the last fault",
            (end_ms - since_ms) / 1_000
        ),
    })
}
