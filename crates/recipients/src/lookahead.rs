//! A table whose first records are read ahead, so that its columns can be chosen by what is in them.

use std::borrow::Cow;
use std::collections::VecDeque;

use campaign::import::column_choice::SAMPLE_ROWS;
use tabular::{ByteRecord, RecordShape, Table, TableProblem};

use crate::csv_line::format_line;

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
        let header_line = bytes.unwrap_or_else(|| line_of(&table, &header));
        let mut records = VecDeque::new();
        let mut record = ByteRecord::new();
        while records.len() < SAMPLE_ROWS
            && let Some(shape) = table.read_record(&mut record).await?
        {
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
            records,
            current: None,
        })
    }

    /// Makes the first line a record like the others, and names the columns `column_1` and so on.
    pub(crate) fn take_header_as_record(&mut self) {
        let record = self.table.header().clone();
        let shape = RecordShape::Complete;
        let names = (1..=self.header.len()).map(|number| format!("column_{number}"));
        self.header = names.collect();
        let line = line_of(&self.table, &self.header);
        let bytes = Some(std::mem::replace(&mut self.header_line, line));
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
