//! Single messages: one key is one message, which goes to its recipient once, or visibly not.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::rows::{FINAL, rows_of};
use crate::record::SingleMessage;
use crate::violation::Violation;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut by_key: BTreeMap<&str, Vec<&SingleMessage>> = BTreeMap::new();
    for message in &evidence.sends.notes.single_messages {
        by_key.entry(&message.key).or_default().push(message);
    }
    let checked = by_key.iter().map(|(key, answers)| {
        let mut violations = Vec::new();
        violations.extend(one_message(key, answers));
        violations.extend(
            answers
                .iter()
                .filter_map(|answer| promised(evidence, answer)),
        );
        violations
    });
    checked.flatten().collect()
}

/// A key names one message, and no other body has it.
fn one_message(key: &str, answers: &[&SingleMessage]) -> Option<Violation> {
    let mut ids: Vec<&String> = answers
        .iter()
        .filter_map(|answer| answer.id.as_ref())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let is_mixed = answers
        .iter()
        .any(|answer| answer.is_other && answer.id.is_some())
        && answers
            .iter()
            .any(|answer| !answer.is_other && answer.id.is_some());
    (ids.len() > 1 || is_mixed).then(|| Violation {
        promise: "a key is one message",
        what: format!("{key} is {ids:?}"),
    })
}

/// A message that was taken is sent to its recipient, or it is settled why not.
fn promised(evidence: &Evidence<'_>, answer: &SingleMessage) -> Option<Violation> {
    let id = answer.id.as_ref()?;
    let mut calls = evidence.sends.calls.iter();
    let sent: Vec<&str> = calls
        .by_ref()
        .filter(|call| call.campaign == *id)
        .map(|call| call.to.as_str())
        .collect();
    if let Some(other) = sent.iter().find(|to| !answer.is_other && **to != answer.to) {
        return Some(Violation {
            promise: "only the recipient of a message",
            what: format!("{id} for {} went to {other}", answer.to),
        });
    }
    let rows = rows_of(evidence.ledger, id);
    let is_settled = rows
        .values()
        .any(|row| FINAL.iter().any(|state| row["state"] == *state));
    (sent.is_empty() && !is_settled && !evidence.has_expired).then(|| Violation {
        promise: "nobody is lost",
        what: format!("the message {id} was taken and never sent"),
    })
}
