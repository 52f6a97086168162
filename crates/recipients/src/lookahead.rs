//! A table whose first records are read ahead, so that its columns can be chosen by what is in them.

use std::borrow::Cow;
use std::collections::VecDeque;

use campaign::import::column_choice::SAMPLE_ROWS;
use tabular::{ByteRecord, RecordShape, Table, TableProblem};

use crate::csv_line::format_line;

/// No more is read ahead: a record may have a megabyte.
const MAX_SAMPLE_BYTES: usize = 8 * 1024 * 1024;

/// A record that was read ahead.
struct Ahead {
    record: ByteRecord,
    shape: RecordShape,
    bytes: Option<Vec<u8>>,
}

/// A table and its first records.
pub(crate) struct Lookahead {
    pub(crate) table: Table,
    /// The header as a line of CSV in UTF-8, without a line ending.
    pub(crate) header_line: Vec<u8>,
    /// The names of the columns.
    pub(crate) header: Vec<String>,
    header_shape: RecordShape,
    records: VecDeque<Ahead>,
    /// The bytes of the current record, if it was read ahead.
    current: Option<Option<Vec<u8>>>,
}

impl Lookahead {
    /// Reads the first records of a table that is at its first record.
    pub(crate) async fn open(mut table: Table) -> Result<Self, TableProblem> {
        let header_record = table.header().clone();
        let header = texts(&header_record);
        let bytes = table.current_bytes().map(Cow::into_owned);
        let header_shape = match bytes {
            Some(_) => RecordShape::Complete,
            None => RecordShape::UnclosedQuote,
        };
        let header_line = bytes.unwrap_or_else(|| line_of(&table, &header));
        let mut records = VecDeque::new();
        let mut record = ByteRecord::new();
        let mut size = 0;
        while records.len() < SAMPLE_ROWS
            && size < MAX_SAMPLE_BYTES
            && let Some(shape) = table.read_record(&mut record).await?
        {
            size += record.as_slice().len();
            records.push_back(Ahead {
                record: record.clone(),
                shape,
                bytes: table.current_bytes().map(Cow::into_owned),
            });
        }
        Ok(Self {
            table,
            header_line,
            header,
            header_shape,
            records,
            current: None,
        })
    }

    /// Makes the first line a record like the others, and names the columns `column_1` and so on.
    pub(crate) fn take_header_as_record(&mut self) {
        let record = self.table.header().clone();
        let shape = self.header_shape;
        let names = (1..=self.header.len()).map(|number| format!("column_{number}"));
        self.header = names.collect();
        let line = line_of(&self.table, &self.header);
        let first_line = std::mem::replace(&mut self.header_line, line);
        let bytes = (shape == RecordShape::Complete).then_some(first_line);
        self.records.push_front(Ahead {
            record,
            shape,
            bytes,
        });
    }

    /// The records that were read ahead, as text.
    pub(crate) fn sample(&self) -> Vec<Vec<String>> {
        let records = self.records.iter();
        records.map(|ahead| texts(&ahead.record)).collect()
    }

    /// Reads the next record.
    pub(crate) async fn read_record(
        &mut self,
        record: &mut ByteRecord,
    ) -> Result<Option<RecordShape>, TableProblem> {
        let Some(ahead) = self.records.pop_front() else {
            self.current = None;
            return self.table.read_record(record).await;
        };
        *record = ahead.record;
        self.current = Some(ahead.bytes);
        Ok(Some(ahead.shape))
    }

    /// The bytes of the current record ([`Table::current_bytes`]).
    pub(crate) fn current_bytes(&self) -> Option<Cow<'_, [u8]>> {
        match &self.current {
            Some(bytes) => bytes.as_deref().map(Cow::Borrowed),
            None => self.table.current_bytes(),
        }
    }
}

fn texts(record: &ByteRecord) -> Vec<String> {
    let cells = record.iter();
    cells
        .map(|cell| String::from_utf8_lossy(cell).into_owned())
        .collect()
}

fn line_of(table: &Table, cells: &[String]) -> Vec<u8> {
    let delimiter = char::from(table.format().delimiter);
    format_line(delimiter, cells.iter().map(String::as_str)).into_bytes()
}
