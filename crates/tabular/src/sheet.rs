//! The first sheet of a workbook as CSV. A workbook cannot be streamed: its index is at the file's end and its texts
//! are in one list, so both are in memory. Hence the bounds; a million rows take about a tenth of them.

use std::io::{Cursor, Read, Write};

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::TableProblem;

/// The most bytes of a workbook as uploaded.
pub const MAX_WORKBOOK_BYTES: u64 = 100 * 1024 * 1024;

/// The most bytes of a sheet, unpacked; it is read cell by cell.
const MAX_SHEET_BYTES: u64 = 1024 * 1024 * 1024;

/// The most bytes of everything else, unpacked; the list of texts is kept in memory.
const MAX_OTHER_PARTS_BYTES: u64 = 256 * 1024 * 1024;

/// The most columns of a sheet that are read (Excel's own limit is 16,384).
const MAX_COLUMNS: usize = 16_384;

/// Bytes handed over at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Reads a whole workbook and gives its first sheet as comma-separated UTF-8, in chunks; errors are for people.
pub(crate) async fn read_first_sheet(
    file: impl AsyncRead + Unpin,
) -> Result<Receiver<Result<Vec<u8>, TableProblem>>, TableProblem> {
    let mut bytes = Vec::new();
    file.take(MAX_WORKBOOK_BYTES + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(TableProblem::Io)?;
    if bytes.len() as u64 > MAX_WORKBOOK_BYTES {
        return Err(TableProblem::WorkbookTooLarge);
    }
    let (out, chunks) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        if let Err(problem) = write_sheet_as_csv(bytes, &out) {
            // Where nobody listens any more there is nobody to tell.
            let _ = out.blocking_send(Err(problem));
        }
    });
    Ok(chunks)
}

fn write_sheet_as_csv(
    bytes: Vec<u8>,
    out: &Sender<Result<Vec<u8>, TableProblem>>,
) -> Result<(), TableProblem> {
    let broken = |error: &dyn std::fmt::Display| TableProblem::Workbook {
        detail: error.to_string(),
    };
    check_unpacked_sizes(&bytes)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    let Some(first) = book.sheet_names().first().cloned() else {
        return Err(TableProblem::Empty);
    };
    let mut cells = book
        .worksheet_cells_reader(&first)
        .map_err(|error| broken(&error))?;
    let mut text = Vec::with_capacity(2 * CHUNK_BYTES);
    let (mut row, mut column) = (None, 0);
    while let Some(cell) = cells.next_cell().map_err(|error| broken(&error))? {
        let (at_row, at_column) = (cell.get_position().0, cell.get_position().1 as usize);
        if row != Some(at_row) {
            if row.is_some() {
                text.push(b'\n');
            }
            (row, column) = (Some(at_row), 0);
            if text.len() >= CHUNK_BYTES
                && out.blocking_send(Ok(std::mem::take(&mut text))).is_err()
            {
                return Ok(());
            }
        }
        if at_column >= MAX_COLUMNS {
            continue;
        }
        while column < at_column {
            text.push(b',');
            column += 1;
        }
        write_cell(&mut text, cell.get_value());
    }
    text.push(b'\n');
    let _ = out.blocking_send(Ok(text));
    Ok(())
}

/// Unpacks everything once into nothing: sizes that a zip file declares of itself prove nothing.
fn check_unpacked_sizes(bytes: &[u8]) -> Result<(), TableProblem> {
    let broken = |error: &dyn std::fmt::Display| TableProblem::Workbook {
        detail: error.to_string(),
    };
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    if zip.index_for_name("[Content_Types].xml").is_none() {
        return Err(TableProblem::NotATable {
            found: "a zip archive",
        });
    }
    let mut room = MAX_OTHER_PARTS_BYTES;
    for index in 0..zip.len() {
        let part = zip.by_index(index).map_err(|error| broken(&error))?;
        let name = part.name().map_err(|error| broken(&error))?;
        let (sheet, media) = (
            name.starts_with("xl/worksheets/"),
            name.starts_with("xl/media/"),
        );
        if media {
            continue;
        }
        let limit = if sheet { MAX_SHEET_BYTES } else { room };
        let size = std::io::copy(&mut part.take(limit + 1), &mut std::io::sink())
            .map_err(|error| broken(&error))?;
        if size > limit {
            return Err(TableProblem::WorkbookTooLarge);
        }
        if !sheet {
            room -= size;
        }
    }
    Ok(())
}

/// A cell as CSV: numbers whole, dates as people write them in files.
fn write_cell(text: &mut Vec<u8>, value: &DataRef<'_>) {
    // Writing to a vector does not fail.
    let _ = match value {
        DataRef::Int(number) => write!(text, "{number}"),
        DataRef::Float(number) => write!(text, "{}", format_decimal(*number)),
        DataRef::String(string) => return write_quoted(text, string),
        DataRef::SharedString(string) => return write_quoted(text, string),
        DataRef::Bool(yes) => write!(text, "{}", if *yes { "TRUE" } else { "FALSE" }),
        DataRef::DateTime(at) => write!(text, "{}", format_date(*at)),
        DataRef::DateTimeIso(string) | DataRef::DurationIso(string) => {
            return write_quoted(text, string);
        }
        DataRef::Error(error) => write!(text, "{error}"),
        DataRef::Empty => Ok(()),
    };
}

fn write_quoted(text: &mut Vec<u8>, string: &str) {
    text.push(b'"');
    text.extend_from_slice(string.replace('"', "\"\"").as_bytes());
    text.push(b'"');
}

/// As Excel shows it: 15 significant digits, never an exponent.
fn format_decimal(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    format!("{rounded}")
}

fn format_date(at: ExcelDateTime) -> String {
    if at.is_duration() {
        return format_decimal(at.as_f64());
    }
    match at.to_ymd_hms_milli() {
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
    fn numbers_come_out_whole() {
        assert_eq!(format_decimal(5_511_987_654_321.0), "5511987654321");
        assert_eq!(format_decimal(999_999_999_999_999.0), "999999999999999");
        assert_eq!(format_decimal(0.1 + 0.2), "0.3");
        assert_eq!(format_decimal(12.5), "12.5");
        assert_eq!(format_decimal(-3.0), "-3");
    }
}
