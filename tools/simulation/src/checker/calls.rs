//! What was sent, to whom, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::commands::{STOP_MS, is_cancelled, is_paused};
use super::evidence::{Budgets, Sends};
use super::{account, numbers, repeats};
use crate::call::Call;
use crate::functions::SECOND_RATE;
use crate::meta::SECOND_NUMBER_ID;
use crate::record::{CampaignNotes, Command, OptOut, UploadNotes};
use crate::violation::Violation;

/// With `continue_if_clean`, callbacks are awaited for so long after the last canary row (the documentation).
const CANARY_WAIT_MS: u64 = 180_000;

/// Judges what was sent. It can be judged at any time.
pub fn check(sends: &Sends<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(ceiling(sends));
    violations.extend(account::check(sends));
    violations.extend(numbers::check(sends));
    let mut by_campaign: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in &sends.calls {
        by_campaign.entry(&call.campaign).or_default().push(call);
        violations.extend(opt_out(sends, call));
    }
    for (id, calls) in by_campaign {
        match sends.notes.campaigns.get(id) {
            Some(notes) => check_campaign(sends, id, notes, &calls, &mut violations),
            // Test messages and replies are campaigns of their own.
            None => violations.extend(repeats::check(sends, id, &CampaignNotes::default(), &calls)),
        }
    }
    violations
}

fn check_campaign(
    sends: &Sends<'_>,
    id: &str,
    notes: &CampaignNotes,
    calls: &[&Call],
    violations: &mut Vec<Violation>,
) {
    violations.extend(repeats::check(sends, id, notes, calls));
    violations.extend(recipients(id, notes, calls));
    violations.extend(readings(id, notes, calls));
    violations.extend(canary(sends, id, notes, calls));
    let skew = sends.skew_ms;
    for call in calls {
        let at = call.at_ms;
        let mut broken = |promise, why: &str| {
            let what = format!("row {} of {id} at {at} by {}, {why}", call.row, call.host);
            violations.push(Violation { promise, what });
        };
        if notes.excluded.contains(&call.to) {
            broken("nobody on the exclude list", "which is on the list");
        }
        if notes.manual_start && !was_started(notes, at) {
            broken("nothing before the start", "which nobody had started");
        }
        if notes.not_before.is_some_and(|from| at + skew < from) {
            broken("nothing before its time", "before not_before");
        }
        if notes.not_after.is_some_and(|end| at > end + STOP_MS + skew) {
            broken("nothing after its time", "after not_after");
        }
        if let Some(window) = notes.window {
            let mut possible = [at.saturating_sub(skew), at, at + skew].into_iter();
            if !possible.any(|at| window.is_open(&call.to, at)) {
                broken("nothing outside the window", "when the window was closed");
            }
        }
        if is_paused(&notes.commands, at) {
            broken("a pause holds", "in a pause");
        }
        if is_cancelled(&notes.commands, at) {
            broken("a cancellation holds", "after the cancellation");
        }
    }
}

/// The most messages that left within a half-open second from each number.
fn ceiling(sends: &Sends<'_>) -> Option<Violation> {
    let mut by_number: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for call in &sends.calls {
        by_number.entry(&call.number).or_default().push(call.at_ms);
    }
    by_number.into_iter().find_map(|(number, mut times)| {
        times.sort_unstable();
        let budgets = match number {
            SECOND_NUMBER_ID => Budgets::fixed(SECOND_RATE.budget()),
            _ => sends.budgets,
        };
        busy_second(number, &times, budgets)
    })
}

/// A second in which more messages left from a number than its budget.
fn busy_second(number: &str, times: &[u64], budgets: Budgets) -> Option<Violation> {
    for (index, first) in times.iter().enumerate() {
        let sent = times[index..].partition_point(|at| *at < first + 1_000);
        let budget = match budgets.next {
            Some((from, budget)) if *first >= from => budget,
            _ => budgets.largest,
        };
        if sent > budget {
            return Some(Violation {
                promise: "the rate is a ceiling",
                what: format!("{sent} of {budget} from {number} in the second from {first}"),
            });
        }
    }
    None
}

fn opt_out(sends: &Sends<'_>, call: &Call) -> Option<Violation> {
    let opt_outs = sends.notes.opt_outs.get(&call.to)?;
    let is_in_force = |opt_out: &&OptOut| {
        opt_out.since_ms < call.at_ms && opt_out.until_ms.is_none_or(|until| call.at_ms < until)
    };
    let opt_out = opt_outs.iter().find(is_in_force)?;
    Some(Violation {
        promise: "nobody after an opt-out",
        what: format!(
            "{} opted out at {}, row {} of {} at {} by {}",
            call.to, opt_out.since_ms, call.row, call.campaign, call.at_ms, call.host
        ),
    })
}

/// Before the operator lets the others follow, only so many recipients get a message. They follow by themselves only some
/// time after the last of the first.
fn canary(
    sends: &Sends<'_>,
    id: &str,
    notes: &CampaignNotes,
    calls: &[&Call],
) -> Option<Violation> {
    let canary = notes.canary?;
    // The rows of a further file are not held back.
    if notes.uploads.len() != 1 {
        return None;
    }
    let continues = notes
        .commands
        .iter()
        .filter(|command| command.name == "continue");
    let released_ms = continues.map(|command| command.asked_ms).min();
    let mut rows = BTreeSet::new();
    let mut last_ms = 0;
    for call in calls {
        if released_ms.is_some_and(|released| released <= call.at_ms) {
            return None;
        }
        let may_follow = call.at_ms + sends.skew_ms >= last_ms + CANARY_WAIT_MS;
        if !canary.waits && !rows.is_empty() && may_follow {
            return None;
        }
        rows.insert(call.row);
        if rows.len() > canary.rows {
            return Some(Violation {
                promise: "the canary goes first",
                what: format!(
                    "row {} of {id} at {} by {}, behind {} canary rows, the last at {last_ms}",
                    call.row, call.at_ms, call.host, canary.rows
                ),
            });
        }
        last_ms = call.at_ms;
    }
    None
}

/// Each recipient belongs to one row of a campaign, and gets the values of a row in which the recipient is.
fn recipients(id: &str, notes: &CampaignNotes, calls: &[&Call]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut row_of: BTreeMap<&str, u32> = BTreeMap::new();
    for call in calls {
        let row = *row_of.entry(&call.to).or_insert(call.row);
        if row != call.row {
            let what = format!("{} is in rows {row} and {} of {id}", call.to, call.row);
            violations.push(Violation {
                promise: "nobody is messaged twice",
                what,
            });
        }
        let mut uploads = notes.uploads.iter();
        let names: Vec<&String> = uploads
            .by_ref()
            .filter_map(|upload| {
                upload
                    .recipients
                    .get(&call.to)
                    .or_else(|| upload.others.get(&call.to))
            })
            .collect();
        if names.is_empty() {
            let what = format!("{} is in no file of {id}", call.to);
            violations.push(Violation {
                promise: "only recipients of the file",
                what,
            });
        } else if !names.contains(&&call.name) {
            let what = format!(
                "{} of {id} got the values of {}, not of {names:?}",
                call.to, call.name
            );
            violations.push(Violation {
                promise: "each recipient gets the values of the row",
                what,
            });
        }
    }
    violations
}

/// A file is read in one way: its recipients come from one column, whatever options were tried before the start.
fn readings(id: &str, notes: &CampaignNotes, calls: &[&Call]) -> Option<Violation> {
    let is_in = |column: fn(&UploadNotes) -> &BTreeMap<String, String>| {
        calls.iter().any(|call| {
            let mut uploads = notes.uploads.iter().take(1);
            uploads.any(|upload| column(upload).contains_key(&call.to))
        })
    };
    let both = is_in(|upload| &upload.recipients) && is_in(|upload| &upload.others);
    (both && notes.uploads.len() == 1).then(|| Violation {
        promise: "a file is read in one way",
        what: format!("recipients of {id} come from two columns"),
    })
}

/// A command that may have taken effect.
fn may_have_succeeded(command: &&Command) -> bool {
    command.succeeded || command.answered_ms.is_none()
}

fn was_started(notes: &CampaignNotes, at: u64) -> bool {
    let mut starts = notes
        .commands
        .iter()
        .filter(|command| command.name == "start");
    // An answer that says it did not work may follow one that was lost and says it did.
    starts.any(|start| start.asked_ms <= at)
}

/// Whether a command of this name may have taken effect.
pub(super) fn maybe_commanded(notes: &CampaignNotes, name: &str) -> bool {
    let mut commands = notes.commands.iter().filter(|command| command.name == name);
    commands.any(|command| may_have_succeeded(&command))
}
