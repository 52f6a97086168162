//! The operator's own columns of a record, as one line that further columns can follow.

use std::borrow::Cow;

use campaign::import::row::escape_formula;

use crate::RecipientReader;
use crate::csv_line::format_line;

/// Makes lines of a file's records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnLines {
    columns: usize,
    delimiter: u8,
}

impl OwnLines {
    /// For the file of this reader.
    pub(crate) fn of(recipients: &RecipientReader) -> Self {
        Self {
            columns: recipients.header().len(),
            delimiter: recipients.format().delimiter,
        }
    }

    /// The current record's bytes, unchanged. The record is only formatted again if a spreadsheet would evaluate a cell as a
    /// formula, or if further columns would not be in their place.
    pub(crate) fn line<'r>(&self, recipients: &'r RecipientReader) -> Cow<'r, [u8]> {
        let record = recipients.current_record();
        if record.len() <= self.columns
            && record.iter().all(is_harmless)
            && let Some(raw) = recipients.current_bytes()
        {
            let missing = self.columns - record.len();
            if missing == 0 {
                return raw;
            }
            let mut bytes = raw.into_owned();
            bytes.extend(std::iter::repeat_n(self.delimiter, missing));
            return bytes.into();
        }
        let delimiter = char::from(self.delimiter);
        let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
        let last = self.columns.saturating_sub(1);
        let mut cells: Vec<String> = record.iter().take(last).map(text).collect();
        let rest: Vec<String> = record.iter().skip(last).map(text).collect();
        cells.push(rest.join(&delimiter.to_string()));
        cells.resize(self.columns, String::new());
        let line = format_line(delimiter, cells.iter().map(String::as_str));
        line.into_bytes().into()
    }
}

/// Whether a spreadsheet shows the cell as it is.
fn is_harmless(cell: &[u8]) -> bool {
    match cell.first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => {
            let text = String::from_utf8_lossy(cell);
            escape_formula(&text) == text
        }
        Some(_) | None => true,
    }
}
