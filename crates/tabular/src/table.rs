//! Reads a table record by record.

use std::borrow::Cow;

use csv_async::{AsyncReader, AsyncReaderBuilder, ByteRecord};
use encoding_rs::WINDOWS_1252;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::format::{DetectedFormat, FileKind, ReadOptions};
use crate::problem::TableProblem;
use crate::readers::BoxedReader;
use crate::replay::{RecordTooLong, ReplayReader};
use crate::source::{self, TextSource};
use crate::{dialect, encoding, quotes, sheet};

/// How much of a line is kept in a record with an unclosed quotation mark; such a line may have any length.
const MAX_REJECTED_LINE_BYTES: usize = 4096;

/// Bytes that the CSV parser reads at a time.
const CSV_BUFFER_BYTES: usize = 64 * 1024;

/// Whether a record is as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordShape {
    /// The record is complete.
    Complete,
    /// A quotation mark in the record is not closed before other rows begin. The record consists of its first
    /// line alone, split at the delimiters, quotation marks included; the lines after it are records of their
    /// own.
    UnclosedQuote,
}

/// A table, read from its start to its end.
pub struct Table {
    reader: AsyncReader<ReplayReader<BoxedReader>>,
    /// Offset in the text at which `reader` began.
    reader_start: u64,
    header: ByteRecord,
    format: DetectedFormat,
    /// Whether all text so far is ASCII in a file whose encoding is still unknown.
    ascii_so_far: bool,
    /// Whether such a file turned out to be windows-1252.
    is_windows_1252: bool,
    /// The shape of the current record.
    shape: RecordShape,
    ends_in_crlf: bool,
}

impl Table {
    /// Detects the format of a file and reads its header.
    pub async fn open(
        file: impl AsyncRead + Send + Unpin + 'static,
        options: &ReadOptions,
    ) -> Result<Self, TableProblem> {
        let mut source = source::open_text(file, options).await?;
        let delimiter = choose_delimiter(&mut source, options).await?;
        let mut table = Self {
            reader: csv_reader(ReplayReader::new(source.text), delimiter),
            reader_start: 0,
            header: ByteRecord::new(),
            format: DetectedFormat {
                kind: source.kind,
                gzip: source.gzip,
                encoding: source.encoding.name(),
                delimiter,
            },
            ascii_so_far: source.ascii_so_far,
            is_windows_1252: false,
            shape: RecordShape::Complete,
            ends_in_crlf: false,
        };
        table.read_header().await?;
        Ok(table)
    }

    async fn read_header(&mut self) -> Result<(), TableProblem> {
        let mut header = ByteRecord::new();
        if self.read_record(&mut header).await?.is_none() {
            return Err(TableProblem::Empty);
        }
        // Of a CRLF, the parser consumes the CR with this record and the LF with the next one.
        self.ends_in_crlf = self.current_bytes_untrimmed().ends_with(b"\r");
        self.header = header;
        Ok(())
    }

    /// How the file is read.
    pub fn format(&self) -> DetectedFormat {
        let mut format = self.format.clone();
        if self.is_windows_1252 {
            format.encoding = WINDOWS_1252.name();
        }
        format
    }

    /// The cells of the header, as the file has them.
    pub fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// What ends a line of the file, judged by its header.
    pub fn line_ending(&self) -> &'static str {
        if self.ends_in_crlf { "\r\n" } else { "\n" }
    }

    /// Reads the next record that is not blank; `None` at the end of the file. Cells are UTF-8, except
    /// damaged ones.
    pub async fn read_record(
        &mut self,
        record: &mut ByteRecord,
    ) -> Result<Option<RecordShape>, TableProblem> {
        loop {
            let start = self.position();
            self.reader.get_mut().mark(start);
            let has_unclosed_quote = match self.reader.read_byte_record(record).await {
                Ok(true) => self.has_swallowed_lines(record),
                Ok(false) => return Ok(None),
                Err(error) => {
                    expect_too_long(error)?;
                    true
                }
            };
            self.shape = if has_unclosed_quote {
                self.replace_by_first_line(start, record).await?;
                RecordShape::UnclosedQuote
            } else {
                RecordShape::Complete
            };
            if record.iter().any(|cell| !cell.trim_ascii().is_empty()) {
                self.decode_legacy_cells(record);
                return Ok(Some(self.shape));
            }
        }
    }

    /// The bytes of the current record, or of the header before the first record, in UTF-8 and without the
    /// line ending. `None` if a quotation mark in the record is not closed.
    pub fn current_bytes(&self) -> Option<Cow<'_, [u8]>> {
        if self.shape == RecordShape::UnclosedQuote {
            return None;
        }
        let bytes = trim_line_endings(self.current_bytes_untrimmed());
        Some(if self.is_windows_1252 {
            Cow::Owned(encoding::decode_windows_1252(bytes).into_bytes())
        } else {
            Cow::Borrowed(bytes)
        })
    }

    fn current_bytes_untrimmed(&self) -> &[u8] {
        self.reader.get_ref().since_mark(self.position())
    }

    /// Offset in the text of the next byte to parse.
    fn position(&self) -> u64 {
        self.reader_start + self.reader.position().byte()
    }

    /// Whether an unclosed quotation mark drew other lines into this record.
    fn has_swallowed_lines(&self, record: &ByteRecord) -> bool {
        let has_line_break = memchr::memchr2(b'\n', b'\r', record.as_slice()).is_some();
        has_line_break && {
            let bytes = self.current_bytes_untrimmed().trim_ascii_start();
            quotes::has_unbalanced_quote(bytes, self.format.delimiter)
        }
    }

    /// Reduces the record that begins at `start` to its first line, and continues after that line.
    async fn replace_by_first_line(
        &mut self,
        start: u64,
        record: &mut ByteRecord,
    ) -> Result<(), TableProblem> {
        let delimiter = self.format.delimiter;
        let nothing: BoxedReader = Box::new(tokio::io::empty());
        let nothing = csv_reader(ReplayReader::new(nothing), delimiter);
        let mut text = std::mem::replace(&mut self.reader, nothing).into_inner();
        text.rewind(start);
        let buffered = text.after_mark();
        let blank = buffered.iter().take_while(|b| is_line_ending(b)).count();
        let line = &buffered[blank..];
        let end = memchr::memchr2(b'\n', b'\r', line).unwrap_or(line.len());
        *record = line[..end.min(MAX_REJECTED_LINE_BYTES)]
            .split(|&b| b == delimiter)
            .collect();
        self.reader_start = text.skip_line(start + blank as u64).await?;
        self.reader = csv_reader(text, delimiter);
        Ok(())
    }

    /// In a file that was ASCII so far, the first other character decides between UTF-8 and windows-1252.
    fn decode_legacy_cells(&mut self, record: &mut ByteRecord) {
        if record.as_slice().is_ascii() {
            return;
        }
        if std::mem::take(&mut self.ascii_so_far) {
            self.is_windows_1252 = record.iter().any(|cell| std::str::from_utf8(cell).is_err());
        }
        if self.is_windows_1252 {
            let cells: Vec<String> = record.iter().map(encoding::decode_windows_1252).collect();
            *record = cells.into();
        }
    }
}

/// The delimiter that the operator stated, else that of the `sep=` line, else the one detected. Skips a
/// `sep=` line.
async fn choose_delimiter(
    source: &mut TextSource,
    options: &ReadOptions,
) -> Result<u8, TableProblem> {
    if source.kind == FileKind::Xlsx {
        return Ok(sheet::DELIMITER);
    }
    let sep_line = dialect::parse_sep_line(&source.sample);
    if let Some((_, length)) = sep_line {
        source.text.read_exact(&mut vec![0; length]).await?;
    }
    match options.delimiter.or(sep_line.map(|(stated, _)| stated)) {
        Some(stated) => Ok(stated),
        None => Ok(dialect::detect_delimiter(&source.sample, source.is_sample_complete).await),
    }
}

fn csv_reader<R: AsyncRead + Send + Unpin>(text: R, delimiter: u8) -> AsyncReader<R> {
    AsyncReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(CSV_BUFFER_BYTES)
        .create_reader(text)
}

/// Passes over the error of a record that is too long, for that record can be rejected; returns every other one.
fn expect_too_long(error: csv_async::Error) -> Result<(), TableProblem> {
    match error.into_kind() {
        csv_async::ErrorKind::Io(error)
            if error
                .get_ref()
                .is_some_and(|inner| inner.is::<RecordTooLong>()) =>
        {
            Ok(())
        }
        csv_async::ErrorKind::Io(error) => Err(error.into()),
        other => Err(TableProblem::Io(std::io::Error::other(format!(
            "{other:?}"
        )))),
    }
}

/// Removes line endings on both sides: the parser reads the end of a CRLF with the record after it.
fn trim_line_endings(bytes: &[u8]) -> &[u8] {
    let Some(start) = bytes.iter().position(|b| !is_line_ending(b)) else {
        return &[];
    };
    let end = bytes.iter().rposition(|b| !is_line_ending(b));
    &bytes[start..=end.unwrap_or(start)]
}

fn is_line_ending(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cells and shape of every record, the header first.
    async fn read_all(file: &'static [u8]) -> (Table, Vec<(Vec<String>, RecordShape)>) {
        let mut table = Table::open(file, &ReadOptions::default())
            .await
            .expect("a table");
        let text = |record: &ByteRecord| {
            let cells = record.iter();
            cells
                .map(|cell| String::from_utf8_lossy(cell).into_owned())
                .collect()
        };
        let mut records = vec![(text(table.header()), RecordShape::Complete)];
        let mut record = ByteRecord::new();
        while let Some(shape) = table.read_record(&mut record).await.expect("a record") {
            records.push((text(&record), shape));
        }
        (table, records)
    }

    #[tokio::test]
    async fn unclosed_quote_affects_one_record() {
        let (_, records) = read_all(b"phone,name\n1,\"Ana\n2,Bo\n3,\"Eve\nLee\"\n").await;
        let record = |cells: [&str; 2], shape| (cells.map(str::to_owned).to_vec(), shape);
        assert_eq!(
            records,
            [
                record(["phone", "name"], RecordShape::Complete),
                record(["1", "\"Ana"], RecordShape::UnclosedQuote),
                record(["2", "Bo"], RecordShape::Complete),
                record(["3", "Eve\nLee"], RecordShape::Complete),
            ]
        );
    }

    #[tokio::test]
    async fn blank_lines_are_skipped_and_line_endings_kept() {
        let (table, records) = read_all(b"\r\nphone,name\r\n\r\n ,\r\n1,Ana\r\n").await;
        assert_eq!(records.len(), 2);
        assert_eq!(table.line_ending(), "\r\n");
    }

    #[tokio::test]
    async fn current_bytes_are_those_of_the_record() {
        let file: &[u8] = b"phone;name\n1;\"Ana\"\n2;\"Bo\n";
        let mut table = Table::open(file, &ReadOptions::default())
            .await
            .expect("a table");
        assert_eq!(table.current_bytes().as_deref(), Some(&b"phone;name"[..]));
        let mut record = ByteRecord::new();
        table.read_record(&mut record).await.expect("a record");
        assert_eq!(table.current_bytes().as_deref(), Some(&b"1;\"Ana\""[..]));
        let shape = table.read_record(&mut record).await.expect("a record");
        assert_eq!(shape, Some(RecordShape::UnclosedQuote));
        assert_eq!(table.current_bytes(), None);
    }

    #[tokio::test]
    async fn file_without_records_is_empty() {
        for file in ["", "\n\n", "\u{feff}"] {
            let opened = Table::open(file.as_bytes(), &ReadOptions::default()).await;
            assert!(matches!(opened, Err(TableProblem::Empty)), "{file:?}");
        }
    }
}
