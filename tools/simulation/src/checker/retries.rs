//! Whether a retry messages exactly whom its operator chose.

use super::evidence::Evidence;
use crate::record::Retry;
use crate::violation::Violation;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let retries = evidence.sends.notes.retries.iter();
    retries
        .flat_map(|retry| unwanted(evidence, retry))
        .collect()
}

/// Recipients of the retry whom its operator did not choose: who was accepted, and was not reported as failed, or who was
/// never in the campaign.
fn unwanted(evidence: &Evidence<'_>, retry: &Retry) -> Vec<Violation> {
    let calls = &evidence.sends.calls;
    let mut violations = Vec::new();
    for call in calls.iter().filter(|call| call.campaign == retry.id) {
        let mut before = calls
            .iter()
            .filter(|before| before.campaign == retry.of && before.to == call.to);
        let was_reached = before
            .clone()
            .any(|before| before.accepted && !has_failed(evidence, before));
        let why = if before.next().is_none() && !retry.chooses_skipped {
            "who was not messaged by it"
        } else if was_reached && !retry.chooses_reached {
            "who was accepted"
        } else {
            continue;
        };
        violations.push(Violation {
            promise: "a retry has the chosen rows",
            what: format!(
                "row {} of {}, a retry of {}, at {}, {why}",
                call.row, retry.id, retry.of, call.at_ms
            ),
        });
    }
    violations
}

/// Whether Meta reported that the message was not delivered.
fn has_failed(evidence: &Evidence<'_>, call: &crate::call::Call) -> bool {
    let data = format!("{}:{}:{}", call.campaign, call.row, call.attempt);
    let mut updates = evidence.sends.notes.updates.iter();
    updates.any(|update| update.status == "failed" && update.data == data)
}
