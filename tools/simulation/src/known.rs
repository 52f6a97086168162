//! Faults that are known and not removed yet. A life in which nothing but these shows has not failed; a fault that is removed
//! is taken from this list, so that it is found if it comes back.

use crate::checker::erased::UNREAD;
use crate::checker::outcome::{FAILED_FILE, FORGOTTEN, GONE, ONLY_READ, UNREPAIRED};
use crate::record::Notes;
use crate::violation::Violation;

/// A fault that is known.
pub struct KnownFault {
    /// Its name.
    pub name: &'static str,
    /// What it is, and where it is removed.
    pub about: &'static str,
    shows: fn(&Violation, &Notes) -> bool,
}

/// The faults that are known.
pub const KNOWN_FAULTS: &[KnownFault] = &[
    KnownFault {
        name: "attribution",
        about: "the note of a send that reaches the contact late, after its repetition and another campaign's message, takes the answers",
        shows: |violation, _| violation.promise == "an answer belongs to the last message",
    },
    KnownFault {
        name: "hold",
        about: "a pause before the start and a resume start a campaign that waits for its start",
        shows: |violation, notes| {
            let campaign = violation.campaign().and_then(|id| notes.campaigns.get(id));
            let has = |name: &str| {
                campaign.is_some_and(|campaign| {
                    campaign.commands.iter().any(|command| command.name == name)
                })
            };
            violation.promise == "nothing before the start" && has("pause") && has("resume")
        },
    },
    KnownFault {
        name: "forgotten",
        about: "a file that is added while a campaign ends is sent without the reconciler, which has closed the campaign",
        shows: |violation, _| violation.what.contains(FORGOTTEN),
    },
    KnownFault {
        name: "failed file",
        about: "what was counted of a file that failed stays, and the campaign never finishes",
        shows: |violation, _| violation.what.contains(FAILED_FILE),
    },
    KnownFault {
        name: "retention",
        about: "a campaign that is not over is deleted when its retention has passed",
        shows: |violation, _| violation.what.contains(GONE),
    },
    KnownFault {
        name: "replies",
        about: "a reply or a test that an error of the account has paused, or whose sender died, is repaired by nobody",
        shows: |violation, _| violation.what.contains(UNREPAIRED),
    },
    KnownFault {
        name: "late write",
        about: "a change of a campaign's state that arrives late, after its repetition, undoes what came in between: it has no version",
        shows: |violation, _| violation.what.contains(ONLY_READ),
    },
    KnownFault {
        name: "options",
        about: "other options while a file is read: what was enqueued has the old ones, later steps use the new ones",
        shows: |violation, _| {
            violation.promise == "a file is read in one way"
                || violation
                    .what
                    .contains("cannot be read again: the file has no phone column")
        },
    },
    KnownFault {
        name: "unread files",
        about: "an erasure leaves files that cannot be used, or were not read when it began, and their preview",
        shows: |violation, _| violation.what.contains(UNREAD),
    },
    KnownFault {
        name: "recount",
        about: "a recount while the ledger's stream lags more than 15 seconds corrects what is counted later",
        shows: |violation, notes| {
            let counts = [
                "counters equal the ledger",
                "everything ends",
                "numbers add up",
            ];
            counts.contains(&violation.promise)
                && violation
                    .campaign()
                    .is_some_and(|id| notes.recounts.contains(id))
        },
    },
];

/// The known fault that a violation shows.
pub fn known_fault(violation: &Violation, notes: &Notes) -> Option<&'static str> {
    let found = KNOWN_FAULTS
        .iter()
        .find(|fault| (fault.shows)(violation, notes));
    found.map(|fault| fault.name)
}
