//! The records of any table, for erasures: what was never imported has no chunks.

use campaign::lifecycle::campaign::ImportOptions;
use tabular::{ByteRecord, Table};
use tokio::io::AsyncRead;

use crate::csv_line::format_line;
use crate::error::ReadError;
use crate::reader::read_options;

/// The only line of a list that would be empty without one.
const EMPTY_LIST: &[u8] = b"phone\n";

/// Whether a record of the table, its header included, has a cell for which `is_theirs` holds.
pub async fn any_record(
    file: impl AsyncRead + Send + Unpin + 'static,
    options: &ImportOptions,
    is_theirs: impl Fn(&str) -> bool,
) -> Result<bool, ReadError> {
    let mut table = Table::open(file, &read_options(options)).await?;
    let mut record = table.header().clone();
    loop {
        if has_cell(&record, &is_theirs) {
            return Ok(true);
        }
        if table.read_record(&mut record).await?.is_none() {
            return Ok(false);
        }
    }
}

/// Passes the table to `write` as UTF-8, without the records that [`any_record`] finds. A table that loses all of them keeps a
/// header, so that it can still be read.
pub async fn copy_without<E: From<ReadError>>(
    file: impl AsyncRead + Send + Unpin + 'static,
    options: &ImportOptions,
    is_theirs: impl Fn(&str) -> bool,
    mut write: impl AsyncFnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let opened = Table::open(file, &read_options(options)).await;
    let mut table = opened.map_err(ReadError::from)?;
    let mut record = table.header().clone();
    let mut is_empty = true;
    let delimiter = read_options(options).delimiter;
    // By the byte order mark it is read as UTF-8, whatever its encoding was.
    write("\u{feff}".as_bytes()).await?;
    loop {
        if !has_cell(&record, &is_theirs) {
            is_empty = false;
            write(&line(&table, &record, delimiter)).await?;
        }
        let read = table.read_record(&mut record).await;
        if read.map_err(ReadError::from)?.is_none() {
            break;
        }
    }
    match is_empty {
        true => write(EMPTY_LIST).await,
        false => Ok(()),
    }
}

fn has_cell(record: &ByteRecord, is_theirs: impl Fn(&str) -> bool) -> bool {
    let mut cells = record.iter().map(String::from_utf8_lossy);
    cells.any(|cell| is_theirs(&cell))
}

/// The table's current record with its line ending: unchanged, if it can be read with the delimiter that the options name.
fn line(table: &Table, record: &ByteRecord, named: Option<u8>) -> Vec<u8> {
    let delimiter = table.format().delimiter;
    let is_readable = named.is_none_or(|named| named == delimiter);
    let mut line = match table.current_bytes().filter(|_| is_readable) {
        Some(bytes) => bytes.into_owned(),
        // A workbook has no delimiter of its own; with an unclosed quotation mark, the record ends at the end of its line.
        None => {
            let cells: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
            let delimiter = char::from(named.unwrap_or(delimiter));
            format_line(delimiter, cells.iter().map(AsRef::as_ref)).into_bytes()
        }
    };
    line.extend_from_slice(table.line_ending().as_bytes());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn without_ana(table: &'static [u8]) -> (bool, String) {
        let options = ImportOptions::default();
        let is_theirs = |cell: &str| cell.contains("Ana");
        let found = any_record(table, &options, is_theirs).await.expect("table");
        let mut copy = Vec::new();
        let write = async |bytes: &[u8]| {
            copy.extend_from_slice(bytes);
            Ok::<(), ReadError>(())
        };
        let copied = copy_without(table, &options, is_theirs, write);
        copied.await.expect("table");
        let copy = String::from_utf8(copy).expect("UTF-8");
        (found, copy.trim_start_matches('\u{feff}').to_owned())
    }

    #[tokio::test]
    async fn only_their_records_go() {
        let (found, copy) = without_ana(b"name|city\r\nBo|Rome\r\nAna|Lima\r\n\"A, B\"|\r\n").await;
        assert!(found);
        assert_eq!(copy, "name|city\r\nBo|Rome\r\n\"A, B\"|\r\n");
        let (found, copy) = without_ana(b"name\nBo\n").await;
        assert_eq!((found, copy.as_str()), (false, "name\nBo\n"));
    }

    #[tokio::test]
    async fn first_line_is_a_record_too_and_empty_lists_stay_readable() {
        let (found, copy) = without_ana(b"Ana\nBo\n").await;
        assert_eq!((found, copy.as_str()), (true, "Bo\n"));
        let (found, copy) = without_ana(b"Ana").await;
        assert_eq!((found, copy.as_str()), (true, "phone\n"));
    }

    #[tokio::test]
    async fn other_encodings_become_utf_8() {
        let utf16: Vec<u8> = "\u{feff}name;city\nJosé;Rome\nAna;Lima\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let (found, copy) = without_ana(utf16.leak()).await;
        assert_eq!((found, copy.as_str()), (true, "name;city\nJosé;Rome\n"));
    }
}
