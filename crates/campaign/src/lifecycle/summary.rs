//! What became of a campaign's people: how each row ended, in words, and what they add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::delivery::ledger::State;
use crate::delivery::outcome::{ErrorInfo, Millis};
use crate::import::phone::Phone;

/// How a row ended, or where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientStatus {
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

impl RecipientStatus {
    /// The word in the report.
    pub fn name(self) -> &'static str {
        match self {
            RecipientStatus::RejectedAtImport => "rejected_at_import",
            RecipientStatus::Duplicate => "duplicate",
            RecipientStatus::Suppressed => "suppressed",
            RecipientStatus::Waiting => "waiting",
            RecipientStatus::Claimed => "claimed",
            RecipientStatus::Retry => "retry",
            RecipientStatus::Held => "held",
            RecipientStatus::Accepted => "accepted",
            RecipientStatus::Sent => "sent",
            RecipientStatus::Delivered => "delivered",
            RecipientStatus::Read => "read",
            RecipientStatus::Undelivered => "undelivered",
            RecipientStatus::Rejected => "rejected",
            RecipientStatus::Unconfirmed => "unconfirmed",
            RecipientStatus::Skipped => "skipped",
        }
    }
}

/// What is known of a row that was to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRecord {
    /// Its state in the ledger.
    pub state: State,
    /// Reported `sent`.
    pub sent_at: Option<Millis>,
    /// Reported `delivered`.
    pub delivered_at: Option<Millis>,
    /// Reported `read`.
    pub read_at: Option<Millis>,
    /// Reported `failed`, and why.
    pub failed: Option<(Millis, ErrorInfo)>,
    /// Why it is in its state.
    pub error: Option<ErrorInfo>,
    /// What Meta charges for.
    pub category: Option<String>,
}

impl DeliveryRecord {
    /// The furthest it came.
    pub fn status(&self) -> RecipientStatus {
        match self.state {
            State::Claimed => RecipientStatus::Claimed,
            State::Retry => RecipientStatus::Retry,
            State::Held => RecipientStatus::Held,
            State::Rejected => RecipientStatus::Rejected,
            State::Unconfirmed => RecipientStatus::Unconfirmed,
            State::Skipped => RecipientStatus::Skipped,
            State::Accepted if self.read_at.is_some() => RecipientStatus::Read,
            State::Accepted if self.delivered_at.is_some() => RecipientStatus::Delivered,
            State::Accepted if self.failed.is_some() => RecipientStatus::Undelivered,
            State::Accepted if self.sent_at.is_some() => RecipientStatus::Sent,
            State::Accepted => RecipientStatus::Accepted,
        }
    }

    /// What went wrong, where something did.
    pub fn error_info(&self) -> Option<&ErrorInfo> {
        match self.status() {
            RecipientStatus::Undelivered => self.failed.as_ref().map(|(_, fault)| fault),
            RecipientStatus::Accepted
            | RecipientStatus::Sent
            | RecipientStatus::Delivered
            | RecipientStatus::Read => None,
            _ => self.error.as_ref(),
        }
    }
}

/// Rows added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Records in the files.
    pub rows: u64,
    /// By how they ended; these add up to the rows.
    pub status: BTreeMap<RecipientStatus, u64>,
    /// Rows that something went wrong with, by WhatsApp's code and its words.
    pub errors: BTreeMap<i64, ErrorCount>,
    /// By country, as ISO 3166-1 code; `??` for numbers of none.
    pub countries: BTreeMap<String, BTreeMap<RecipientStatus, u64>>,
    /// By what Meta charges for.
    pub categories: BTreeMap<String, u64>,
    /// Reports by the minute in which they happened, in milliseconds since 1970.
    pub minutes: BTreeMap<Millis, MinuteCounts>,
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
pub struct MinuteCounts {
    /// Messages delivered.
    pub delivered: u64,
    /// Messages read.
    pub read: u64,
}

const MINUTE_MS: Millis = 60_000;

impl Summary {
    /// A record that never was in the queue.
    pub fn add_not_enqueued(&mut self, status: RecipientStatus) {
        self.rows += 1;
        *self.status.entry(status).or_default() += 1;
    }

    /// Somebody who was to be sent to; `fate` once they are in the ledger.
    pub fn add_recipient(&mut self, to: Phone, fate: Option<&DeliveryRecord>) {
        let status = fate.map_or(RecipientStatus::Waiting, DeliveryRecord::status);
        self.add_not_enqueued(status);
        let country = to.country().unwrap_or_else(|| "??".into());
        let country = self.countries.entry(country).or_default();
        *country.entry(status).or_default() += 1;
        let Some(fate) = fate else { return };
        if let Some(fault) = fate.error_info()
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
    pub fn is_balanced(&self) -> bool {
        self.status.values().sum::<u64>() == self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::phone;

    fn record(state: State) -> DeliveryRecord {
        DeliveryRecord {
            state,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            failed: None,
            error: Some(ErrorInfo {
                code: Some(131_026),
                title: "Message undeliverable".into(),
                ..ErrorInfo::default()
            }),
            category: Some("utility".into()),
        }
    }

    #[test]
    fn furthest_status_counts_and_sums_balance() {
        let ana = phone::parse("+5511987654321", None).expect("a phone");
        let bo = phone::parse("+34612345678", None).expect("a phone");
        let mut summary = Summary::default();
        summary.add_not_enqueued(RecipientStatus::Duplicate);
        summary.add_recipient(ana, None);
        let read = DeliveryRecord {
            read_at: Some(125_000),
            failed: Some((5, ErrorInfo::default())),
            ..record(State::Accepted)
        };
        summary.add_recipient(ana, Some(&read));
        let both = DeliveryRecord {
            delivered_at: Some(60_000),
            read_at: Some(130_000),
            ..record(State::Accepted)
        };
        summary.add_recipient(bo, Some(&both));
        summary.add_recipient(bo, Some(&record(State::Rejected)));
        assert_eq!(summary.rows, 5);
        assert!(summary.is_balanced());
        assert_eq!(summary.status[&RecipientStatus::Read], 2);
        assert_eq!(
            summary.errors[&131_026].rows, 1,
            "an accepted row has no error"
        );
        assert_eq!(summary.countries["BR"][&RecipientStatus::Waiting], 1);
        assert_eq!(summary.countries["ES"][&RecipientStatus::Rejected], 1);
        let minute = |at| summary.minutes[&at];
        assert_eq!(
            minute(120_000),
            MinuteCounts {
                delivered: 1,
                read: 2
            }
        );
        assert_eq!(
            minute(60_000),
            MinuteCounts {
                delivered: 1,
                read: 0
            }
        );
        let text = serde_json::to_value(&summary).expect("JSON");
        assert_eq!(text["countries"]["ES"]["rejected"], 1);
    }
}
