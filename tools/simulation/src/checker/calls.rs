//! What was sent, to whom, and when.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use crate::call::{Call, Told};
use crate::record::{CampaignNotes, Command, UploadNotes};
use crate::violation::Violation;

/// A pause or a cancellation holds from so long after its answer on (the documentation).
const PAUSE_MS: u64 = 2_000;

/// Errors of the account, and how long it may take until all of its campaigns are paused.
pub const ACCOUNT_ERRORS: [i64; 3] = [131_042, 131_031, 368];
const ACCOUNT_PAUSE_MS: u64 = 30_000;

/// Endings of magic numbers whose messages are accepted and fail later.
const FAIL_LATER: std::ops::RangeInclusive<u32> = 60..=67;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(ceiling(evidence));
    violations.extend(account_errors(evidence));
    let mut by_campaign: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in evidence.calls {
        by_campaign.entry(&call.campaign).or_default().push(call);
        violations.extend(opt_out(evidence, call));
    }
    for (id, calls) in by_campaign {
        match evidence.notes.campaigns.get(id) {
            Some(notes) => check_campaign(evidence, id, notes, &calls, &mut violations),
            // Test messages and replies are campaigns of their own.
            None => violations.extend(repeats(id, &CampaignNotes::default(), &calls)),
        }
    }
    violations
}

fn check_campaign(
    evidence: &Evidence<'_>,
    id: &str,
    notes: &CampaignNotes,
    calls: &[&Call],
    violations: &mut Vec<Violation>,
) {
    violations.extend(repeats(id, notes, calls));
    violations.extend(recipients(id, notes, calls));
    violations.extend(readings(id, notes, calls));
    let skew = evidence.skew_ms;
    for call in calls {
        let at = call.at_ms;
        let mut broken = |promise, why: &str| {
            let what = format!("row {} of {id} at {at} by {}, {why}", call.row, call.host);
            violations.push(Violation { promise, what });
        };
        if notes.manual_start && !was_started(notes, at) {
            broken("nothing before the start", "which nobody had started");
        }
        if notes.not_before.is_some_and(|from| at + skew < from) {
            broken("nothing before its time", "before not_before");
        }
        if notes
            .not_after
            .is_some_and(|end| at > end + PAUSE_MS + skew)
        {
            broken("nothing after its time", "after not_after");
        }
        if is_paused(&notes.commands, at) {
            broken("a pause holds", "in a pause");
        }
        if is_cancelled(&notes.commands, at) {
            broken("a cancellation holds", "after the cancellation");
        }
    }
}

/// The most messages that left within a half-open second.
fn ceiling(evidence: &Evidence<'_>) -> Option<Violation> {
    let mut times: Vec<u64> = evidence.calls.iter().map(|call| call.at_ms).collect();
    times.sort_unstable();
    let in_second = |(index, first): (usize, &u64)| {
        (
            times[index..].partition_point(|at| *at < first + 1_000),
            *first,
        )
    };
    let (most, at) = times.iter().enumerate().map(in_second).max()?;
    (most > evidence.budget).then(|| Violation {
        promise: "the rate is a ceiling",
        what: format!("{most} of {} in the second from {at}", evidence.budget),
    })
}

fn opt_out(evidence: &Evidence<'_>, call: &Call) -> Option<Violation> {
    let since = *evidence.notes.opt_outs.get(&call.to)?;
    (call.at_ms > since).then(|| Violation {
        promise: "nobody after an opt-out",
        what: format!(
            "{} opted out at {since}, row {} of {} at {} by {}",
            call.to, call.row, call.campaign, call.at_ms, call.host
        ),
    })
}

/// No message of a row after one that may have been accepted.
fn repeats(id: &str, notes: &CampaignNotes, calls: &[&Call]) -> Vec<Violation> {
    let mut by_row: BTreeMap<u32, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        by_row.entry(call.row).or_default().push(call);
    }
    let mut violations = Vec::new();
    for (row, calls) in by_row {
        for (index, call) in calls.iter().enumerate() {
            let maybe_sent =
                |earlier: &&&Call| earlier.accepted || !matches!(earlier.told, Told::Refused(_));
            let Some(earlier) = calls[..index].iter().find(maybe_sent) else {
                continue;
            };
            if notes.resends || (notes.retries_undelivered && fails_later(&call.to)) {
                continue;
            }
            let what = format!(
                "row {row} of {id}: attempt {} at {} by {} ({:?}, accepted: {}), and again attempt {} at {} by {}",
                earlier.attempt,
                earlier.at_ms,
                earlier.host,
                earlier.told,
                earlier.accepted,
                call.attempt,
                call.at_ms,
                call.host
            );
            violations.push(Violation {
                promise: "nobody is messaged twice",
                what,
            });
        }
    }
    violations
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

/// An error of the account pauses every campaign that sends.
fn account_errors(evidence: &Evidence<'_>) -> Option<Violation> {
    let is_account =
        |call: &&Call| matches!(call.told, Told::Refused(code) if ACCOUNT_ERRORS.contains(&code));
    let refused = evidence.calls.iter().find(is_account)?;
    let at = refused.at_ms;
    for (id, notes) in &evidence.notes.campaigns {
        let calls = evidence.calls.iter().filter(|call| call.campaign == *id);
        let was_sending = calls
            .clone()
            .any(|call| (at.saturating_sub(10_000)..=at).contains(&call.at_ms));
        let goes_on = |command: &Command| {
            command.name != "pause"
                && command
                    .answered_ms
                    .is_none_or(|answered| answered + 1 >= at)
        };
        let late = calls
            .clone()
            .find(|call| call.at_ms > at + ACCOUNT_PAUSE_MS);
        if let Some(late) = late
            && was_sending
            && !notes.commands.iter().any(goes_on)
        {
            return Some(Violation {
                promise: "an error of the account pauses all campaigns",
                what: format!(
                    "refused at {at}, row {} of {id} at {}",
                    late.row, late.at_ms
                ),
            });
        }
    }
    None
}

fn fails_later(to: &str) -> bool {
    let ending = to
        .strip_prefix("+120255501")
        .and_then(|ending| ending.parse().ok());
    ending.is_some_and(|ending| FAIL_LATER.contains(&ending))
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

/// Whether a pause took effect before `at`, and nothing that ends it may have done so since. Commands may overlap.
fn is_paused(commands: &[Command], at: u64) -> bool {
    let holds = |pause: &&Command| {
        pause.succeeded
            && pause
                .answered_ms
                .is_some_and(|answered| answered + PAUSE_MS < at)
    };
    let ends = |pause: &Command, command: &Command| {
        matches!(command.name, "resume" | "start" | "continue")
            && command.asked_ms <= at
            && command
                .answered_ms
                .is_none_or(|answered| answered >= pause.asked_ms)
    };
    let mut pauses = commands
        .iter()
        .filter(|command| command.name == "pause")
        .filter(holds);
    pauses.any(|pause| !commands.iter().any(|command| ends(pause, command)))
}

fn is_cancelled(commands: &[Command], at: u64) -> bool {
    let mut cancels = commands
        .iter()
        .filter(|command| command.name == "cancel" && command.succeeded);
    cancels.any(|cancel| {
        cancel
            .answered_ms
            .is_some_and(|answered| answered + PAUSE_MS < at)
    })
}

/// Whether a command of this name may have taken effect.
pub(super) fn maybe_commanded(notes: &CampaignNotes, name: &str) -> bool {
    let mut commands = notes.commands.iter().filter(|command| command.name == name);
    commands.any(|command| may_have_succeeded(&command))
}
