//! The results of a campaign: the status of each recipient, and the totals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::delivery::ledger::{LedgerRow, State};
use crate::delivery::outcome::ErrorInfo;
use crate::import::phone::Phone;
use crate::time::Millis;

/// The status of a recipient.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RecipientStatus {
    /// The record in the file cannot be used.
    RejectedAtImport,
    /// The same phone number occurs earlier in the campaign.
    Duplicate,
    /// On the exclude list or the suppression list when the file was read.
    Suppressed,
    /// No attempt yet.
    Waiting,
    /// Being sent.
    Claimed,
    /// Another attempt is due.
    Retry,
    /// Held until the campaign is resumed.
    Held,
    /// WhatsApp accepted the message and has reported nothing since.
    Accepted,
    /// WhatsApp sent the message to the recipient.
    Sent,
    /// The message is on the recipient's device.
    Delivered,
    /// The recipient has read it.
    Read,
    /// WhatsApp accepted the message, then did not deliver it.
    Undelivered,
    /// WhatsApp refused the message.
    Rejected,
    /// It may have been sent.
    Unconfirmed,
    /// Not sent: suppressed, outside the service window, cancelled or expired.
    Skipped,
}

impl RecipientStatus {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What the ledger says of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRecord {
    /// Its state.
    pub state: State,
    /// When WhatsApp reported `sent`.
    pub sent_at: Option<Millis>,
    /// When WhatsApp reported `delivered`.
    pub delivered_at: Option<Millis>,
    /// When WhatsApp reported `read`.
    pub read_at: Option<Millis>,
    /// When WhatsApp reported `failed`, and why.
    pub failed: Option<(Millis, ErrorInfo)>,
    /// Why it is in its state.
    pub error: Option<ErrorInfo>,
    /// Meta's pricing category of the message, such as `marketing`.
    pub category: Option<String>,
}

impl From<&LedgerRow> for DeliveryRecord {
    fn from(row: &LedgerRow) -> Self {
        let failed = |at| (at, row.failure.clone().unwrap_or_default());
        Self {
            state: row.state,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            read_at: row.read_at,
            failed: row.failed_at.map(failed),
            error: row.error_info.clone(),
            category: row.category.clone(),
        }
    }
}

impl DeliveryRecord {
    /// The furthest status that it reached.
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

    /// The error that explains the status, where there is one.
    pub fn error_info(&self) -> Option<&ErrorInfo> {
        match self.status() {
            RecipientStatus::Undelivered => self.failed.as_ref().map(|(_, error)| error),
            RecipientStatus::Accepted
            | RecipientStatus::Sent
            | RecipientStatus::Delivered
            | RecipientStatus::Read => None,
            _ => self.error.as_ref(),
        }
    }
}

/// The totals of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Records in the files.
    pub rows: u64,
    /// Records by status; they add up to `rows`.
    pub status: BTreeMap<RecipientStatus, u64>,
    /// Rows with an error, by WhatsApp's error code.
    pub errors: BTreeMap<i64, ErrorCount>,
    /// Rows by country (ISO 3166-1 alpha-2) and status; `??` for numbers without a country.
    pub countries: BTreeMap<String, BTreeMap<RecipientStatus, u64>>,
    /// Rows by pricing category.
    pub categories: BTreeMap<String, u64>,
    /// Deliveries and reads by minute: the start of the minute in milliseconds since the Unix epoch.
    pub minutes: BTreeMap<Millis, MinuteCounts>,
}

/// Rows with the same error code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// How many rows.
    pub rows: u64,
    /// WhatsApp's title of the error.
    pub title: String,
}

/// What happened within one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteCounts {
    /// Messages delivered.
    pub delivered: u64,
    /// Messages read.
    pub read: u64,
}

const MINUTE_MS: Millis = 60_000;

impl Summary {
    /// Adds a record that was not put into the queue.
    pub fn add_not_enqueued(&mut self, status: RecipientStatus) {
        self.rows += 1;
        *self.status.entry(status).or_default() += 1;
    }

    /// Adds a recipient whose record was put into the queue; `record` is `None` until the row is in the ledger.
    pub fn add_recipient(&mut self, to: Phone, record: Option<&DeliveryRecord>) {
        let status = record.map_or(RecipientStatus::Waiting, DeliveryRecord::status);
        self.add_not_enqueued(status);
        let country = to.country().unwrap_or_else(|| "??".into());
        let country = self.countries.entry(country).or_default();
        *country.entry(status).or_default() += 1;
        let Some(record) = record else { return };
        if let Some(error) = record.error_info()
            && let Some(code) = error.code
        {
            let count = self.errors.entry(code).or_default();
            count.rows += 1;
            if count.title.is_empty() {
                count.title.clone_from(&error.title);
            }
        }
        if let Some(category) = &record.category {
            *self.categories.entry(category.clone()).or_default() += 1;
        }
        let minute = |at: Millis| at - at % MINUTE_MS;
        // WhatsApp may report `read` without `delivered`.
        if let Some(at) = record.delivered_at.or(record.read_at) {
            self.minutes.entry(minute(at)).or_default().delivered += 1;
        }
        if let Some(at) = record.read_at {
            self.minutes.entry(minute(at)).or_default().read += 1;
        }
    }

    /// Whether every record is counted exactly once.
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
