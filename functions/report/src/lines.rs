//! Lines of a report: the operator's own bytes, then what became of the row.

use campaign::import::guarded;
use campaign::outcome::{Fault, Millis};
use campaign::summary::{Fate, Status};
use cloud::ledger::LedgerRow;
use jiff::Timestamp;
use people::People;
use people::line::line;
use whatsapp::code::meaning;

/// What is added behind the operator's own columns.
const ADDED: [&str; 11] = [
    "row",
    "status",
    "called_at",
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
pub(crate) struct Ending {
    pub(crate) status: Status,
    /// Whether it never was to be sent.
    pub(crate) left_out: bool,
    called_at: Option<Millis>,
    sent_at: Option<Millis>,
    delivered_at: Option<Millis>,
    read_at: Option<Millis>,
    failed_at: Option<Millis>,
    code: Option<i64>,
    error: String,
    wamid: Option<String>,
    category: Option<String>,
}

impl Ending {
    /// Of a record that was not to be sent, for this reason.
    pub(crate) fn left_out(status: Status, why: impl Into<String>) -> Self {
        Self {
            status,
            left_out: true,
            called_at: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            failed_at: None,
            code: None,
            error: why.into(),
            wamid: None,
            category: None,
        }
    }

    /// Of one that was; `None` where it was not called yet.
    pub(crate) fn of(entry: Option<LedgerRow>, fate: Option<Fate>) -> Self {
        let (Some(entry), Some(fate)) = (entry, fate) else {
            return Self {
                left_out: false,
                ..Self::left_out(Status::Waiting, "")
            };
        };
        let problem = fate.problem();
        Self {
            status: fate.status(),
            left_out: false,
            called_at: Some(entry.claimed_at).filter(|_| entry.attempt > 0),
            sent_at: entry.sent_at,
            delivered_at: entry.delivered_at,
            read_at: entry.read_at,
            failed_at: entry.failed_at,
            code: problem.and_then(|fault| fault.code),
            error: problem.map(said).unwrap_or_default(),
            wamid: entry.wamid,
            category: entry.category,
        }
    }
}

/// What the summary needs of a row.
pub(crate) fn fate(entry: &LedgerRow) -> Fate {
    Fate {
        state: entry.state,
        sent_at: entry.sent_at,
        delivered_at: entry.delivered_at,
        read_at: entry.read_at,
        failed: entry
            .failed_at
            .map(|at| (at, entry.failure.clone().unwrap_or_default())),
        fault: entry.fault.clone(),
        category: entry.category.clone(),
    }
}

/// What went wrong: in our words where there are any, and WhatsApp's.
fn said(fault: &Fault) -> String {
    let theirs = match &fault.details {
        Some(details) => format!("{}: {details}", fault.title),
        None => fault.title.clone(),
    };
    match fault.code.and_then(meaning) {
        Some(ours) => format!("{ours} ({theirs})"),
        None => theirs,
    }
}

/// How lines of one report are written.
#[derive(Debug)]
pub(crate) struct Lines {
    columns: usize,
    delimiter: char,
    end: &'static str,
}

impl Lines {
    /// For a file whose header was read.
    pub(crate) fn new(people: &People) -> Self {
        Self {
            columns: people.header().len(),
            delimiter: char::from(people.found().delimiter),
            end: people.line_end(),
        }
    }

    /// The first line.
    pub(crate) fn header(&self, people: &People, bom: bool) -> Vec<u8> {
        let mut bytes = if bom {
            "\u{feff}".as_bytes().to_vec()
        } else {
            Vec::new()
        };
        let header = people.header();
        match people.raw() {
            Some(raw) => bytes.extend_from_slice(&raw),
            None => bytes.extend_from_slice(
                line(self.delimiter, header.iter().map(String::as_str)).as_bytes(),
            ),
        }
        for name in ADDED {
            // A report that is uploaded again keeps its names apart from the new ones.
            let taken = header.iter().any(|column| column == name);
            let name = if taken {
                format!("{name}_2")
            } else {
                name.to_owned()
            };
            bytes.extend_from_slice(format!("{}{name}", self.delimiter).as_bytes());
        }
        bytes.extend_from_slice(self.end.as_bytes());
        bytes
    }

    /// The line of the record last read.
    pub(crate) fn line(&self, people: &People, number: u32, ending: &Ending) -> Vec<u8> {
        let mut bytes = self.own(people);
        bytes.extend_from_slice(self.added(number, ending).as_bytes());
        bytes.extend_from_slice(self.end.as_bytes());
        bytes
    }

    /// The operator's own columns: the bytes as they are. Only what a spreadsheet would calculate is written anew, with an
    /// apostrophe, and so is a record that would not leave the added columns in their place.
    fn own(&self, people: &People) -> Vec<u8> {
        let record = people.record();
        let harmless = |cell: &[u8]| match cell.first() {
            Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => {
                let text = String::from_utf8_lossy(cell);
                guarded(&text) == text
            }
            _ => true,
        };
        if let Some(raw) = people.raw()
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
        line(self.delimiter, cells.iter().map(String::as_str)).into_bytes()
    }

    fn added(&self, number: u32, ending: &Ending) -> String {
        let times = [
            ending.called_at,
            ending.sent_at,
            ending.delivered_at,
            ending.read_at,
            ending.failed_at,
        ];
        let times = times.map(|at| at.map(time).unwrap_or_default());
        let number = number.to_string();
        let code = ending.code.map(|code| code.to_string());
        let first = ["", &number, ending.status.name()];
        let last = [
            code.as_deref().unwrap_or_default(),
            &ending.error,
            ending.wamid.as_deref().unwrap_or_default(),
            ending.category.as_deref().unwrap_or_default(),
        ];
        let times = times.iter().map(String::as_str);
        let cells = first.into_iter().chain(times).chain(last);
        // The empty cell at first leaves a delimiter behind the operator's own columns.
        line(self.delimiter, cells)
    }
}

/// A time as spreadsheets read it, in UTC.
fn time(at: Millis) -> String {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
