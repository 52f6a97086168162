//! Classifies the records of a file: a row to send, a duplicate, a suppressed number, or a reject with its reason.

use std::borrow::Cow;
use std::collections::HashSet;

use rlibphonenumber::enums::Region;
use serde::{Deserialize, Serialize};

use crate::delivery::batch::Row;
use crate::id::RowNumber;
use crate::import::header::Columns;
use crate::import::phone::{self, CanonicalPhone, PhoneProblem};
use crate::import::value::{ValueProblem, ValueValidator};

/// The most rows of a campaign. The splitter remembers the number of each, in 9 to 18 bytes.
pub const MAX_CAMPAIGN_ROWS: u64 = 50_000_000;

/// The most bytes of all values of a row: the 4,096 characters of a text body at 4 bytes each.
pub const MAX_VALUE_BYTES: usize = 16 * 1024;

/// How many records got which verdict. Always `rows = rejected + duplicates + suppressed + enqueued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Records read, header excluded.
    pub rows: u64,
    /// Records that cannot be used; each is in the rejects file.
    pub rejected: u64,
    /// Records whose number occurred in an earlier record, in any format.
    pub duplicates: u64,
    /// Records whose number is on the campaign's exclude list or the suppression list.
    #[serde(default)]
    pub suppressed: u64,
    /// Records that go to the queue.
    pub enqueued: u64,
}

impl ImportCounts {
    /// Counts `more` of the enqueued records as suppressed.
    pub fn with_suppressed(mut self, more: u64) -> Self {
        self.suppressed += more;
        self.enqueued = self.enqueued.saturating_sub(more);
        self
    }
}

impl std::ops::Add for ImportCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            rejected: self.rejected + other.rejected,
            duplicates: self.duplicates + other.duplicates,
            suppressed: self.suppressed + other.suppressed,
            enqueued: self.enqueued + other.enqueued,
        }
    }
}

/// What happens to a record.
#[derive(Clone, Debug, PartialEq)]
pub enum RowVerdict {
    /// The row is sent.
    Usable(Row),
    /// The number occurred in an earlier record, which is used instead.
    Duplicate,
    /// The number is on the campaign's exclude list.
    Excluded,
    /// The record cannot be used.
    Rejected(Reject),
}

/// A record that cannot be used: one line of the rejects file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The record's row number.
    pub row: RowNumber,
    /// The column at fault, as the header names it; empty if the fault is in the record as a whole.
    pub column: String,
    /// What is wrong.
    pub reason: RejectReason,
}

/// Why a record cannot be used. The text is the `problem` in the rejects file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum RejectReason {
    /// The phone number is not usable.
    #[error(transparent)]
    Phone(#[from] PhoneProblem),
    /// A value is not usable.
    #[error(transparent)]
    Value(#[from] ValueProblem),
    /// The bytes of a cell are not text in the file's encoding.
    #[error("there are damaged characters in this cell")]
    DamagedText,
    /// The values exceed [`MAX_VALUE_BYTES`].
    #[error("the values for the message hold more than {MAX_VALUE_BYTES} bytes")]
    ValuesTooLong,
    /// The record has more cells than the header.
    #[error("the row has more cells than the header, so values may be in the wrong columns")]
    TooManyCells,
    /// The record has a quotation mark that is not closed before other rows begin.
    #[error("a quotation mark (\") is opened in this row and not closed in it")]
    UnclosedQuote,
}

impl RejectReason {
    /// What the operator can do. The text is the `fix` in the rejects file.
    pub fn fix(self) -> &'static str {
        match self {
            RejectReason::Phone(problem) => problem.fix(),
            RejectReason::Value(problem) => problem.fix(),
            RejectReason::DamagedText => "type the text again, and save the file as \"CSV UTF-8\"",
            RejectReason::ValuesTooLong => "shorten the cells that the message uses",
            RejectReason::TooManyCells => {
                "put quotation marks around a cell that has the delimiter in it"
            }
            RejectReason::UnclosedQuote => {
                "close the quotation mark, or write it twice where it is text"
            }
        }
    }
}

/// The numbers that decide between usable, duplicate and suppressed.
#[derive(Debug, Default)]
pub struct SeenNumbers {
    /// Numbers of usable records, in this file and in the campaign's earlier files.
    pub seen: HashSet<CanonicalPhone>,
    /// Numbers on the campaign's exclude list.
    pub excluded: HashSet<CanonicalPhone>,
}

/// Classifies the records of one file, in their order.
#[derive(Debug)]
pub struct Importer {
    columns: Columns,
    validator: ValueValidator,
    region: Option<Region>,
    numbers: SeenNumbers,
    rows_before: u64,
    counts: ImportCounts,
}

impl Importer {
    /// Starts before the first record of a file; the campaign's earlier files have `rows_before` rows and
    /// left `numbers`.
    pub fn new(
        columns: Columns,
        validator: ValueValidator,
        region: Option<Region>,
        numbers: SeenNumbers,
        rows_before: u64,
    ) -> Self {
        Self {
            columns,
            validator,
            region,
            numbers,
            rows_before,
            counts: ImportCounts::default(),
        }
    }

    /// How many records got which verdict so far.
    pub fn counts(&self) -> ImportCounts {
        self.counts
    }

    /// Classifies the next record, which has `width` cells. Cells are UTF-8, except damaged ones.
    pub fn classify_row<'r>(
        &mut self,
        width: usize,
        cell: impl Fn(usize) -> Option<&'r [u8]>,
    ) -> RowVerdict {
        let row = self.next_row();
        match self.classify_cells(row, width, cell) {
            Ok(verdict) => self.count(verdict),
            Err((column, reason)) => self.reject(row, column, reason),
        }
    }

    /// Rejects the next record, which has an unclosed quotation mark.
    pub fn reject_unclosed_quote(&mut self) -> RowVerdict {
        let row = self.next_row();
        self.reject(row, String::new(), RejectReason::UnclosedQuote)
    }

    fn next_row(&mut self) -> RowNumber {
        self.counts.rows += 1;
        RowNumber::try_from(self.rows_before + self.counts.rows).unwrap_or(RowNumber::MAX)
    }

    fn reject(&mut self, row: RowNumber, column: String, reason: RejectReason) -> RowVerdict {
        self.count(RowVerdict::Rejected(Reject {
            row,
            column,
            reason,
        }))
    }

    fn count(&mut self, verdict: RowVerdict) -> RowVerdict {
        let count = match verdict {
            RowVerdict::Usable(_) => &mut self.counts.enqueued,
            RowVerdict::Duplicate => &mut self.counts.duplicates,
            RowVerdict::Excluded => &mut self.counts.suppressed,
            RowVerdict::Rejected(_) => &mut self.counts.rejected,
        };
        *count += 1;
        verdict
    }

    /// An error has the name of the column at fault.
    fn classify_cells<'r>(
        &mut self,
        row: RowNumber,
        width: usize,
        cell: impl Fn(usize) -> Option<&'r [u8]>,
    ) -> Result<RowVerdict, (String, RejectReason)> {
        // Exports often pad rows with empty cells.
        let is_filled = |index| cell(index).is_some_and(|cell| !cell.trim_ascii().is_empty());
        if (self.columns.width..width).any(is_filled) {
            return Err((String::new(), RejectReason::TooManyCells));
        }
        let phones = &self.columns.phones;
        let filled = phones.iter().position(|&column| is_filled(column));
        let position = filled.unwrap_or_default();
        let in_phone_column = |reason| {
            let name = self.columns.phone_names.get(position);
            (name.cloned().unwrap_or_default(), reason)
        };
        let number = phones.get(position).and_then(|&column| cell(column));
        let number = decode_cell(number).map_err(in_phone_column)?;
        let to =
            phone::parse(number, self.region).map_err(|problem| in_phone_column(problem.into()))?;
        let values = self.read_values(cell)?;
        let canonical = to.canonical();
        // Only a record without faults counts as seen, so that it does not make a later good one a duplicate.
        Ok(if !self.numbers.seen.insert(canonical) {
            RowVerdict::Duplicate
        } else if self.numbers.excluded.contains(&canonical) {
            RowVerdict::Excluded
        } else {
            RowVerdict::Usable(Row { row, to, values })
        })
    }

    fn read_values<'r>(
        &mut self,
        cell: impl Fn(usize) -> Option<&'r [u8]>,
    ) -> Result<Vec<String>, (String, RejectReason)> {
        let names = &self.columns.value_names;
        let mut values = Vec::with_capacity(names.len());
        let mut remaining_bytes = MAX_VALUE_BYTES;
        for (&index, name) in self.columns.values.iter().zip(names) {
            let in_column = |reason| (name.clone(), reason);
            let value = decode_cell(cell(index)).map_err(in_column)?;
            remaining_bytes = remaining_bytes
                .checked_sub(value.len())
                .ok_or_else(|| in_column(RejectReason::ValuesTooLong))?;
            values.push(unescape_formula(value).to_owned());
        }
        self.validator
            .validate(&mut values)
            .map_err(|(column, problem)| {
                let name = names.get(column).cloned().unwrap_or_default();
                (name, problem.into())
            })?;
        Ok(values)
    }
}

/// A cell as text. A cell beyond the end of the record is empty.
fn decode_cell(cell: Option<&[u8]>) -> Result<&str, RejectReason> {
    let text =
        std::str::from_utf8(cell.unwrap_or_default()).map_err(|_| RejectReason::DamagedText)?;
    // Decoders of other encodings replace bytes that they cannot read by this character. Its first byte is rare, and finding
    // a byte is fast.
    if text.as_bytes().contains(&0xEF) && text.contains(char::REPLACEMENT_CHARACTER) {
        Err(RejectReason::DamagedText)
    } else {
        Ok(text)
    }
}

/// Puts an apostrophe before a cell that a spreadsheet would calculate. Numbers and phone numbers stay as
/// they are.
pub fn escape_formula(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

/// Removes the apostrophe that [`escape_formula`] adds.
fn unescape_formula(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(formula) if is_formula(formula) => formula,
        Some(_) | None => cell,
    }
}

/// Whether a spreadsheet would calculate the cell
/// ([OWASP, CSV injection](https://owasp.org/www-community/attacks/CSV_Injection)).
fn is_formula(cell: &str) -> bool {
    let is_harmless =
        |c: char| c.is_ascii_digit() || matches!(c, ' ' | '.' | ',' | '(' | ')' | '-' | '/');
    match cell.chars().next() {
        Some('=' | '@' | '\t' | '\r') => true,
        Some('+' | '-') => !cell[1..].chars().all(is_harmless),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::header;
    use crate::import::value::OnBadValue;
    use crate::message::Message;
    use proptest::prelude::*;

    fn importer() -> Importer {
        let message =
            Message::new(serde_json::json!({"text": {"body": "Hi {{name}}"}})).expect("message");
        let columns = header::find_columns(&["Name", "Phone"], vec![1], message.columns());
        let columns = columns.expect("header");
        let validator = ValueValidator::new(&message, &[], OnBadValue::Clean);
        let mut numbers = SeenNumbers::default();
        numbers.excluded.insert(
            phone::parse("+33612345678", None)
                .expect("phone")
                .canonical(),
        );
        Importer::new(columns, validator, None, numbers, 0)
    }

    fn classify(importer: &mut Importer, cells: &[&[u8]]) -> RowVerdict {
        importer.classify_row(cells.len(), |index| cells.get(index).copied())
    }

    #[test]
    fn each_record_gets_one_verdict_and_is_counted_once() {
        let mut importer = importer();
        let RowVerdict::Usable(row) = classify(&mut importer, &[b"Ana", b"+5511987654321"]) else {
            panic!("usable")
        };
        assert_eq!(
            (row.row, row.values.as_slice()),
            (1, ["Ana".to_owned()].as_slice())
        );
        assert_eq!(
            classify(
                &mut importer,
                &[b"Ana again", b"55 11 98765 4321".as_slice()]
            ),
            RowVerdict::Rejected(Reject {
                row: 2,
                column: "Phone".into(),
                reason: PhoneProblem::NoCountry.into(),
            })
        );
        assert_eq!(
            classify(&mut importer, &[b"Ana", b"5511987654321"]),
            RowVerdict::Duplicate
        );
        let damaged: &[&[u8]] = &[b"Jos\xe9", b"+34612345678"];
        let RowVerdict::Rejected(reject) = classify(&mut importer, damaged) else {
            panic!("rejected")
        };
        assert_eq!(
            (reject.column.as_str(), reject.reason),
            ("Name", RejectReason::DamagedText)
        );
        let long = vec![b'x'; MAX_VALUE_BYTES + 1];
        let RowVerdict::Rejected(reject) = classify(&mut importer, &[&long, b"+34612345678"])
        else {
            panic!("rejected")
        };
        assert_eq!(reject.reason, RejectReason::ValuesTooLong);
        // A rejected record does not make a later good one a duplicate.
        assert!(matches!(
            classify(&mut importer, &[b"Jose", b"+34612345678"]),
            RowVerdict::Usable(_)
        ));
        assert!(matches!(
            classify(&mut importer, &[b"short"]),
            RowVerdict::Rejected(_)
        ));
        assert_eq!(
            classify(&mut importer, &[b"Eve", b"+33 6 12 34 56 78"]),
            RowVerdict::Excluded
        );
        let wide: &[&[u8]] = &[b"Silva", b"+34612345679", b"Ana"];
        assert!(matches!(
            classify(&mut importer, wide),
            RowVerdict::Rejected(Reject {
                row: 9,
                reason: RejectReason::TooManyCells,
                ..
            })
        ));
        let empty_beyond: &[&[u8]] = &[b"Eva", b"+34612345679", b" ", b""];
        assert!(matches!(
            classify(&mut importer, empty_beyond),
            RowVerdict::Usable(Row { row: 10, .. })
        ));
        assert!(matches!(
            importer.reject_unclosed_quote(),
            RowVerdict::Rejected(_)
        ));
        let counts = ImportCounts {
            rows: 11,
            rejected: 6,
            duplicates: 1,
            suppressed: 1,
            enqueued: 3,
        };
        assert_eq!(importer.counts(), counts);
    }

    #[test]
    fn escapes_formulas_and_unescapes_them_unchanged() {
        for harmless in ["+55 11 98765-4321", "-12.5", "Ana", "", "'x", "a=b"] {
            assert_eq!(escape_formula(harmless), harmless);
            assert_eq!(unescape_formula(harmless), harmless);
        }
        for formula in [
            "=1+1",
            "@SUM(A1)",
            "+cmd|' /C calc'!A0",
            "-2+3+cmd",
            "\t=1",
            "=\"+55\"",
        ] {
            assert!(escape_formula(formula).starts_with('\''), "{formula}");
            assert_eq!(unescape_formula(&escape_formula(formula)), formula);
        }
    }

    proptest! {
        #[test]
        fn every_record_is_counted_once_whatever_its_bytes(records in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..4), 0..40)) {
            let mut importer = importer();
            for record in &records {
                importer.classify_row(record.len(), |index| record.get(index).map(Vec::as_slice));
            }
            let counts = importer.counts();
            prop_assert_eq!(counts.rows, records.len() as u64);
            prop_assert_eq!(counts.rows, counts.rejected + counts.duplicates + counts.suppressed + counts.enqueued);
        }
    }
}
