//! One record of the file → a row to send, a duplicate, or a reject with its reason.

use std::collections::HashSet;

use rlibphonenumber::enums::Region;
use serde::{Deserialize, Serialize};

use crate::delivery::batch::Row;
use crate::id::RowNumber;
use crate::import::header::Columns;
use crate::import::phone::{self, CanonicalPhone, PhoneProblem};
use crate::import::value::{ValueProblem, ValueValidator};

/// The most rows of a campaign: what a splitter can remember the numbers of, at 9 to 18 bytes each.
pub const MAX_CAMPAIGN_ROWS: u64 = 50_000_000;

/// The most bytes the values of one row may hold: a text body's 4,096 characters at 4 bytes each.
pub const MAX_VALUE_BYTES: usize = 16 * 1024;

/// What became of the records read so far; `rows = rejected + duplicates + suppressed + enqueued`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Records read, header excluded.
    pub rows: u64,
    /// Records that cannot be used; each is in the rejects file.
    pub rejected: u64,
    /// Records whose number an earlier record had, in whatever spelling.
    pub duplicates: u64,
    /// Records of people who are not to be messaged.
    #[serde(default)]
    pub suppressed: u64,
    /// Records for the queue.
    pub enqueued: u64,
}

impl ImportCounts {
    /// With this many more of the usable records suppressed.
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

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum RowVerdict {
    /// To be sent.
    Usable(Row),
    /// The number came earlier; the first record counts.
    Duplicate,
    /// The campaign's exclude list has the number.
    Suppressed,
    /// Cannot be used.
    Rejected(Reject),
}

/// A line of the rejects file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The record's number.
    pub row: RowNumber,
    /// The column at fault, as the header names it; empty where it is the record as a whole.
    pub column: String,
    /// What is wrong.
    pub reason: RejectReason,
}

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum RejectReason {
    /// No usable number.
    #[error(transparent)]
    Phone(#[from] PhoneProblem),
    /// No usable value.
    #[error(transparent)]
    Value(#[from] ValueProblem),
    /// Bytes in another encoding.
    #[error("there are damaged characters in this cell")]
    DamagedText,
    /// More than a message can hold.
    #[error("the values for the message hold more than {MAX_VALUE_BYTES} bytes")]
    ValuesTooLong,
    /// More cells than the header.
    #[error("the row has more cells than the header, so values may be in the wrong columns")]
    TooManyCells,
    /// A quotation mark that would have taken other rows with it.
    #[error("a quotation mark (\") is opened in this row and not closed in it")]
    UnclosedQuote,
}

impl RejectReason {
    /// What to do about it.
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

/// Judges records one by one; remembers 8 bytes for each number seen.
#[derive(Debug)]
pub struct Importer {
    columns: Columns,
    validator: ValueValidator,
    region: Option<Region>,
    numbers: SeenNumbers,
    rows_before: u64,
    counts: ImportCounts,
}

/// Numbers an import has to know of.
#[derive(Debug, Default)]
pub struct SeenNumbers {
    /// Of records that were usable, in this file and in those before.
    pub seen: HashSet<CanonicalPhone>,
    /// Of people whom this campaign leaves out.
    pub excluded: HashSet<CanonicalPhone>,
}

impl Importer {
    /// Starts before the first record of a file; `before` rows came in earlier files of the campaign.
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

    /// What became of the records so far.
    pub fn counts(&self) -> ImportCounts {
        self.counts
    }

    /// The numbers as they are known by now: for the next file.
    pub fn into_numbers(self) -> SeenNumbers {
        self.numbers
    }

    /// Judges the next record; `cells` in UTF-8, but for damaged ones.
    pub fn classify_row<'r>(
        &mut self,
        width: usize,
        cell: impl Fn(usize) -> Option<&'r [u8]>,
    ) -> RowVerdict {
        let row = self.next_row();
        let too_wide = (self.columns.width..width)
            .any(|index| cell(index).is_some_and(|cell| !cell.trim_ascii().is_empty()));
        if too_wide {
            return self.reject(row, String::new(), RejectReason::TooManyCells);
        }
        match self.classify_cells(row, cell) {
            Ok(verdict) => {
                match verdict {
                    RowVerdict::Usable(_) => self.counts.enqueued += 1,
                    RowVerdict::Suppressed => self.counts.suppressed += 1,
                    RowVerdict::Duplicate | RowVerdict::Rejected(_) => self.counts.duplicates += 1,
                }
                verdict
            }
            Err((column, reason)) => self.reject(row, column, reason),
        }
    }

    /// Judges a record in which a quotation mark is not closed.
    pub fn reject_unclosed_quote(&mut self) -> RowVerdict {
        let row = self.next_row();
        self.reject(row, String::new(), RejectReason::UnclosedQuote)
    }

    fn next_row(&mut self) -> RowNumber {
        self.counts.rows += 1;
        RowNumber::try_from(self.rows_before + self.counts.rows).unwrap_or(RowNumber::MAX)
    }

    fn reject(&mut self, row: RowNumber, column: String, reason: RejectReason) -> RowVerdict {
        self.counts.rejected += 1;
        RowVerdict::Rejected(Reject {
            row,
            column,
            reason,
        })
    }

    fn classify_cells<'r>(
        &mut self,
        row: RowNumber,
        cell: impl Fn(usize) -> Option<&'r [u8]>,
    ) -> Result<RowVerdict, (String, RejectReason)> {
        let at_phone = |reason| (self.columns.phone_name.clone(), reason);
        let typed = decode_cell(cell(self.columns.phone)).map_err(at_phone)?;
        let to = phone::parse(typed, self.region).map_err(|problem| at_phone(problem.into()))?;
        let values = self.read_values(cell)?;
        let key = to.canonical();
        Ok(match () {
            () if !self.numbers.seen.insert(key) => RowVerdict::Duplicate,
            () if self.numbers.excluded.contains(&key) => RowVerdict::Suppressed,
            () => RowVerdict::Usable(Row { row, to, values }),
        })
    }

    fn read_values<'r>(
        &mut self,
        cell: impl Fn(usize) -> Option<&'r [u8]>,
    ) -> Result<Vec<String>, (String, RejectReason)> {
        let names = &self.columns.value_names;
        let mut values = Vec::with_capacity(names.len());
        let mut room = MAX_VALUE_BYTES;
        for (&index, name) in self.columns.values.iter().zip(names) {
            let value = decode_cell(cell(index)).map_err(|reason| (name.clone(), reason))?;
            room = room
                .checked_sub(value.len())
                .ok_or_else(|| (name.clone(), RejectReason::ValuesTooLong))?;
            values.push(unescape_formula(value).to_owned());
        }
        let name = |column: usize| names.get(column).cloned().unwrap_or_default();
        self.validator
            .validate(&mut values)
            .map_err(|(column, problem)| (name(column), problem.into()))?;
        Ok(values)
    }
}

/// A cell as text; one that the record is too short for is empty.
fn decode_cell(cell: Option<&[u8]>) -> Result<&str, RejectReason> {
    let text =
        std::str::from_utf8(cell.unwrap_or_default()).map_err(|_| RejectReason::DamagedText)?;
    // What a decoder puts in the place of bytes it cannot read.
    if text.contains('\u{fffd}') {
        Err(RejectReason::DamagedText)
    } else {
        Ok(text)
    }
}

/// Without the apostrophe that keeps a spreadsheet from taking text for a formula; [`guarded`] puts it there.
fn unescape_formula(value: &str) -> &str {
    match value.strip_prefix('\'') {
        Some(text) if is_formula(text) => text,
        Some(_) | None => value,
    }
}

/// A cell for a file that people open in a spreadsheet: what would be taken for a formula has an apostrophe in front,
/// numbers and phones stay as they are.
pub fn escape_formula(cell: &str) -> std::borrow::Cow<'_, str> {
    if is_formula(cell) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

/// Whether a spreadsheet would calculate it ([OWASP, CSV injection](https://owasp.org/www-community/attacks/CSV_Injection)).
fn is_formula(cell: &str) -> bool {
    let harmless =
        |c: char| c.is_ascii_digit() || matches!(c, ' ' | '.' | ',' | '(' | ')' | '-' | '/');
    match cell.chars().next() {
        Some('=' | '@' | '\t' | '\r') => true,
        Some('+' | '-') => !cell[1..].chars().all(harmless),
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
        let columns =
            header::find_columns(&["Name", "Phone"], None, message.columns()).expect("header");
        let checker = ValueValidator::new(&message, &[], OnBadValue::Clean);
        let mut numbers = SeenNumbers::default();
        numbers.excluded.insert(
            phone::parse("+33612345678", None)
                .expect("phone")
                .canonical(),
        );
        Importer::new(columns, checker, None, numbers, 0)
    }

    fn judge(importer: &mut Importer, fields: &[&[u8]]) -> RowVerdict {
        importer.classify_row(fields.len(), |index| fields.get(index).copied())
    }

    #[test]
    fn each_record_gets_one_verdict_and_is_counted_once() {
        let mut importer = importer();
        let RowVerdict::Usable(row) = judge(&mut importer, &[b"Ana", b"+5511987654321"]) else {
            panic!("usable")
        };
        assert_eq!(
            (row.row, row.values.as_slice()),
            (1, ["Ana".to_owned()].as_slice())
        );
        assert_eq!(
            judge(
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
            judge(&mut importer, &[b"Ana", b"5511987654321"]),
            RowVerdict::Duplicate
        );
        let not_text: &[&[u8]] = &[b"Jos\xe9", b"+34612345678"];
        let RowVerdict::Rejected(reject) = judge(&mut importer, not_text) else {
            panic!("rejected")
        };
        assert_eq!(
            (reject.column.as_str(), reject.reason),
            ("Name", RejectReason::DamagedText)
        );
        let long = vec![b'x'; MAX_VALUE_BYTES + 1];
        let RowVerdict::Rejected(reject) = judge(&mut importer, &[&long, b"+34612345678"]) else {
            panic!("rejected")
        };
        assert_eq!(reject.reason, RejectReason::ValuesTooLong);
        // A rejected record does not make a later good one a duplicate.
        assert!(matches!(
            judge(&mut importer, &[b"Jose", b"+34612345678"]),
            RowVerdict::Usable(_)
        ));
        assert!(matches!(
            judge(&mut importer, &[b"short"]),
            RowVerdict::Rejected(_)
        ));
        assert_eq!(
            judge(&mut importer, &[b"Eve", b"+33 6 12 34 56 78"]),
            RowVerdict::Suppressed
        );
        let wide: &[&[u8]] = &[b"Silva", b"+34612345679", b"Ana"];
        assert!(matches!(
            judge(&mut importer, wide),
            RowVerdict::Rejected(Reject {
                row: 9,
                reason: RejectReason::TooManyCells,
                ..
            })
        ));
        let empty_beyond: &[&[u8]] = &[b"Eva", b"+34612345679", b" ", b""];
        assert!(matches!(
            judge(&mut importer, empty_beyond),
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
    fn a_cell_is_guarded_where_a_spreadsheet_would_calculate_it_and_comes_back_as_it_was() {
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
        fn any_bytes_conserve(records in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..4), 0..40)) {
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
