//! A file that was sent already is not sent once more, unless its operator allows that.

use super::evidence::Sends;
use crate::call::Call;
use crate::record::{CampaignNotes, UploadNotes};
use crate::violation::Violation;

/// How long a file that was sent is remembered.
const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1_000;

pub(super) fn check(sends: &Sends<'_>) -> Vec<Violation> {
    let campaigns: Vec<Sent<'_>> = sends
        .notes
        .campaigns
        .iter()
        .filter_map(|(id, notes)| Sent::of(sends, id, notes))
        .collect();
    let mut violations = Vec::new();
    for (index, first) in campaigns.iter().enumerate() {
        let mut others = campaigns[index + 1..].iter();
        if let Some(second) = others.find(|second| second.repeats(first)) {
            violations.push(Violation {
                promise: "a file is sent once",
                what: format!(
                    "{} at {} and {} at {} sent the same file",
                    first.id, first.began_ms, second.id, second.began_ms
                ),
            });
        }
    }
    violations
}

/// A campaign that must not repeat another one's file, and has begun to send its own.
struct Sent<'a> {
    id: &'a str,
    notes: &'a CampaignNotes,
    file: &'a UploadNotes,
    began_ms: u64,
}

impl<'a> Sent<'a> {
    /// `None` where its file may be sent again, or may be read in several ways.
    fn of(sends: &Sends<'_>, id: &'a str, notes: &'a CampaignNotes) -> Option<Self> {
        let is_plain = !notes.allows_repeat && !notes.changes_options && notes.excluded.is_empty();
        let file = notes.uploads.iter().find(|upload| upload.number == 1);
        let file = file.filter(|file| is_plain && file.is_usable)?;
        // The rows of a file that was refused are not counted: those of the next file have their numbers.
        if notes.uploads.iter().any(|upload| upload.text != file.text) {
            return None;
        }
        let is_theirs = |call: &&Call| call.campaign == id;
        let began_ms = sends.calls.iter().find(is_theirs)?.at_ms;
        Some(Self {
            id,
            notes,
            file,
            began_ms,
        })
    }

    fn repeats(&self, other: &Self) -> bool {
        self.file.text == other.file.text
            && self.notes.messages == other.notes.messages
            && self.began_ms.abs_diff(other.began_ms) < REMEMBERED_MS
    }
}
