//! Lines of a report: the operator's own bytes, then the outcome of the row.

use campaign::delivery::ledger::LedgerRow;
use campaign::delivery::outcome::ErrorInfo;
use campaign::id::{NumberId, RowNumber};
use campaign::lifecycle::summary::{DeliveryRecord, RecipientStatus};
use campaign::time::Millis;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use recipients::chunks::{Manifest, Verdict};
use recipients::csv_line::format_line;
use whatsapp::error_code::describe_code;

/// The columns added behind the operator's own.
const ADDED_COLUMNS: [&str; 12] = [
    "row",
    "status",
    "attempted_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
    "error_code",
    "error",
    "wamid",
    "price_category",
    "sent_from",
];

/// The outcome of a row.
#[derive(Debug)]
pub(crate) struct RowOutcome {
    pub(crate) status: RecipientStatus,
    attempted_at: Option<Millis>,
    sent_at: Option<Millis>,
    delivered_at: Option<Millis>,
    read_at: Option<Millis>,
    failed_at: Option<Millis>,
    error_code: Option<i64>,
    error: String,
    wamid: Option<String>,
    price_category: Option<String>,
    sent_from: Option<NumberId>,
}

impl RowOutcome {
    /// Of a row that the import did not enqueue.
    pub(crate) fn dropped_at_import(verdict: &Verdict) -> Self {
        let (status, reason) = match verdict {
            Verdict::Rejected(reason) => (RecipientStatus::RejectedAtImport, reason.clone()),
            Verdict::Duplicate => (
                RecipientStatus::Duplicate,
                "the same number is in an earlier row".into(),
            ),
            Verdict::Excluded => (
                RecipientStatus::Suppressed,
                "on the campaign's exclude list".into(),
            ),
            Verdict::Usable(_) => (
                RecipientStatus::Suppressed,
                "on the suppression list".into(),
            ),
            Verdict::Erased => (
                RecipientStatus::Suppressed,
                "the recipient was erased".into(),
            ),
        };
        Self {
            error: reason,
            ..Self::with_status(status)
        }
    }

    /// Of a row that the import enqueued. Both are `None` if there was no attempt to send it yet.
    pub(crate) fn from_ledger(entry: Option<LedgerRow>, record: Option<DeliveryRecord>) -> Self {
        let (Some(entry), Some(record)) = (entry, record) else {
            return Self::with_status(RecipientStatus::Waiting);
        };
        let error = record.error_info();
        Self {
            status: record.status(),
            attempted_at: Some(entry.claimed_at).filter(|_| entry.attempt > 0),
            sent_at: entry.sent_at,
            delivered_at: entry.delivered_at,
            read_at: entry.read_at,
            failed_at: entry.failed_at,
            error_code: error.and_then(|error| error.code),
            error: error.map(describe_error).unwrap_or_default(),
            wamid: entry.wamid,
            price_category: entry.category,
            sent_from: entry.number,
        }
    }

    /// Without WhatsApp's id of the message, which contains the recipient's number.
    pub(crate) fn without_wamid(self) -> Self {
        Self {
            wamid: None,
            ..self
        }
    }

    /// An outcome of which only the status is known.
    fn with_status(status: RecipientStatus) -> Self {
        Self {
            status,
            attempted_at: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            failed_at: None,
            error_code: None,
            error: String::new(),
            wamid: None,
            price_category: None,
            sent_from: None,
        }
    }
}

/// Describes an error in our words, if there are any for its code, and in WhatsApp's.
fn describe_error(error: &ErrorInfo) -> String {
    let theirs = match &error.details {
        Some(details) => format!("{}: {details}", error.title),
        None => error.title.clone(),
    };
    match error.code.and_then(describe_code) {
        Some(ours) => format!("{ours} ({theirs})"),
        None => theirs,
    }
}

/// Writes lines in the format of one uploaded file.
#[derive(Debug)]
pub(crate) struct LineWriter<'a> {
    file: &'a Manifest,
}

impl<'a> LineWriter<'a> {
    /// For this file.
    pub(crate) fn new(file: &'a Manifest) -> Self {
        Self { file }
    }

    /// The first line. With `bom`, it begins with a byte order mark, by which Excel recognizes UTF-8.
    pub(crate) fn header_line(&self, bom: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        if bom {
            bytes.extend_from_slice("\u{feff}".as_bytes());
        }
        bytes.extend_from_slice(&self.file.header_line);
        for name in ADDED_COLUMNS {
            // If a report is uploaded again, its own columns have these names.
            let is_taken = self.file.header.iter().any(|column| column == name);
            let name = if is_taken {
                format!("{name}_2")
            } else {
                name.to_owned()
            };
            bytes.extend_from_slice(format!("{}{name}", self.file.delimiter).as_bytes());
        }
        bytes.extend_from_slice(self.file.line_ending.as_bytes());
        bytes
    }

    /// The line of a row.
    pub(crate) fn row_line(
        &self,
        own_columns: &[u8],
        number: RowNumber,
        outcome: &RowOutcome,
    ) -> Vec<u8> {
        let mut bytes = own_columns.to_vec();
        bytes.extend_from_slice(self.added_columns(number, outcome).as_bytes());
        bytes.extend_from_slice(self.file.line_ending.as_bytes());
        bytes
    }

    fn added_columns(&self, number: RowNumber, outcome: &RowOutcome) -> String {
        let times = [
            outcome.attempted_at,
            outcome.sent_at,
            outcome.delivered_at,
            outcome.read_at,
            outcome.failed_at,
        ];
        let times = times.map(|at| at.map(format_time).unwrap_or_default());
        let number = number.to_string();
        let code = outcome.error_code.map(|code| code.to_string());
        let first = ["", &number, outcome.status.name()];
        let last = [
            code.as_deref().unwrap_or_default(),
            &outcome.error,
            outcome.wamid.as_deref().unwrap_or_default(),
            outcome.price_category.as_deref().unwrap_or_default(),
            outcome
                .sent_from
                .as_ref()
                .map(NumberId::as_str)
                .unwrap_or_default(),
        ];
        let times = times.iter().map(String::as_str);
        let cells = first.into_iter().chain(times).chain(last);
        // The first cell is empty, so that the line begins with a delimiter.
        format_line(self.file.delimiter, cells)
    }
}

/// Times as spreadsheets recognize them, such as `2026-11-30 08:15:00`.
const TIMES: DateTimePrinter = DateTimePrinter::new().separator(b' ').precision(Some(0));

/// Formats a time, in UTC.
fn format_time(at: Millis) -> String {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    TIMES.datetime_to_string(&TimeZone::UTC.to_datetime(at))
}
