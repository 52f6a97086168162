//! What the operators did and were told: their own notes, which the checker believes.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use crate::clock;
use crate::violation::Violation;
use crate::window::Window;

/// The notes. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Record(Rc<RefCell<Notes>>);

/// Everything that was done.
#[derive(Debug, Default)]
pub struct Notes {
    /// Campaigns by id, in the order of their creation.
    pub campaigns: BTreeMap<String, CampaignNotes>,
    /// Opt-outs by phone number.
    pub opt_outs: BTreeMap<String, Vec<OptOut>>,
    /// When opt-outs were lifted, by phone number.
    pub opt_ins: BTreeMap<String, Vec<Span>>,
    /// Numbers that may have been suppressed or erased: the request was never answered.
    pub unclear_consent: Vec<String>,
    /// Numbers that were erased, and when the answer came.
    pub erased: BTreeMap<String, u64>,
    /// What Meta posted.
    pub updates: Vec<Update>,
    /// When a number was last named to Crier by a message of the recipient's or a suppression.
    pub named: BTreeMap<String, u64>,
    /// Campaigns that send chosen rows of another one again.
    pub retries: Vec<Retry>,
    /// Requests for single messages.
    pub single_messages: Vec<SingleMessage>,
    /// Commands to numbers, by their ids.
    pub number_commands: BTreeMap<&'static str, Vec<Command>>,
    /// Every step, for people.
    pub steps: Vec<String>,
    /// Files that are ready to be uploaded, or were, with the first number of their recipients.
    pub files: Vec<(u32, File)>,
    /// What an operator saw that must never be, the first of each promise.
    pub violations: Vec<Violation>,
}

impl Notes {
    /// Whether what is known of a recipient may have been erased.
    pub fn may_be_forgotten(&self, phone: &str) -> bool {
        self.erased.contains_key(phone) || self.unclear_consent.iter().any(|other| other == phone)
    }
}

/// A request for a single message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleMessage {
    /// Its key, which repetitions share.
    pub key: String,
    /// The recipient for whom the key was made.
    pub to: String,
    /// Whether the body was another one than that of the key.
    pub is_other: bool,
    /// The message's id, if the answer was that it is on its way.
    pub id: Option<String>,
}

/// A campaign that sends chosen rows of another one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Its id.
    pub id: String,
    /// The other campaign.
    pub of: String,
    /// Whether its operator chose rows that were, or may have been, accepted.
    pub chooses_reached: bool,
    /// Whether its operator chose rows that were skipped.
    pub chooses_skipped: bool,
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
    /// Of one row in how many its delivery is not left out, if not of each.
    pub delivery_reports_every: Option<u32>,
    /// The numbers that it names.
    pub numbers: Vec<&'static str>,
    /// The hours in which it may send.
    pub window: Option<Window>,
    /// Who is on its list of people who are not messaged.
    pub excluded: BTreeSet<String>,
    /// When that list was uploaded.
    pub excluded_ms: Option<u64>,
    /// So many rows are sent first.
    pub canary: Option<Canary>,
    /// Whether it may send a file that another campaign has sent.
    pub allows_repeat: bool,
    /// Its message and its fallback.
    pub messages: Value,
    /// Whether its files may be read in another way than the first time.
    pub changes_options: bool,
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
    /// When its operator first saw that it was over.
    pub end_ms: Option<u64>,
}

impl CampaignNotes {
    /// Whether the delivery of this row is recorded.
    pub fn records_delivery(&self, row: u32) -> bool {
        match self.delivery_reports_every {
            None => true,
            Some(0) => false,
            Some(every) => row.is_multiple_of(every),
        }
    }
}

/// The rows that are sent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// How many.
    pub rows: usize,
    /// Whether the others wait for the operator.
    pub waits: bool,
}

/// A time in which something takes effect, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it was asked for.
    pub asked_ms: u64,
    /// When it was answered, if it was.
    pub answered_ms: Option<u64>,
}

/// An opt-out. Times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptOut {
    /// It is certainly in force from this time on.
    pub since_ms: u64,
    /// Until this time; to the end if there is none.
    pub until_ms: Option<u64>,
}

/// An update that Meta posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The id of the message that it is about.
    pub wamid: String,
    /// What happened to the message, such as `delivered`; `inbound` for a message of a recipient.
    pub status: String,
    /// Campaign, row and attempt, as the callback data names them.
    pub data: String,
    /// The other side, without `+`.
    pub phone: String,
    /// When it was first posted.
    pub posted_ms: u64,
    /// Whether the webhook acknowledged it.
    pub is_acknowledged: bool,
}

/// A file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
    /// What a person sees in it.
    pub notes: UploadNotes,
}

/// An uploaded file.
#[derive(Clone, Debug, Default)]
pub struct UploadNotes {
    /// When it was there, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The recipients that a person would find in it, with the name in their row.
    pub recipients: BTreeMap<String, String>,
    /// The same for its second column of phone numbers, if it has one.
    pub others: BTreeMap<String, String>,
    /// Whether it can be used.
    pub is_usable: bool,
    /// Its content.
    pub text: String,
    /// Its number among the campaign's files, from 1.
    pub number: usize,
}

impl UploadNotes {
    /// Whether a person would find the number in it, however it is spelled.
    pub fn names(&self, phone: &str) -> bool {
        self.recipients.contains_key(phone)
            || self.others.contains_key(phone)
            || self.text.contains(phone)
    }
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

    /// Notes that an opt-out that was asked for at this time is in force from now on.
    pub fn opted_out(&self, phone: &str, asked_ms: u64) {
        let (mut notes, now) = (self.write(), clock::now_ms());
        let opt_ins = notes.opt_ins.get(phone).into_iter().flatten();
        // It may have taken effect before an opt-in whose answer came later.
        let is_unclear = opt_ins
            .clone()
            .any(|opt_in| opt_in.answered_ms.is_none_or(|at| at >= asked_ms));
        let opt_out = OptOut {
            since_ms: now,
            until_ms: is_unclear.then_some(now),
        };
        let opt_outs = notes.opt_outs.entry(phone.to_owned()).or_default();
        opt_outs.push(opt_out);
    }

    /// Notes that an opt-in is asked for: from now on an opt-out need not be in force.
    pub fn opting_in(&self, phone: &str) {
        let (notes, now) = (&mut *self.write(), clock::now_ms());
        let opt_outs = notes.opt_outs.get_mut(phone);
        for opt_out in opt_outs.into_iter().flatten() {
            opt_out.until_ms.get_or_insert(now);
        }
        let opt_ins = notes.opt_ins.entry(phone.to_owned()).or_default();
        opt_ins.push(Span {
            asked_ms: now,
            answered_ms: None,
        });
    }

    /// Notes that the latest opt-in was answered.
    pub fn opted_in(&self, phone: &str) {
        let opt_ins = &mut self.write().opt_ins;
        if let Some(last) = opt_ins.get_mut(phone).and_then(|spans| spans.last_mut()) {
            last.answered_ms = Some(clock::now_ms());
        }
    }

    /// Notes that a number was named to Crier until now.
    pub fn named(&self, phone: &str) {
        self.write().named.insert(phone.to_owned(), clock::now_ms());
    }

    /// Notes something that must never be.
    pub fn violation(&self, promise: &'static str, what: String) {
        let mut notes = self.write();
        if notes.violations.iter().all(|seen| seen.promise != promise) {
            notes.violations.push(Violation { promise, what });
        }
    }
}
