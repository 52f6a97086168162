//! An error of the account pauses every campaign that sends.

use super::evidence::Sends;
use crate::call::{Call, Told};
use crate::record::{CampaignNotes, Command};
use crate::violation::Violation;

/// Errors of the account, and how long it may take until all of its campaigns are paused.
const ACCOUNT_ERRORS: [i64; 3] = [131_042, 131_031, 368];
const PAUSE_MS: u64 = 30_000;

/// A campaign sent so short a time before an error that it was being sent.
const SENDING_MS: u64 = 10_000;

/// When they are paused if the sender died meanwhile, in milliseconds: two runs of the reconciler may fail.
const REPAIR_MS: u64 = 16 * 60_000;

pub(super) fn check(sends: &Sends<'_>) -> Option<Violation> {
    let refused = sends.calls.iter().filter(|call| is_account_error(call));
    let mut campaigns = refused.flat_map(|call| {
        let campaigns = sends.notes.campaigns.iter();
        campaigns.map(move |(id, notes)| (call, id, notes))
    });
    campaigns.find_map(|(call, id, notes)| goes_on(sends, call, id, notes))
}

fn is_account_error(call: &Call) -> bool {
    matches!(call.told, Told::Refused(code) if ACCOUNT_ERRORS.contains(&code))
}

/// A campaign that was being sent when a message was refused, and goes on although nobody wants it to.
fn goes_on(
    sends: &Sends<'_>,
    refused: &Call,
    id: &str,
    notes: &CampaignNotes,
) -> Option<Violation> {
    let at = refused.at_ms;
    let calls = || sends.calls.iter().filter(|call| call.campaign == id);
    let sends_at = |call: &Call| (at.saturating_sub(SENDING_MS)..=at).contains(&call.at_ms);
    // A resume whose answer came later, and a pause of the operator's that was resumed, say nothing.
    let may_go_on = |command: &Command| {
        command.name != "pause"
            && command
                .answered_ms
                .is_none_or(|answered| answered + 1 >= at)
    };
    if !calls().any(sends_at) || notes.commands.iter().any(may_go_on) {
        return None;
    }
    let is_lost = sends.lost.contains(&refused.invocation);
    let within = if is_lost { REPAIR_MS } else { PAUSE_MS };
    let late = calls().find(|call| call.at_ms > at + within)?;
    let began = || {
        let mut changes = sends.changes.iter();
        changes.any(|(changed, host)| *changed >= at && *host == refused.host)
    };
    // Who died at once told nobody.
    if is_lost && !began() {
        return None;
    }
    Some(Violation {
        promise: "an error of the account pauses all campaigns",
        what: format!(
            "refused at {at}, row {} of {id} at {}",
            late.row, late.at_ms
        ),
    })
}
