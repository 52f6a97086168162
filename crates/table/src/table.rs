//! Records of a table, one at a time.

use std::borrow::Cow;

use csv_async::{AsyncReader, AsyncReaderBuilder, ByteRecord};
use encoding_rs::WINDOWS_1252;
use tokio::io::AsyncRead;

use crate::source::{self, Bytes, Source};
use crate::tape::{Endless, Tape};
use crate::{Found, TableProblem, Wanted, dialect, encoding, quotes};

/// What of a line is kept that has no end of its own.
const SHOWN: usize = 4096;

/// How a record came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As the file has it.
    Sound,
    /// A quotation mark is opened in it and not closed before other rows: this is its first line alone, quotation
    /// marks and all; the lines below are records of their own.
    OpenQuote,
}

/// A table under way.
pub struct Table {
    reader: AsyncReader<Tape<Bytes>>,
    /// Offset in the text at which `reader` began.
    base: u64,
    header: ByteRecord,
    found: Found,
    /// Whether nothing has told UTF-8 from a legacy encoding yet.
    ascii: bool,
    legacy: bool,
    /// Of the record last read.
    shape: Shape,
    /// Whether lines end in a carriage return and a line feed.
    ends_in_two: bool,
}

impl Table {
    /// Finds out how to read a file, and reads its header.
    pub async fn open(
        file: impl AsyncRead + Send + Unpin + 'static,
        wanted: &Wanted,
    ) -> Result<Self, TableProblem> {
        let Source {
            mut text,
            sample,
            whole,
            kind,
            gzip,
            encoding,
            ascii,
        } = source::open(file, wanted).await?;
        let sep = dialect::sep_line(&sample).filter(|_| kind == "csv");
        let mut records = sample.as_str();
        if let Some((_, length)) = sep {
            use tokio::io::AsyncReadExt;
            let mut line = vec![0; length];
            text.read_exact(&mut line).await.map_err(source::problem)?;
            records = &sample[length..];
        }
        let delimiter = match (wanted.delimiter, sep) {
            _ if kind == "xlsx" => b',',
            (Some(wanted), _) => wanted,
            (None, Some((told, _))) => told,
            (None, None) => dialect::delimiter(records, whole).await,
        };
        let found = Found {
            kind,
            gzip,
            encoding: encoding.name(),
            delimiter,
        };
        let reader = reader(Tape::new(text), delimiter);
        let mut table = Self {
            reader,
            base: 0,
            header: ByteRecord::new(),
            found,
            ascii,
            legacy: false,
            shape: Shape::Sound,
            ends_in_two: false,
        };
        let mut header = ByteRecord::new();
        if table.read(&mut header).await?.is_none() {
            return Err(TableProblem::Empty);
        }
        // The reader stops behind the first of them.
        table.ends_in_two = table.untrimmed().ends_with(b"\r");
        table.header = header;
        Ok(table)
    }

    /// What the file turned out to be.
    pub fn found(&self) -> Found {
        Found {
            encoding: if self.legacy {
                WINDOWS_1252.name()
            } else {
                self.found.encoding
            },
            ..self.found.clone()
        }
    }

    /// The cells of the header, as the file has them.
    pub fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// The bytes of the record last read, the header first, as UTF-8 and without the end of the line; `None` where a quotation
    /// mark in it is never closed.
    pub fn raw(&self) -> Option<Cow<'_, [u8]>> {
        if self.shape == Shape::OpenQuote {
            return None;
        }
        let raw = trimmed(self.untrimmed());
        Some(match self.legacy {
            true => Cow::Owned(encoding::legacy(raw).into_bytes()),
            false => Cow::Borrowed(raw),
        })
    }

    /// What ends a line of the file: as it ends the header.
    pub fn line_end(&self) -> &'static str {
        if self.ends_in_two { "\r\n" } else { "\n" }
    }

    fn untrimmed(&self) -> &[u8] {
        let end = self.base + self.reader.position().byte();
        self.reader.get_ref().since_mark(end)
    }

    /// Reads the next record that has anything in it; `None` at the end. Cells are UTF-8 but for damaged ones.
    pub async fn read(&mut self, record: &mut ByteRecord) -> Result<Option<Shape>, TableProblem> {
        loop {
            let start = self.base + self.reader.position().byte();
            self.reader.get_mut().mark(start);
            let shape = match self.reader.read_byte_record(record).await {
                Ok(false) => return Ok(None),
                Ok(true) if self.is_swallowed(record) => {
                    self.first_line(start, record).await?;
                    Shape::OpenQuote
                }
                Ok(true) => Shape::Sound,
                Err(error) => {
                    self.endless(error)?;
                    self.first_line(start, record).await?;
                    Shape::OpenQuote
                }
            };
            if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            self.decode(record);
            self.shape = shape;
            return Ok(Some(shape));
        }
    }

    /// Whether a stray quotation mark took other lines into this record.
    fn is_swallowed(&self, record: &ByteRecord) -> bool {
        let several_lines = memchr::memchr2(b'\n', b'\r', record.as_slice()).is_some();
        let end = self.base + self.reader.position().byte();
        several_lines && {
            let raw = self.reader.get_ref().since_mark(end);
            quotes::stray(raw.trim_ascii_start(), self.found.delimiter)
        }
    }

    /// A record without an end is the file's fault; anything else that of the way to it.
    fn endless(&self, error: csv_async::Error) -> Result<(), TableProblem> {
        match error.into_kind() {
            csv_async::ErrorKind::Io(error)
                if error.get_ref().is_some_and(|inner| inner.is::<Endless>()) =>
            {
                Ok(())
            }
            csv_async::ErrorKind::Io(error) => Err(source::problem(error)),
            other => Err(TableProblem::Way(std::io::Error::other(format!(
                "{other:?}"
            )))),
        }
    }

    /// Gives the first line of the record at `start` as cells, and goes on after it.
    async fn first_line(
        &mut self,
        start: u64,
        record: &mut ByteRecord,
    ) -> Result<(), TableProblem> {
        let next = reader(
            Tape::new(Box::new(tokio::io::empty()) as Bytes),
            self.found.delimiter,
        );
        let mut tape = std::mem::replace(&mut self.reader, next).into_inner();
        tape.rewind(start);
        let ahead = tape.ahead();
        let line_start = ahead
            .iter()
            .position(|&b| b != b'\n' && b != b'\r')
            .unwrap_or(ahead.len());
        let line = &ahead[line_start..];
        let end = memchr::memchr2(b'\n', b'\r', line).unwrap_or(line.len());
        *record = line[..end.min(SHOWN)]
            .split(|&b| b == self.found.delimiter)
            .collect();
        let after = tape
            .skip_line(start + line_start as u64)
            .await
            .map_err(source::problem)?;
        self.base = after;
        self.reader = reader(tape, self.found.delimiter);
        Ok(())
    }

    /// In a file that was ASCII so far, the first other character tells UTF-8 from windows-1252.
    fn decode(&mut self, record: &mut ByteRecord) {
        if !(self.ascii || self.legacy) || record.as_slice().is_ascii() {
            return;
        }
        if self.ascii {
            self.ascii = false;
            self.legacy = record.iter().any(|cell| std::str::from_utf8(cell).is_err());
        }
        if self.legacy {
            *record = record
                .iter()
                .map(encoding::legacy)
                .collect::<Vec<_>>()
                .into();
        }
    }
}

/// Without line ends around it: that of the record before is read with this one.
fn trimmed(mut raw: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    while let Some((b'\n' | b'\r', rest)) = raw.split_first() {
        raw = rest;
    }
    let end = raw.iter().rposition(|byte| !is_end(byte));
    &raw[..end.map_or(0, |last| last + 1)]
}

fn reader(tape: Tape<Bytes>, delimiter: u8) -> AsyncReader<Tape<Bytes>> {
    AsyncReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(64 * 1024)
        .create_reader(tape)
}
