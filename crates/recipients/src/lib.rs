//! The people of a campaign's files: bytes → verdicts, one record at a time, the same whoever reads.
//!
//! - [`People`]: one file; [`exclusions`]: a list of people to leave out
//! - [`files`]: the files where they are
//! - [`mod@line`]: lines of a file that goes back to people

pub mod csv_line;
pub mod files;

use std::borrow::Cow;
use std::collections::HashSet;

use campaign::import::header::{self, Columns, FileProblem};
use campaign::import::phone::{self, CanonicalPhone, Region};
use campaign::import::row::{ImportCounts, Importer, MAX_CAMPAIGN_ROWS, RowVerdict, SeenNumbers};
use campaign::import::value::ValueValidator;
use campaign::lifecycle::campaign::{Campaign, ImportOptions};
use tabular::{ByteRecord, DetectedFormat, ReadOptions, RecordShape, Table, TableProblem};
use tokio::io::AsyncRead;

/// Why reading ended before the file did; a sentence for people where the file is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no table that can be read.
    #[error(transparent)]
    Table(#[from] TableProblem),
    /// It is not what the campaign needs.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// The list of people to leave out is at fault.
    #[error("the exclude list cannot be used: {0}")]
    ExcludeList(Box<ReadError>),
}

impl ReadError {
    /// Whether reading again may help, for the way to the file failed and not the file.
    pub fn is_retryable(&self) -> bool {
        match self {
            ReadError::Table(TableProblem::Io(_)) => true,
            ReadError::Table(_) | ReadError::File(_) => false,
            ReadError::ExcludeList(error) => error.is_retryable(),
        }
    }
}

/// The people of one file of a campaign.
pub struct RecipientReader {
    table: Table,
    columns: Columns,
    importer: Importer,
    record: ByteRecord,
    region: Option<Region>,
}

impl RecipientReader {
    /// Reads the header and finds what the campaign needs; `numbers` as the files before left them, with `before` rows.
    pub async fn open(
        file: impl AsyncRead + Send + Unpin + 'static,
        campaign: &Campaign,
        numbers: SeenNumbers,
        before: u64,
    ) -> Result<Self, ReadError> {
        let Campaign {
            options, template, ..
        } = campaign;
        let (message, fallback) = campaign.messages();
        let table = Table::open(file, &read_options(options)).await?;
        let names: Vec<String> = header_names(&table);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let columns =
            header::find_columns(&names, options.phone_column.as_deref(), message.columns())?;
        let region = options
            .default_region
            .as_deref()
            .and_then(phone::parse_region);
        let limits = whatsapp::limits::value_limits(&message, template.as_ref());
        let mut checker = ValueValidator::new(&message, &limits, options.on_bad_value);
        if let Some(fallback) = fallback {
            let limits = whatsapp::limits::value_limits(&fallback, template.as_ref());
            checker = checker.with_message(&fallback, &limits);
        }
        let importer = Importer::new(columns.clone(), checker, region, numbers, before);
        Ok(Self {
            table,
            columns,
            importer,
            record: ByteRecord::new(),
            region,
        })
    }

    /// The next record's verdict; `None` at the end of the file.
    pub async fn next_verdict(&mut self) -> Result<Option<RowVerdict>, ReadError> {
        let Some(shape) = self.table.read_record(&mut self.record).await? else {
            return Ok(None);
        };
        if self.importer.counts().rows >= MAX_CAMPAIGN_ROWS {
            return Err(FileProblem::TooManyRows {
                limit: MAX_CAMPAIGN_ROWS,
            }
            .into());
        }
        let record = &self.record;
        Ok(Some(match shape {
            RecordShape::Complete => self
                .importer
                .classify_row(record.len(), |index| record.get(index)),
            RecordShape::UnclosedQuote => self.importer.reject_unclosed_quote(),
        }))
    }

    /// Whom the record last judged is about, whatever the verdict.
    pub fn current_phone(&self) -> Option<CanonicalPhone> {
        let cell = String::from_utf8_lossy(self.record.get(self.columns.phone)?);
        phone::parse(&cell, self.region)
            .ok()
            .map(|phone| phone.canonical())
    }

    /// The cells of the record last judged.
    pub fn current_record(&self) -> &ByteRecord {
        &self.record
    }

    /// The bytes of the record last judged, or of the header before the first one, as UTF-8 and without the end of the line;
    /// `None` where a quotation mark in it is never closed, so that nothing may follow it.
    pub fn current_bytes(&self) -> Option<Cow<'_, [u8]>> {
        self.table.current_bytes()
    }

    /// What ends a line of the file.
    pub fn line_ending(&self) -> &'static str {
        self.table.line_ending()
    }

    /// The header, as the file has it.
    pub fn header(&self) -> Vec<String> {
        header_names(&self.table)
    }

    /// Where the file holds what the campaign needs.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// How the file is read.
    pub fn format(&self) -> DetectedFormat {
        self.table.format()
    }

    /// What became of the records so far.
    pub fn counts(&self) -> ImportCounts {
        self.importer.counts()
    }

    /// The numbers that are known by now.
    pub fn into_numbers(self) -> SeenNumbers {
        self.importer.into_numbers()
    }
}

/// A list of people to leave out: any table with a phone column, or with numbers and nothing else. Gives the numbers,
/// and how many lines are none.
pub async fn read_exclude_list(
    file: impl AsyncRead + Send + Unpin + 'static,
    options: &ImportOptions,
) -> Result<(HashSet<CanonicalPhone>, u64), ReadError> {
    let region = options
        .default_region
        .as_deref()
        .and_then(phone::parse_region);
    let mut table = Table::open(file, &read_options(options)).await?;
    let read = |record: &ByteRecord, column: usize| {
        let cell = String::from_utf8_lossy(record.get(column).unwrap_or_default());
        phone::parse(&cell, region).map(|phone| phone.canonical())
    };
    let (mut people, mut unreadable) = (HashSet::new(), 0);
    let column = find_exclude_column(&header_names(&table), options)?;
    // Without a header the first line is somebody, too.
    people.extend(read(table.header(), column));
    let mut record = ByteRecord::new();
    while table.read_record(&mut record).await?.is_some() {
        match read(&record, column) {
            Ok(person) => drop(people.insert(person)),
            Err(_) => unreadable += 1,
        }
        if people.len() as u64 > MAX_CAMPAIGN_ROWS {
            return Err(FileProblem::TooManyRows {
                limit: MAX_CAMPAIGN_ROWS,
            }
            .into());
        }
    }
    Ok((people, unreadable))
}

fn find_exclude_column(names: &[String], options: &ImportOptions) -> Result<usize, FileProblem> {
    let header: Vec<&str> = names.iter().map(String::as_str).collect();
    let named = options.phone_column.as_deref();
    let usual = header::find_columns(&header, named, &[])
        .or_else(|_| header::find_columns(&header, None, &[]));
    match usual {
        Ok(columns) => Ok(columns.phone),
        Err(_) if names.len() == 1 => Ok(0),
        Err(problem) => {
            let number = header
                .iter()
                .position(|cell| phone::parse(cell, None).is_ok());
            number.ok_or(problem)
        }
    }
}

/// The header's cells as text.
fn header_names(table: &Table) -> Vec<String> {
    let cells = table.header().iter();
    cells
        .map(|cell| String::from_utf8_lossy(cell).into_owned())
        .collect()
}

fn read_options(options: &ImportOptions) -> ReadOptions {
    ReadOptions {
        delimiter: options
            .delimiter
            .and_then(|delimiter| u8::try_from(delimiter).ok()),
        encoding: options.encoding.clone(),
        top_level_domain: options
            .default_region
            .as_deref()
            .map(str::to_ascii_lowercase),
    }
}
