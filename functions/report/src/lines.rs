//! Lines of a report: the operator's own bytes, then what became of the row.

use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::import::row::escape_formula;
use campaign::lifecycle::summary::{DeliveryRecord, RecipientStatus};
use cloud::ledger::LedgerRow;
use jiff::Timestamp;
use recipients::RecipientReader;
use recipients::csv_line::format_line;
use whatsapp::error_code::describe_code;

/// What is added behind the operator's own columns.
const ADDED_COLUMNS: [&str; 11] = [
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
];

/// What became of a row.
#[derive(Debug)]
pub(crate) struct RowOutcome {
    pub(crate) status: RecipientStatus,
    /// Whether it never was to be sent.
    pub(crate) is_dropped_at_import: bool,
    attempted_at: Option<Millis>,
    sent_at: Option<Millis>,
    delivered_at: Option<Millis>,
    read_at: Option<Millis>,
    failed_at: Option<Millis>,
    error_code: Option<i64>,
    error: String,
    wamid: Option<String>,
    price_category: Option<String>,
}

impl RowOutcome {
    /// Of a record that was not to be sent, for this reason.
    pub(crate) fn dropped_at_import(status: RecipientStatus, why: impl Into<String>) -> Self {
        Self {
            status,
            is_dropped_at_import: true,
            attempted_at: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            failed_at: None,
            error_code: None,
            error: why.into(),
            wamid: None,
            price_category: None,
        }
    }

    /// Of one that was; `None` where it was not called yet.
    pub(crate) fn from_ledger(entry: Option<LedgerRow>, fate: Option<DeliveryRecord>) -> Self {
        let (Some(entry), Some(fate)) = (entry, fate) else {
            return Self {
                is_dropped_at_import: false,
                ..Self::dropped_at_import(RecipientStatus::Waiting, "")
            };
        };
        let problem = fate.error_info();
        Self {
            status: fate.status(),
            is_dropped_at_import: false,
            attempted_at: Some(entry.claimed_at).filter(|_| entry.attempt > 0),
            sent_at: entry.sent_at,
            delivered_at: entry.delivered_at,
            read_at: entry.read_at,
            failed_at: entry.failed_at,
            error_code: problem.and_then(|fault| fault.code),
            error: problem.map(describe_error).unwrap_or_default(),
            wamid: entry.wamid,
            price_category: entry.category,
        }
    }
}

/// What the summary needs of a row.
pub(crate) fn delivery_record(entry: &LedgerRow) -> DeliveryRecord {
    DeliveryRecord {
        state: entry.state,
        sent_at: entry.sent_at,
        delivered_at: entry.delivered_at,
        read_at: entry.read_at,
        failed: entry
            .failed_at
            .map(|at| (at, entry.failure.clone().unwrap_or_default())),
        error: entry.error_info.clone(),
        category: entry.category.clone(),
    }
}

/// What went wrong: in our words where there are any, and WhatsApp's.
fn describe_error(fault: &ErrorInfo) -> String {
    let theirs = match &fault.details {
        Some(details) => format!("{}: {details}", fault.title),
        None => fault.title.clone(),
    };
    match fault.code.and_then(describe_code) {
        Some(ours) => format!("{ours} ({theirs})"),
        None => theirs,
    }
}

/// How lines of one report are written.
#[derive(Debug)]
pub(crate) struct LineWriter {
    columns: usize,
    delimiter: char,
    line_end: &'static str,
}

impl LineWriter {
    /// For a file whose header was read.
    pub(crate) fn new(people: &RecipientReader) -> Self {
        Self {
            columns: people.header().len(),
            delimiter: char::from(people.format().delimiter),
            line_end: people.line_ending(),
        }
    }

    /// The first line.
    pub(crate) fn header_line(&self, people: &RecipientReader, bom: bool) -> Vec<u8> {
        let mut bytes = if bom {
            "\u{feff}".as_bytes().to_vec()
        } else {
            Vec::new()
        };
        let header = people.header();
        match people.current_bytes() {
            Some(raw) => bytes.extend_from_slice(&raw),
            None => bytes.extend_from_slice(
                format_line(self.delimiter, header.iter().map(String::as_str)).as_bytes(),
            ),
        }
        for name in ADDED_COLUMNS {
            // A report that is uploaded again keeps its names apart from the new ones.
            let taken = header.iter().any(|column| column == name);
            let name = if taken {
                format!("{name}_2")
            } else {
                name.to_owned()
            };
            bytes.extend_from_slice(format!("{}{name}", self.delimiter).as_bytes());
        }
        bytes.extend_from_slice(self.line_end.as_bytes());
        bytes
    }

    /// The line of the record last read.
    pub(crate) fn row_line(
        &self,
        people: &RecipientReader,
        number: u32,
        ending: &RowOutcome,
    ) -> Vec<u8> {
        let mut bytes = self.own_columns(people);
        bytes.extend_from_slice(self.added_columns(number, ending).as_bytes());
        bytes.extend_from_slice(self.line_end.as_bytes());
        bytes
    }

    /// The operator's own columns: the bytes as they are. Only what a spreadsheet would calculate is written anew, with an
    /// apostrophe, and so is a record that would not leave the added columns in their place.
    fn own_columns(&self, people: &RecipientReader) -> Vec<u8> {
        let record = people.current_record();
        let harmless = |cell: &[u8]| match cell.first() {
            Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => {
                let text = String::from_utf8_lossy(cell);
                escape_formula(&text) == text
            }
            _ => true,
        };
        if let Some(raw) = people.current_bytes()
            && record.len() <= self.columns
            && record.iter().all(harmless)
        {
            let mut bytes = raw.into_owned();
            let missing = self.columns - record.len();
            bytes.extend(std::iter::repeat_n(self.delimiter as u8, missing));
            return bytes;
        }
        let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
        let last = self.columns.saturating_sub(1);
        let mut cells: Vec<String> = record.iter().take(last).map(text).collect();
        let rest: Vec<String> = record.iter().skip(last).map(text).collect();
        cells.push(rest.join(&self.delimiter.to_string()));
        cells.resize(self.columns, String::new());
        format_line(self.delimiter, cells.iter().map(String::as_str)).into_bytes()
    }

    fn added_columns(&self, number: u32, ending: &RowOutcome) -> String {
        let times = [
            ending.attempted_at,
            ending.sent_at,
            ending.delivered_at,
            ending.read_at,
            ending.failed_at,
        ];
        let times = times.map(|at| at.map(format_time).unwrap_or_default());
        let number = number.to_string();
        let code = ending.error_code.map(|code| code.to_string());
        let first = ["", &number, ending.status.name()];
        let last = [
            code.as_deref().unwrap_or_default(),
            &ending.error,
            ending.wamid.as_deref().unwrap_or_default(),
            ending.price_category.as_deref().unwrap_or_default(),
        ];
        let times = times.iter().map(String::as_str);
        let cells = first.into_iter().chain(times).chain(last);
        // The empty cell at first leaves a delimiter behind the operator's own columns.
        format_line(self.delimiter, cells)
    }
}

/// A time as spreadsheets read it, in UTC.
fn format_time(at: Millis) -> String {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
