//! The bytes of a row in a chunk: [postcard](https://postcard.jamesmunns.com/wire-format), one value after the other.

use std::borrow::Cow;

use bytes::Bytes;
use campaign::delivery::batch::Row;
use campaign::id::RowNumber;
use campaign::import::phone::Phone;
use campaign::import::row::RowVerdict;
use serde::{Deserialize, Serialize};

use crate::error::ReadError;

/// A row of a file, as the import found it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedRow {
    /// Its number in the campaign.
    pub number: RowNumber,
    /// What became of it.
    pub verdict: Verdict,
    /// The operator's own columns: one line of CSV in the delimiter of the file, in UTF-8, without a line ending.
    pub line: Bytes,
}

/// What the import made of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It can be sent.
    Usable(Row),
    /// Its number is in an earlier row.
    Duplicate,
    /// Its number is on the campaign's exclude list.
    Excluded,
    /// It cannot be used, for this reason.
    Rejected(String),
    /// Its recipient was erased.
    Erased,
}

/// A row as it is stored; its number follows from its position.
#[derive(Serialize, Deserialize)]
struct StoredRow<'a> {
    #[serde(borrow)]
    verdict: StoredVerdict<'a>,
    #[serde(borrow)]
    line: &'a [u8],
}

#[derive(Serialize, Deserialize)]
enum StoredVerdict<'a> {
    Usable {
        digits: u64,
        values: Cow<'a, [String]>,
    },
    Duplicate,
    Excluded,
    #[serde(borrow)]
    Rejected(Cow<'a, str>),
    Erased,
}

/// Appends a row to a chunk.
pub(super) fn write_row(chunk: Vec<u8>, verdict: &RowVerdict, line: &[u8]) -> Vec<u8> {
    let verdict = match verdict {
        RowVerdict::Usable(row) => usable(row),
        RowVerdict::Duplicate => StoredVerdict::Duplicate,
        RowVerdict::Excluded => StoredVerdict::Excluded,
        RowVerdict::Rejected(reject) => StoredVerdict::Rejected(reject.reason.to_string().into()),
    };
    append(chunk, &StoredRow { verdict, line })
}

/// Appends a row that was read from a chunk.
pub(super) fn copy_row(chunk: Vec<u8>, row: &ImportedRow) -> Vec<u8> {
    let verdict = match &row.verdict {
        Verdict::Usable(row) => usable(row),
        Verdict::Duplicate => StoredVerdict::Duplicate,
        Verdict::Excluded => StoredVerdict::Excluded,
        Verdict::Rejected(reason) => StoredVerdict::Rejected(Cow::Borrowed(reason)),
        Verdict::Erased => StoredVerdict::Erased,
    };
    let line = &row.line;
    append(chunk, &StoredRow { verdict, line })
}

fn usable(row: &Row) -> StoredVerdict<'_> {
    StoredVerdict::Usable {
        digits: row.to.digits(),
        values: Cow::Borrowed(&row.values),
    }
}

fn append(chunk: Vec<u8>, row: &StoredRow<'_>) -> Vec<u8> {
    // Neither the types nor the memory of a vector can make this fail.
    postcard::to_extend(row, chunk).unwrap_or_default()
}

/// Reads the row at the start of `chunk`; returns how many bytes it has, too.
pub(super) fn read_row(
    chunk: &Bytes,
    number: RowNumber,
) -> Result<(ImportedRow, usize), ReadError> {
    let (stored, rest): (StoredRow<'_>, _) =
        postcard::take_from_bytes(chunk).map_err(|_| ReadError::DamagedChunk)?;
    let verdict = match stored.verdict {
        StoredVerdict::Usable { digits, values } => Verdict::Usable(Row {
            row: number,
            to: Phone::from_digits(digits).ok_or(ReadError::DamagedChunk)?,
            values: values.into_owned(),
        }),
        StoredVerdict::Duplicate => Verdict::Duplicate,
        StoredVerdict::Excluded => Verdict::Excluded,
        StoredVerdict::Rejected(reason) => Verdict::Rejected(reason.into_owned()),
        StoredVerdict::Erased => Verdict::Erased,
    };
    let line = chunk.slice_ref(stored.line);
    let row = ImportedRow {
        number,
        verdict,
        line,
    };
    Ok((row, chunk.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use campaign::import::phone;
    use campaign::import::row::{Reject, RejectReason};

    use super::*;

    #[test]
    fn row_is_read_as_it_was_written() {
        let usable = Row {
            row: 7,
            to: phone::parse("+5511987654321", None).expect("phone"),
            values: vec!["Ana".into(), String::new()],
        };
        let rejected = Reject {
            row: 9,
            column: "Name".into(),
            reason: RejectReason::DamagedText,
        };
        let rows = [
            (
                RowVerdict::Usable(usable.clone()),
                Verdict::Usable(usable),
                "Ana,\"x\"",
            ),
            (RowVerdict::Duplicate, Verdict::Duplicate, ""),
            (
                RowVerdict::Rejected(rejected.clone()),
                Verdict::Rejected(rejected.reason.to_string()),
                "é",
            ),
            (RowVerdict::Excluded, Verdict::Excluded, "a"),
        ];
        let mut chunk = Vec::new();
        for (verdict, _, line) in &rows {
            chunk = write_row(chunk, verdict, line.as_bytes());
        }
        let mut copied = Vec::new();
        let bytes = Bytes::from(chunk);
        let (mut rest, mut number) = (bytes.clone(), 7);
        for (_, verdict, line) in rows {
            let (row, length) = read_row(&rest, number).expect("row");
            assert_eq!((&row.verdict, &row.line[..]), (&verdict, line.as_bytes()));
            copied = copy_row(copied, &row);
            rest = rest.slice(length..);
            number += 1;
        }
        assert!(rest.is_empty());
        assert_eq!(bytes, copied);
        for damaged in [&b""[..], &[9, 0], &bytes[..3]] {
            let damaged = Bytes::copy_from_slice(damaged);
            assert!(matches!(
                read_row(&damaged, 1),
                Err(ReadError::DamagedChunk)
            ));
        }
    }
}
