//! Converts the first sheet of a workbook to CSV.
//!
//! A workbook cannot be streamed: its index is at the end of the file, and all its texts are in one list.
//! Both are kept in memory, hence the limits below. A million rows take about a tenth of them.

use std::fmt::Display;
use std::io::{Cursor, Read, Write};

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};
use futures::stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc::{self, Sender};
use tokio_util::io::StreamReader;

use crate::problem::TableProblem;
use crate::readers::BoxedReader;

/// The most bytes of a workbook as uploaded.
pub const MAX_WORKBOOK_BYTES: u64 = 100 * 1024 * 1024;

/// The delimiter of the CSV that a sheet becomes.
pub(crate) const DELIMITER: u8 = b',';

/// The most bytes of one sheet, unpacked. It is read cell by cell.
const MAX_SHEET_BYTES: u64 = 1024 * 1024 * 1024;

/// The most bytes of all other parts together, unpacked. The list of texts is among them and is kept in memory.
const MAX_OTHER_PARTS_BYTES: u64 = 256 * 1024 * 1024;

/// The most columns of a sheet that are read; Excel itself has no more.
const MAX_COLUMNS: u32 = 16_384;

/// Bytes of CSV in a chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks that wait for the reader; conversion pauses when there are more.
const MAX_WAITING_CHUNKS: usize = 2;

type Chunk = Result<Cursor<Vec<u8>>, TableProblem>;

/// Loads a workbook and returns its first sheet as CSV in UTF-8.
pub(crate) async fn read_first_sheet(
    file: impl AsyncRead + Unpin,
) -> Result<BoxedReader, TableProblem> {
    let mut workbook = Vec::new();
    file.take(MAX_WORKBOOK_BYTES + 1)
        .read_to_end(&mut workbook)
        .await?;
    if workbook.len() as u64 > MAX_WORKBOOK_BYTES {
        return Err(TableProblem::WorkbookTooLarge);
    }
    let (chunks, mut received) = mpsc::channel(MAX_WAITING_CHUNKS);
    tokio::task::spawn_blocking(move || {
        if let Err(problem) = write_sheet_as_csv(workbook, &chunks) {
            // This fails only if the reader was dropped, and then the problem has no reader either.
            let _ = chunks.blocking_send(Err(problem));
        }
    });
    let chunks = stream::poll_fn(move |cx| received.poll_recv(cx));
    Ok(Box::new(StreamReader::new(chunks)))
}

/// Sends the first sheet as CSV, in chunks; stops early if the reader was dropped.
fn write_sheet_as_csv(workbook: Vec<u8>, chunks: &Sender<Chunk>) -> Result<(), TableProblem> {
    check_unpacked_sizes(&workbook)?;
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(workbook)).map_err(unreadable)?;
    let sheets = workbook.sheet_names();
    let first = sheets.first().cloned().ok_or(TableProblem::Empty)?;
    let mut cells = workbook
        .worksheet_cells_reader(&first)
        .map_err(unreadable)?;
    let mut csv = Vec::with_capacity(2 * CHUNK_BYTES);
    let (mut row, mut column) = (None, 0);
    // Cells come in order of rows and columns; empty ones are left out.
    while let Some(cell) = cells.next_cell().map_err(unreadable)? {
        let (cell_row, cell_column) = cell.get_position();
        if row != Some(cell_row) {
            if row.is_some() {
                csv.push(b'\n');
            }
            (row, column) = (Some(cell_row), 0);
            if csv.len() >= CHUNK_BYTES {
                let chunk = Cursor::new(std::mem::take(&mut csv));
                if chunks.blocking_send(Ok(chunk)).is_err() {
                    return Ok(());
                }
            }
        }
        if cell_column >= MAX_COLUMNS {
            continue;
        }
        while column < cell_column {
            csv.push(DELIMITER);
            column += 1;
        }
        write_cell(&mut csv, cell.get_value());
    }
    csv.push(b'\n');
    let _ = chunks.blocking_send(Ok(Cursor::new(csv)));
    Ok(())
}

/// Checks that the parts of a workbook stay within the limits. Unpacks each part once and discards it,
/// because the sizes that a zip file declares can be false.
fn check_unpacked_sizes(workbook: &[u8]) -> Result<(), TableProblem> {
    let mut archive = zip::ZipArchive::new(Cursor::new(workbook)).map_err(unreadable)?;
    if archive.index_for_name("[Content_Types].xml").is_none() {
        return Err(TableProblem::NotATable {
            found: "a zip archive",
        });
    }
    let mut other_parts_bytes = 0;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(unreadable)?;
        let name = part.name().map_err(unreadable)?;
        // Pictures are never unpacked.
        if name.starts_with("xl/media/") {
            continue;
        }
        let is_sheet = name.starts_with("xl/worksheets/");
        let limit = if is_sheet {
            MAX_SHEET_BYTES
        } else {
            MAX_OTHER_PARTS_BYTES - other_parts_bytes
        };
        let size =
            std::io::copy(&mut part.take(limit + 1), &mut std::io::sink()).map_err(unreadable)?;
        if size > limit {
            return Err(TableProblem::WorkbookTooLarge);
        }
        if !is_sheet {
            other_parts_bytes += size;
        }
    }
    Ok(())
}

fn unreadable(error: impl Display) -> TableProblem {
    TableProblem::Workbook {
        detail: error.to_string(),
    }
}

/// Appends a cell: numbers without an exponent, dates in ISO 8601, texts in quotation marks.
fn write_cell(csv: &mut Vec<u8>, value: &DataRef<'_>) {
    // Writing to a vector does not fail.
    let _ = match value {
        DataRef::Int(number) => write!(csv, "{number}"),
        DataRef::Float(number) => write!(csv, "{}", format_decimal(*number)),
        DataRef::String(text) => return write_quoted(csv, text),
        DataRef::SharedString(text) => return write_quoted(csv, text),
        DataRef::Bool(true) => write!(csv, "TRUE"),
        DataRef::Bool(false) => write!(csv, "FALSE"),
        DataRef::DateTime(date) => write!(csv, "{}", format_date(*date)),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => return write_quoted(csv, text),
        DataRef::Error(error) => write!(csv, "{error}"),
        DataRef::Empty => Ok(()),
    };
}

fn write_quoted(csv: &mut Vec<u8>, text: &str) {
    csv.push(b'"');
    csv.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    csv.push(b'"');
}

/// A number as Excel shows it: 15 significant digits, never an exponent.
fn format_decimal(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    rounded.to_string()
}

/// A date, with the time if there is one; a duration as a number of days.
fn format_date(date: ExcelDateTime) -> String {
    if date.is_duration() {
        return format_decimal(date.as_f64());
    }
    match date.to_ymd_hms_milli() {
        (year, month, day, 0, 0, 0, _) => format!("{year:04}-{month:02}-{day:02}"),
        (year, month, day, hour, minute, second, _) => {
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_exponent_and_no_rounding_error() {
        assert_eq!(format_decimal(5_511_987_654_321.0), "5511987654321");
        assert_eq!(format_decimal(999_999_999_999_999.0), "999999999999999");
        assert_eq!(format_decimal(0.1 + 0.2), "0.3");
        assert_eq!(format_decimal(12.5), "12.5");
        assert_eq!(format_decimal(-3.0), "-3");
    }
}
