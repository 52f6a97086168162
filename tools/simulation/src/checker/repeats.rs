//! Nobody is messaged twice, and nobody is tried without end.

use std::collections::BTreeMap;

use super::evidence::Sends;
use crate::call::{Call, Told};
use crate::record::CampaignNotes;
use crate::violation::Violation;

/// More messages of a row than any sequence of errors, pauses and lost responses explains.
const MOST_CALLS: usize = 60;

/// No message of a row leaves after one that may have been accepted, unless the operator chose that.
pub(super) fn check(
    sends: &Sends<'_>,
    id: &str,
    notes: &CampaignNotes,
    calls: &[&Call],
) -> Vec<Violation> {
    let mut by_row: BTreeMap<u32, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        by_row.entry(call.row).or_default().push(call);
    }
    let mut violations = Vec::new();
    for (row, calls) in by_row {
        for (index, call) in calls.iter().enumerate() {
            let is_wrong = |earlier: &&&Call| {
                may_have_been_accepted(earlier) && !may_be_repeated(sends, notes, earlier, call)
            };
            if let Some(earlier) = calls[..index].iter().find(is_wrong) {
                violations.push(Violation {
                    promise: "nobody is messaged twice",
                    what: format!("row {row} of {id}: {}", describe(earlier, call)),
                });
            }
        }
        if calls.len() > MOST_CALLS {
            violations.push(Violation {
                promise: "nobody is tried without end",
                what: format!("row {row} of {id} was sent {} times", calls.len()),
            });
        }
    }
    violations
}

fn may_have_been_accepted(call: &Call) -> bool {
    call.accepted || !matches!(call.told, Told::Refused(_))
}

/// The operator chose that what may have been sent is sent again, or what was accepted and not delivered.
fn may_be_repeated(sends: &Sends<'_>, notes: &CampaignNotes, earlier: &Call, call: &Call) -> bool {
    let is_unknown = earlier.told == Told::Nothing || sends.lost.contains(&earlier.invocation);
    (notes.resends && is_unknown)
        || (notes.retries_undelivered && was_undelivered(sends, earlier, call.at_ms))
}

/// Whether Meta had said by then that an accepted message was not delivered.
fn was_undelivered(sends: &Sends<'_>, call: &Call, by_ms: u64) -> bool {
    let data = format!("{}:{}:{}", call.campaign, call.row, call.attempt);
    let mut updates = sends.notes.updates.iter();
    updates
        .any(|update| update.status == "failed" && update.data == data && update.posted_ms <= by_ms)
}

fn describe(earlier: &Call, call: &Call) -> String {
    format!(
        "attempt {} at {} by {} ({:?}, accepted: {}), and again attempt {} at {} by {}",
        earlier.attempt,
        earlier.at_ms,
        earlier.host,
        earlier.told,
        earlier.accepted,
        call.attempt,
        call.at_ms,
        call.host
    )
}
