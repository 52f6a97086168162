//! What the operators did and were told: their own notes, which the checker believes.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::clock;
use crate::violation::Violation;

/// The notes. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Record(Rc<RefCell<Notes>>);

/// Everything that was done.
#[derive(Debug, Default)]
pub struct Notes {
    /// Campaigns by id, in the order of their creation.
    pub campaigns: BTreeMap<String, CampaignNotes>,
    /// Opt-outs that are in force, by phone number: from when on, in milliseconds since the Unix epoch.
    pub opt_outs: BTreeMap<String, u64>,
    /// Numbers that may have been suppressed or erased: the request was never answered.
    pub unclear_consent: Vec<String>,
    /// Numbers that were erased, and when the answer came.
    pub erased: BTreeMap<String, u64>,
    /// Every step, for people.
    pub steps: Vec<String>,
    /// Campaigns whose rows were counted anew.
    pub recounts: BTreeSet<String>,
    /// What an operator saw that must never be, the first of each promise.
    pub violations: Vec<Violation>,
}

/// A campaign as its operator knows it.
#[derive(Clone, Debug, Default)]
pub struct CampaignNotes {
    /// Whether it waits for a start.
    pub manual_start: bool,
    /// Whether rows that may have been sent may be sent again.
    pub resends: bool,
    /// Whether messages that were not delivered are sent again.
    pub retries_undelivered: bool,
    /// Nothing is sent before this time.
    pub not_before: Option<u64>,
    /// Nothing is sent from this time on.
    pub not_after: Option<u64>,
    /// The files that were uploaded, in order.
    pub uploads: Vec<UploadNotes>,
    /// The commands.
    pub commands: Vec<Command>,
    /// The campaigns of one row that test messages are.
    pub tests: Vec<String>,
    /// Whether it was over when retention began to pass, so that it may be deleted.
    pub may_be_deleted: bool,
    /// Whether it is over as far as its operator knows, and in which state.
    pub end: Option<String>,
}

/// An uploaded file.
#[derive(Clone, Debug, Default)]
pub struct UploadNotes {
    /// The recipients that a person would find in it, with the name in their row.
    pub recipients: BTreeMap<String, String>,
    /// The same for its second column of phone numbers, if it has one.
    pub others: BTreeMap<String, String>,
    /// Whether it can be used.
    pub is_usable: bool,
}

/// A command and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name, as in the route.
    pub name: &'static str,
    /// When it was first sent.
    pub asked_ms: u64,
    /// When it was answered; `None` if it never was, so that it may have taken effect.
    pub answered_ms: Option<u64>,
    /// Whether the answer was that it took effect.
    pub succeeded: bool,
}

impl Record {
    /// Reads the notes.
    pub fn read(&self) -> Ref<'_, Notes> {
        self.0.borrow()
    }

    /// Writes into the notes.
    pub fn write(&self) -> RefMut<'_, Notes> {
        self.0.borrow_mut()
    }

    /// Changes what is noted about a campaign.
    pub fn update(&self, id: &str, change: impl FnOnce(&mut CampaignNotes)) {
        change(self.write().campaigns.entry(id.to_owned()).or_default());
    }

    /// Notes that an opt-out is in force from now on.
    pub fn opted_out(&self, phone: &str) {
        let mut notes = self.write();
        let since = notes.opt_outs.entry(phone.to_owned());
        since.or_insert_with(clock::now_ms);
    }

    /// Notes something that must never be.
    pub fn violation(&self, promise: &'static str, what: String) {
        let mut notes = self.write();
        if notes.violations.iter().all(|seen| seen.promise != promise) {
            notes.violations.push(Violation { promise, what });
        }
    }
}
