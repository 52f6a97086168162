//! One record of the file → a row to send, a duplicate, or a reject with its reason.

use std::collections::HashSet;

use rlibphonenumber::enums::Region;
use serde::{Deserialize, Serialize};

use crate::batch::Row;
use crate::header::Columns;
use crate::id::RowNumber;
use crate::phone::{self, PhoneProblem};

/// The most bytes the values of one row may hold: a text body's 4,096 characters at 4 bytes each.
pub const MAX_VALUE_BYTES: usize = 16 * 1024;

/// What became of the records read so far; `rows = rejected + duplicates + enqueued`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Records read, header excluded.
    pub rows: u64,
    /// Records that cannot be used; each is in the rejects file.
    pub rejected: u64,
    /// Records whose number an earlier record had.
    pub duplicates: u64,
    /// Records for the queue.
    pub enqueued: u64,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// To be sent.
    Usable(Row),
    /// The number came earlier in the file; the first record counts.
    Duplicate,
    /// Cannot be used.
    Rejected(Reject),
}

/// A line of the rejects file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The record's number.
    pub row: RowNumber,
    /// The column at fault, as the header names it.
    pub column: String,
    /// What is wrong, and what to do.
    pub reason: RejectReason,
}

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum RejectReason {
    /// No usable number.
    #[error(transparent)]
    Phone(#[from] PhoneProblem),
    /// Bytes in another encoding.
    #[error("this cell is not UTF-8 text")]
    NotText,
    /// More than a message can hold.
    #[error("the values for the message hold more than {MAX_VALUE_BYTES} bytes")]
    TooLong,
}

/// Judges records one by one; remembers 8 bytes for each number seen.
#[derive(Debug)]
pub struct Importer {
    columns: Columns,
    value_names: Vec<String>,
    region: Option<Region>,
    seen: HashSet<u64>,
    counts: ImportCounts,
}

impl Importer {
    /// Starts before the first record; `value_names` as `Message::columns` has them.
    pub fn new(columns: Columns, value_names: Vec<String>, region: Option<Region>) -> Self {
        Self {
            columns,
            value_names,
            region,
            seen: HashSet::new(),
            counts: ImportCounts::default(),
        }
    }

    /// What became of the records so far.
    pub fn counts(&self) -> ImportCounts {
        self.counts
    }

    /// Judges the next record; `field` gives its bytes by index.
    pub fn judge<'r>(&mut self, field: impl Fn(usize) -> Option<&'r [u8]>) -> Verdict {
        self.counts.rows += 1;
        let row = RowNumber::try_from(self.counts.rows).unwrap_or(RowNumber::MAX);
        match self.usable(row, field) {
            Ok(Some(usable)) => {
                self.counts.enqueued += 1;
                Verdict::Usable(usable)
            }
            Ok(None) => {
                self.counts.duplicates += 1;
                Verdict::Duplicate
            }
            Err((column, reason)) => {
                self.counts.rejected += 1;
                Verdict::Rejected(Reject {
                    row,
                    column,
                    reason,
                })
            }
        }
    }

    fn usable<'r>(
        &mut self,
        row: RowNumber,
        field: impl Fn(usize) -> Option<&'r [u8]>,
    ) -> Result<Option<Row>, (String, RejectReason)> {
        let at_phone = |reason| (self.columns.phone_name.clone(), reason);
        let cell = text(field(self.columns.phone)).map_err(at_phone)?;
        let to = phone::read(cell, self.region).map_err(|problem| at_phone(problem.into()))?;
        let mut values = Vec::with_capacity(self.columns.values.len());
        let mut room = MAX_VALUE_BYTES;
        for (&index, name) in self.columns.values.iter().zip(&self.value_names) {
            let value = text(field(index)).map_err(|reason| (name.clone(), reason))?;
            room = room
                .checked_sub(value.len())
                .ok_or_else(|| (name.clone(), RejectReason::TooLong))?;
            values.push(value.to_owned());
        }
        let first = self.seen.insert(to.digits());
        Ok(first.then_some(Row { row, to, values }))
    }
}

/// A field as text; one that the record is too short for is empty.
fn text(field: Option<&[u8]>) -> Result<&str, RejectReason> {
    std::str::from_utf8(field.unwrap_or_default()).map_err(|_| RejectReason::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header;
    use proptest::prelude::*;

    fn importer() -> Importer {
        let needed = vec!["name".to_owned()];
        let columns = header::columns(&["Name", "Phone"], None, &needed).expect("header");
        Importer::new(columns, needed, None)
    }

    fn judge(importer: &mut Importer, fields: &[&[u8]]) -> Verdict {
        importer.judge(|index| fields.get(index).copied())
    }

    #[test]
    fn each_record_gets_one_verdict_and_is_counted_once() {
        let mut importer = importer();
        let Verdict::Usable(row) = judge(&mut importer, &[b"Ana", b"+5511987654321"]) else {
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
            Verdict::Rejected(Reject {
                row: 2,
                column: "Phone".into(),
                reason: PhoneProblem::NoCountry.into(),
            })
        );
        assert_eq!(
            judge(&mut importer, &[b"Ana", b"5511987654321"]),
            Verdict::Duplicate
        );
        let not_text: &[&[u8]] = &[b"Jos\xe9", b"+34612345678"];
        let Verdict::Rejected(reject) = judge(&mut importer, not_text) else {
            panic!("rejected")
        };
        assert_eq!(
            (reject.column.as_str(), reject.reason),
            ("name", RejectReason::NotText)
        );
        let long = vec![b'x'; MAX_VALUE_BYTES + 1];
        let Verdict::Rejected(reject) = judge(&mut importer, &[&long, b"+34612345678"]) else {
            panic!("rejected")
        };
        assert_eq!(reject.reason, RejectReason::TooLong);
        // A rejected record does not make a later good one a duplicate.
        assert!(matches!(
            judge(&mut importer, &[b"Jose", b"+34612345678"]),
            Verdict::Usable(_)
        ));
        assert!(matches!(
            judge(&mut importer, &[b"short"]),
            Verdict::Rejected(_)
        ));
        let counts = ImportCounts {
            rows: 7,
            rejected: 4,
            duplicates: 1,
            enqueued: 2,
        };
        assert_eq!(importer.counts(), counts);
    }

    proptest! {
        #[test]
        fn any_bytes_conserve(records in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..4), 0..40)) {
            let mut importer = importer();
            for record in &records {
                importer.judge(|index| record.get(index).map(Vec::as_slice));
            }
            let counts = importer.counts();
            prop_assert_eq!(counts.rows, records.len() as u64);
            prop_assert_eq!(counts.rows, counts.rejected + counts.duplicates + counts.enqueued);
        }
    }
}
