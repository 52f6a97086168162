//! What became of a campaign's people: how each row ended, in words, and what they add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ledger::State;
use crate::outcome::{Fault, Millis};
use crate::phone::Phone;

/// How a row ended, or where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The file's record cannot be used.
    RejectedAtImport,
    /// The same number came before in the file.
    Duplicate,
    /// On a list of people who are not messaged, when the file was read.
    Suppressed,
    /// Not called yet.
    Waiting,
    /// Being called.
    Claimed,
    /// To be called again.
    Retry,
    /// Held until the campaign goes on.
    Held,
    /// WhatsApp took it and has reported nothing since.
    Accepted,
    /// On its way.
    Sent,
    /// On the device.
    Delivered,
    /// Seen.
    Read,
    /// Taken by WhatsApp, then not delivered.
    Undelivered,
    /// Refused.
    Rejected,
    /// It may have been sent.
    Unconfirmed,
    /// Not sent: suppressed, outside the window, cancelled or expired.
    Skipped,
}

impl Status {
    /// The word in the report.
    pub fn name(self) -> &'static str {
        match self {
            Status::RejectedAtImport => "rejected_at_import",
            Status::Duplicate => "duplicate",
            Status::Suppressed => "suppressed",
            Status::Waiting => "waiting",
            Status::Claimed => "claimed",
            Status::Retry => "retry",
            Status::Held => "held",
            Status::Accepted => "accepted",
            Status::Sent => "sent",
            Status::Delivered => "delivered",
            Status::Read => "read",
            Status::Undelivered => "undelivered",
            Status::Rejected => "rejected",
            Status::Unconfirmed => "unconfirmed",
            Status::Skipped => "skipped",
        }
    }
}

/// What is known of a row that was to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Fate {
    /// Its state in the ledger.
    pub state: State,
    /// Reported `sent`.
    pub sent_at: Option<Millis>,
    /// Reported `delivered`.
    pub delivered_at: Option<Millis>,
    /// Reported `read`.
    pub read_at: Option<Millis>,
    /// Reported `failed`, and why.
    pub failed: Option<(Millis, Fault)>,
    /// Why it is in its state.
    pub fault: Option<Fault>,
    /// What Meta charges for.
    pub category: Option<String>,
}

impl Fate {
    /// The furthest it came.
    pub fn status(&self) -> Status {
        match self.state {
            State::Claimed => Status::Claimed,
            State::Retry => Status::Retry,
            State::Held => Status::Held,
            State::Rejected => Status::Rejected,
            State::Unconfirmed => Status::Unconfirmed,
            State::Skipped => Status::Skipped,
            State::Accepted if self.read_at.is_some() => Status::Read,
            State::Accepted if self.delivered_at.is_some() => Status::Delivered,
            State::Accepted if self.failed.is_some() => Status::Undelivered,
            State::Accepted if self.sent_at.is_some() => Status::Sent,
            State::Accepted => Status::Accepted,
        }
    }

    /// What went wrong, where something did.
    pub fn problem(&self) -> Option<&Fault> {
        match self.status() {
            Status::Undelivered => self.failed.as_ref().map(|(_, fault)| fault),
            Status::Accepted | Status::Sent | Status::Delivered | Status::Read => None,
            _ => self.fault.as_ref(),
        }
    }
}

/// Rows added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Records in the files.
    pub rows: u64,
    /// By how they ended; these add up to the rows.
    pub status: BTreeMap<Status, u64>,
    /// Rows that something went wrong with, by WhatsApp's code and its words.
    pub errors: BTreeMap<i64, ErrorCount>,
    /// By country, as ISO 3166-1 code; `??` for numbers of none.
    pub countries: BTreeMap<String, BTreeMap<Status, u64>>,
    /// By what Meta charges for.
    pub categories: BTreeMap<String, u64>,
    /// Reports by the minute in which they happened, in milliseconds since 1970.
    pub minutes: BTreeMap<Millis, Minute>,
}

/// Rows that met one code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// How many.
    pub rows: u64,
    /// What WhatsApp calls it.
    pub title: String,
}

/// What happened within a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// Messages delivered.
    pub delivered: u64,
    /// Messages read.
    pub read: u64,
}

const MINUTE_MS: Millis = 60_000;

impl Summary {
    /// A record that never was in the queue.
    pub fn left_out(&mut self, status: Status) {
        self.rows += 1;
        *self.status.entry(status).or_default() += 1;
    }

    /// Somebody who was to be sent to; `fate` once they are in the ledger.
    pub fn add(&mut self, to: Phone, fate: Option<&Fate>) {
        let status = fate.map_or(Status::Waiting, Fate::status);
        self.left_out(status);
        let country = to.country().unwrap_or_else(|| "??".into());
        let country = self.countries.entry(country).or_default();
        *country.entry(status).or_default() += 1;
        let Some(fate) = fate else { return };
        if let Some(fault) = fate.problem()
            && let Some(code) = fault.code
        {
            let count = self.errors.entry(code).or_default();
            count.rows += 1;
            if count.title.is_empty() {
                count.title.clone_from(&fault.title);
            }
        }
        if let Some(category) = &fate.category {
            *self.categories.entry(category.clone()).or_default() += 1;
        }
        let minute = |at: Millis| at - at % MINUTE_MS;
        // Delivered may be missing though it was read.
        if let Some(at) = fate.delivered_at.or(fate.read_at) {
            self.minutes.entry(minute(at)).or_default().delivered += 1;
        }
        if let Some(at) = fate.read_at {
            self.minutes.entry(minute(at)).or_default().read += 1;
        }
    }

    /// Whether every row is counted once.
    pub fn is_conserved(&self) -> bool {
        self.status.values().sum::<u64>() == self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone;

    fn fate(state: State) -> Fate {
        Fate {
            state,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            failed: None,
            fault: Some(Fault {
                code: Some(131_026),
                title: "Message undeliverable".into(),
                ..Fault::default()
            }),
            category: Some("utility".into()),
        }
    }

    #[test]
    fn the_furthest_step_counts_and_everything_adds_up() {
        let ana = phone::read("+5511987654321", None).expect("a phone");
        let bo = phone::read("+34612345678", None).expect("a phone");
        let mut summary = Summary::default();
        summary.left_out(Status::Duplicate);
        summary.add(ana, None);
        let read = Fate {
            read_at: Some(125_000),
            failed: Some((5, Fault::default())),
            ..fate(State::Accepted)
        };
        summary.add(ana, Some(&read));
        let both = Fate {
            delivered_at: Some(60_000),
            read_at: Some(130_000),
            ..fate(State::Accepted)
        };
        summary.add(bo, Some(&both));
        summary.add(bo, Some(&fate(State::Rejected)));
        assert_eq!(summary.rows, 5);
        assert!(summary.is_conserved());
        assert_eq!(summary.status[&Status::Read], 2);
        assert_eq!(
            summary.errors[&131_026].rows, 1,
            "an accepted row has no error"
        );
        assert_eq!(summary.countries["BR"][&Status::Waiting], 1);
        assert_eq!(summary.countries["ES"][&Status::Rejected], 1);
        let minute = |at| summary.minutes[&at];
        assert_eq!(
            minute(120_000),
            Minute {
                delivered: 1,
                read: 2
            }
        );
        assert_eq!(
            minute(60_000),
            Minute {
                delivered: 1,
                read: 0
            }
        );
        let text = serde_json::to_value(&summary).expect("JSON");
        assert_eq!(text["countries"]["ES"]["rejected"], 1);
    }
}
