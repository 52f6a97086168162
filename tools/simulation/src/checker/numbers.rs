//! From which number each person hears, and when nothing is sent from it.

use std::collections::BTreeMap;

use super::commands::is_paused;
use super::evidence::Sends;
use crate::call::{Call, Told};
use crate::functions::RETENTION_DAYS;
use crate::record::Command;
use crate::violation::Violation;

/// What is known of a recipient is kept for the retention after the last message; a day less is certain.
const REMEMBERED_MS: u64 = (RETENTION_DAYS as u64 - 1) * 86_400_000;

/// Errors of the number, and how long it may take until it is paused.
const NUMBER_ERRORS: [i64; 2] = [131_048, 131_045];
const PAUSE_MS: u64 = 30_000;

/// A campaign is sent from the numbers that it names, and those with several give a person the number that the
/// person knows; a number that is paused, by a command or an error, sends nothing.
pub(super) fn check(sends: &Sends<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut known: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    for call in &sends.calls {
        let (to, number) = (call.to.as_str(), call.number.as_str());
        let commands = sends.notes.number_commands.get(number);
        if commands.is_some_and(|commands| is_paused(commands, call.at_ms)) {
            violations.push(Violation {
                promise: "a pause of a number holds",
                what: format!(
                    "row {} of {} from {number} at {} by {}",
                    call.row, call.campaign, call.at_ms, call.host
                ),
            });
        }
        let Some(notes) = sends.notes.campaigns.get(&call.campaign) else {
            continue;
        };
        if !notes.numbers.is_empty() && !notes.numbers.contains(&number) {
            violations.push(Violation {
                promise: "a campaign is sent from its numbers",
                what: format!("row {} of {} from {number}", call.row, call.campaign),
            });
        }
        if notes.numbers.len() < 2 || sends.notes.may_be_forgotten(to) {
            continue;
        }
        if let Some((other, at)) = known.insert(to, (number, call.at_ms))
            && other != number
            && call.at_ms < at + REMEMBERED_MS
        {
            violations.push(Violation {
                promise: "each person hears from one number",
                what: format!(
                    "{to} from {other} at {at}, row {} of {} from {number} at {}",
                    call.row, call.campaign, call.at_ms
                ),
            });
        }
    }
    violations.extend(sends.calls.iter().find_map(|call| goes_on(sends, call)));
    violations
}

/// A message from a number after one of its messages was refused because of the number, although nobody has resumed it.
fn goes_on(sends: &Sends<'_>, refused: &Call) -> Option<Violation> {
    let is_number_error =
        matches!(refused.told, Told::Refused(code) if NUMBER_ERRORS.contains(&code));
    // Who died at once told nobody.
    if !is_number_error || sends.lost.contains(&refused.invocation) {
        return None;
    }
    let (at, number) = (refused.at_ms, refused.number.as_str());
    let commands = sends.notes.number_commands.get(number);
    let may_go_on = |command: &Command| {
        command.name == "resume"
            && command
                .answered_ms
                .is_none_or(|answered| answered + 1 >= at)
    };
    if commands.is_some_and(|commands| commands.iter().any(may_go_on)) {
        return None;
    }
    let mut calls = sends.calls.iter();
    let late = calls.find(|call| call.number == number && call.at_ms > at + PAUSE_MS)?;
    Some(Violation {
        promise: "an error of the number pauses it",
        what: format!(
            "refused at {at}, row {} of {} from {number} at {}",
            late.row, late.campaign, late.at_ms
        ),
    })
}
