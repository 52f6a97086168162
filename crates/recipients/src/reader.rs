//! Reads the recipients of one file.

use std::borrow::Cow;

use campaign::import::header::{self, Columns, FileProblem};
use campaign::import::phone::{self, CanonicalPhone, Region};
use campaign::import::row::{ImportCounts, Importer, MAX_CAMPAIGN_ROWS, RowVerdict, SeenNumbers};
use campaign::import::value::{OnBadValue, ValueValidator};
use campaign::lifecycle::campaign::{Campaign, ImportOptions};
use tabular::{ByteRecord, DetectedFormat, ReadOptions, RecordShape, Table};
use tokio::io::AsyncRead;
use whatsapp::limits::value_limits;

use crate::error::ReadError;

/// Reads one file of a campaign and classifies its records.
pub struct RecipientReader {
    table: Table,
    columns: Columns,
    importer: Importer,
    record: ByteRecord,
    region: Option<Region>,
}

impl RecipientReader {
    /// Reads the header of the campaign's file at `index` and finds the columns that it needs. `numbers` is what the
    /// earlier files left, and `rows_before` how many rows those have.
    pub async fn open(
        file: impl AsyncRead + Send + Unpin + 'static,
        campaign: &Campaign,
        index: usize,
        numbers: SeenNumbers,
        rows_before: u64,
    ) -> Result<Self, ReadError> {
        let options = &campaign.files[index].options;
        let table = Table::open(file, &read_options(options)).await?;
        let (message, _) = campaign.messages();
        let names = header_names(&table);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let columns =
            header::find_columns(&names, options.phone_column.as_deref(), message.columns())?;
        let region = default_region(options);
        let validator = value_validator(campaign, options.on_bad_value);
        let importer = Importer::new(columns.clone(), validator, region, numbers, rows_before);
        Ok(Self {
            table,
            columns,
            importer,
            record: ByteRecord::new(),
            region,
        })
    }

    /// Reads the next record and classifies it; `None` at the end of the file.
    pub async fn next_verdict(&mut self) -> Result<Option<RowVerdict>, ReadError> {
        let Some(shape) = self.table.read_record(&mut self.record).await? else {
            return Ok(None);
        };
        if self.importer.counts().rows >= MAX_CAMPAIGN_ROWS {
            let limit = MAX_CAMPAIGN_ROWS;
            return Err(FileProblem::TooManyRows { limit }.into());
        }
        let record = &self.record;
        Ok(Some(match shape {
            RecordShape::Complete => {
                let cell = |index| record.get(index);
                self.importer.classify_row(record.len(), cell)
            }
            RecordShape::UnclosedQuote => self.importer.reject_unclosed_quote(),
        }))
    }

    /// The phone number of the current record, whatever its verdict; `None` if it has no readable one.
    pub fn current_phone(&self) -> Option<CanonicalPhone> {
        parse_phone(&self.record, self.columns.phone, self.region)
    }

    /// The cells of the current record.
    pub fn current_record(&self) -> &ByteRecord {
        &self.record
    }

    /// The bytes of the current record, or of the header before the first record, in UTF-8 and without the
    /// line ending. `None` if a quotation mark in the record is not closed, because lines after it would
    /// become part of it.
    pub fn current_bytes(&self) -> Option<Cow<'_, [u8]>> {
        self.table.current_bytes()
    }

    /// What ends a line of the file.
    pub fn line_ending(&self) -> &'static str {
        self.table.line_ending()
    }

    /// The names in the header, as the file has them.
    pub fn header(&self) -> Vec<String> {
        header_names(&self.table)
    }

    /// Where the file has what the campaign needs.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// How the file is read.
    pub fn format(&self) -> DetectedFormat {
        self.table.format()
    }

    /// How many records got which verdict so far.
    pub fn counts(&self) -> ImportCounts {
        self.importer.counts()
    }
}

/// Checks values against what WhatsApp accepts in the campaign's message, and in its fallback if there is one.
fn value_validator(campaign: &Campaign, on_bad_value: OnBadValue) -> ValueValidator {
    let (message, fallback) = campaign.messages();
    let template = campaign.template.as_ref();
    let limits = value_limits(&message, template);
    let validator = ValueValidator::new(&message, &limits, on_bad_value);
    match fallback {
        Some(fallback) => {
            let limits = value_limits(&fallback, template);
            validator.with_message(&fallback, &limits)
        }
        None => validator,
    }
}

/// The number in a cell of a record; `None` if it is missing or not readable.
pub(crate) fn parse_phone(
    record: &ByteRecord,
    column: usize,
    region: Option<Region>,
) -> Option<CanonicalPhone> {
    let cell = String::from_utf8_lossy(record.get(column)?);
    let phone = phone::parse(&cell, region).ok()?;
    Some(phone.canonical())
}

/// The region of numbers without a country code.
pub(crate) fn default_region(options: &ImportOptions) -> Option<Region> {
    options
        .default_region
        .as_deref()
        .and_then(phone::parse_region)
}

/// The cells of the header as text.
pub(crate) fn header_names(table: &Table) -> Vec<String> {
    let cells = table.header().iter();
    cells
        .map(|cell| String::from_utf8_lossy(cell).into_owned())
        .collect()
}

/// What the campaign's options state about the format of its files.
pub(crate) fn read_options(options: &ImportOptions) -> ReadOptions {
    ReadOptions {
        delimiter: options
            .delimiter
            .and_then(|delimiter| u8::try_from(delimiter).ok()),
        encoding: options.encoding.clone(),
        // Nearly every country's top-level domain is its region code; the others give no hint.
        top_level_domain: options
            .default_region
            .as_deref()
            .map(str::to_ascii_lowercase),
    }
}
