//! Records of a table, one at a time.

use std::borrow::Cow;

use csv_async::{AsyncReader, AsyncReaderBuilder, ByteRecord};
use encoding_rs::WINDOWS_1252;
use tokio::io::AsyncRead;

use crate::replay::{RecordTooLong, ReplayReader};
use crate::source::{self, BoxedReader, TextSource};
use crate::{DetectedFormat, ReadOptions, TableProblem, dialect, encoding, quotes};

/// What of a line is kept that has no end of its own.
const MAX_REJECTED_LINE_BYTES: usize = 4096;

/// How a record came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordShape {
    /// As the file has it.
    Complete,
    /// A quotation mark is opened in it and not closed before other rows: this is its first line alone, quotation
    /// marks and all; the lines below are records of their own.
    UnclosedQuote,
}

/// A table under way.
pub struct Table {
    reader: AsyncReader<ReplayReader<BoxedReader>>,
    /// Offset in the text at which `reader` began.
    reader_start: u64,
    header: ByteRecord,
    format: DetectedFormat,
    /// Whether nothing has told UTF-8 from a legacy encoding yet.
    ascii_so_far: bool,
    is_windows_1252: bool,
    /// Of the record last read.
    shape: RecordShape,
    /// Whether lines end in a carriage return and a line feed.
    ends_in_crlf: bool,
}

impl Table {
    /// Finds out how to read a file, and reads its header.
    pub async fn open(
        file: impl AsyncRead + Send + Unpin + 'static,
        wanted: &ReadOptions,
    ) -> Result<Self, TableProblem> {
        let TextSource {
            mut text,
            sample,
            is_sample_complete: whole,
            kind,
            gzip,
            encoding,
            ascii_so_far: ascii,
        } = source::open_text(file, wanted).await?;
        let sep = dialect::parse_sep_line(&sample).filter(|_| kind == "csv");
        let mut records = sample.as_str();
        if let Some((_, length)) = sep {
            use tokio::io::AsyncReadExt;
            let mut line = vec![0; length];
            text.read_exact(&mut line)
                .await
                .map_err(source::to_table_problem)?;
            records = &sample[length..];
        }
        let delimiter = match (wanted.delimiter, sep) {
            _ if kind == "xlsx" => b',',
            (Some(wanted), _) => wanted,
            (None, Some((told, _))) => told,
            (None, None) => dialect::detect_delimiter(records, whole).await,
        };
        let found = DetectedFormat {
            kind,
            gzip,
            encoding: encoding.name(),
            delimiter,
        };
        let reader = csv_reader(ReplayReader::new(text), delimiter);
        let mut table = Self {
            reader,
            reader_start: 0,
            header: ByteRecord::new(),
            format: found,
            ascii_so_far: ascii,
            is_windows_1252: false,
            shape: RecordShape::Complete,
            ends_in_crlf: false,
        };
        let mut header = ByteRecord::new();
        if table.read_record(&mut header).await?.is_none() {
            return Err(TableProblem::Empty);
        }
        // The reader stops behind the first of them.
        table.ends_in_crlf = table.current_bytes_untrimmed().ends_with(b"\r");
        table.header = header;
        Ok(table)
    }

    /// What the file turned out to be.
    pub fn format(&self) -> DetectedFormat {
        DetectedFormat {
            encoding: if self.is_windows_1252 {
                WINDOWS_1252.name()
            } else {
                self.format.encoding
            },
            ..self.format.clone()
        }
    }

    /// The cells of the header, as the file has them.
    pub fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// The bytes of the record last read, the header first, as UTF-8 and without the end of the line; `None` where a quotation
    /// mark in it is never closed.
    pub fn current_bytes(&self) -> Option<Cow<'_, [u8]>> {
        if self.shape == RecordShape::UnclosedQuote {
            return None;
        }
        let raw = trim_line_endings(self.current_bytes_untrimmed());
        Some(match self.is_windows_1252 {
            true => Cow::Owned(encoding::decode_windows_1252(raw).into_bytes()),
            false => Cow::Borrowed(raw),
        })
    }

    /// What ends a line of the file: as it ends the header.
    pub fn line_ending(&self) -> &'static str {
        if self.ends_in_crlf { "\r\n" } else { "\n" }
    }

    fn current_bytes_untrimmed(&self) -> &[u8] {
        let end = self.reader_start + self.reader.position().byte();
        self.reader.get_ref().since_mark(end)
    }

    /// Reads the next record that has anything in it; `None` at the end. Cells are UTF-8 but for damaged ones.
    pub async fn read_record(
        &mut self,
        record: &mut ByteRecord,
    ) -> Result<Option<RecordShape>, TableProblem> {
        loop {
            let start = self.reader_start + self.reader.position().byte();
            self.reader.get_mut().mark(start);
            let shape = match self.reader.read_byte_record(record).await {
                Ok(false) => return Ok(None),
                Ok(true) if self.has_swallowed_lines(record) => {
                    self.replace_by_first_line(start, record).await?;
                    RecordShape::UnclosedQuote
                }
                Ok(true) => RecordShape::Complete,
                Err(error) => {
                    self.expect_too_long(error)?;
                    self.replace_by_first_line(start, record).await?;
                    RecordShape::UnclosedQuote
                }
            };
            if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            self.decode_legacy_cells(record);
            self.shape = shape;
            return Ok(Some(shape));
        }
    }

    /// Whether a stray quotation mark took other lines into this record.
    fn has_swallowed_lines(&self, record: &ByteRecord) -> bool {
        let several_lines = memchr::memchr2(b'\n', b'\r', record.as_slice()).is_some();
        let end = self.reader_start + self.reader.position().byte();
        several_lines && {
            let raw = self.reader.get_ref().since_mark(end);
            quotes::has_unbalanced_quote(raw.trim_ascii_start(), self.format.delimiter)
        }
    }

    /// A record without an end is the file's fault; anything else that of the way to it.
    fn expect_too_long(&self, error: csv_async::Error) -> Result<(), TableProblem> {
        match error.into_kind() {
            csv_async::ErrorKind::Io(error)
                if error
                    .get_ref()
                    .is_some_and(|inner| inner.is::<RecordTooLong>()) =>
            {
                Ok(())
            }
            csv_async::ErrorKind::Io(error) => Err(source::to_table_problem(error)),
            other => Err(TableProblem::Io(std::io::Error::other(format!(
                "{other:?}"
            )))),
        }
    }

    /// Gives the first line of the record at `start` as cells, and goes on after it.
    async fn replace_by_first_line(
        &mut self,
        start: u64,
        record: &mut ByteRecord,
    ) -> Result<(), TableProblem> {
        let next = csv_reader(
            ReplayReader::new(Box::new(tokio::io::empty()) as BoxedReader),
            self.format.delimiter,
        );
        let mut tape = std::mem::replace(&mut self.reader, next).into_inner();
        tape.rewind(start);
        let ahead = tape.from_mark();
        let line_start = ahead
            .iter()
            .position(|&b| b != b'\n' && b != b'\r')
            .unwrap_or(ahead.len());
        let line = &ahead[line_start..];
        let end = memchr::memchr2(b'\n', b'\r', line).unwrap_or(line.len());
        *record = line[..end.min(MAX_REJECTED_LINE_BYTES)]
            .split(|&b| b == self.format.delimiter)
            .collect();
        let after = tape
            .skip_line(start + line_start as u64)
            .await
            .map_err(source::to_table_problem)?;
        self.reader_start = after;
        self.reader = csv_reader(tape, self.format.delimiter);
        Ok(())
    }

    /// In a file that was ASCII so far, the first other character tells UTF-8 from windows-1252.
    fn decode_legacy_cells(&mut self, record: &mut ByteRecord) {
        if !(self.ascii_so_far || self.is_windows_1252) || record.as_slice().is_ascii() {
            return;
        }
        if self.ascii_so_far {
            self.ascii_so_far = false;
            self.is_windows_1252 = record.iter().any(|cell| std::str::from_utf8(cell).is_err());
        }
        if self.is_windows_1252 {
            *record = record
                .iter()
                .map(encoding::decode_windows_1252)
                .collect::<Vec<_>>()
                .into();
        }
    }
}

/// Without line ends around it: that of the record before is read with this one.
fn trim_line_endings(mut raw: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    while let Some((b'\n' | b'\r', rest)) = raw.split_first() {
        raw = rest;
    }
    let end = raw.iter().rposition(|byte| !is_end(byte));
    &raw[..end.map_or(0, |last| last + 1)]
}

fn csv_reader(
    tape: ReplayReader<BoxedReader>,
    delimiter: u8,
) -> AsyncReader<ReplayReader<BoxedReader>> {
    AsyncReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(64 * 1024)
        .create_reader(tape)
}
