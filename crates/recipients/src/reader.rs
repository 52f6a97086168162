//! Reads the recipients of one file.

use std::borrow::Cow;

use campaign::import::column_choice::{
    PhoneColumnChoice, choose_phone_column, describe_named_columns, is_data,
};
use campaign::import::header::{self, Columns, FileProblem};
use campaign::import::phone::{self, CanonicalPhone, Phone, Region};
use campaign::import::row::{ImportCounts, Importer, MAX_CAMPAIGN_ROWS, RowVerdict, SeenNumbers};
use campaign::import::value::{OnBadValue, ValueValidator};
use campaign::lifecycle::campaign::{Campaign, ImportOptions};
use campaign::message::is_same_column;
use tabular::{ByteRecord, DetectedFormat, ReadOptions, RecordShape, Table};
use tokio::io::AsyncRead;
use whatsapp::limits::value_limits;

use crate::error::ReadError;
use crate::lookahead::Lookahead;

/// Reads one file of a campaign and classifies its records.
pub struct RecipientReader {
    records: Lookahead,
    columns: Columns,
    choice: PhoneColumnChoice,
    /// The columns with phone numbers, used or not.
    phone_columns: Vec<usize>,
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
        let mut records = Lookahead::open(table).await?;
        let region = default_region(options);
        let needed = campaign.columns();
        find_header(&mut records, options, region, &needed)?;
        let names: Vec<&str> = records.header.iter().map(String::as_str).collect();
        let (phones, choice) = find_phone_columns(&names, &records, options, region)?;
        let phone_columns = all_phone_columns(&names, &phones, &choice);
        let columns = header::find_columns(&names, phones, &needed)?;
        let validator = value_validator(campaign, options.on_bad_value);
        let importer = Importer::new(columns.clone(), validator, region, numbers, rows_before);
        Ok(Self {
            records,
            columns,
            choice,
            phone_columns,
            importer,
            record: ByteRecord::new(),
            region,
        })
    }

    /// Reads the next record and classifies it; `None` at the end of the file.
    pub async fn next_verdict(&mut self) -> Result<Option<RowVerdict>, ReadError> {
        let Some(shape) = self.records.read_record(&mut self.record).await? else {
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

    /// Whether there is one column with phone numbers, and no further one that is not used.
    pub fn has_one_phone_column(&self) -> bool {
        self.phone_columns.len() == 1
    }

    /// The readable numbers in the current record's columns of phone numbers, whatever its verdict, and whether messages go
    /// there or not: an erasure finds a person by any of their numbers. A cell that is no number may contain some, such as two
    /// of them.
    pub fn current_phones(&self) -> Vec<CanonicalPhone> {
        let columns = self.phone_columns.iter();
        let cells = columns.filter_map(|&column| self.record.get(column));
        cells
            .flat_map(|cell| phones_in(&String::from_utf8_lossy(cell), self.region))
            .collect()
    }

    /// The cells of the current record.
    pub fn current_record(&self) -> &ByteRecord {
        &self.record
    }

    /// The bytes of the current record in UTF-8, without the line ending. `None` if a quotation mark in the record is not
    /// closed, because lines after it would become part of it.
    pub fn current_bytes(&self) -> Option<Cow<'_, [u8]>> {
        self.records.current_bytes()
    }

    /// What ends a line of the file.
    pub fn line_ending(&self) -> &'static str {
        self.records.table.line_ending()
    }

    /// The names of the columns, as the file has them; `column_1` and so on if it has none.
    pub fn header(&self) -> &[String] {
        &self.records.header
    }

    /// The names of the columns as a line of CSV, without the line ending.
    pub fn header_line(&self) -> &[u8] {
        &self.records.header_line
    }

    /// Why its phone column was chosen.
    pub fn choice(&self) -> &PhoneColumnChoice {
        &self.choice
    }

    /// Where the file has what the campaign needs.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// How the file is read.
    pub fn format(&self) -> DetectedFormat {
        self.records.table.format()
    }

    /// How many records got which verdict so far.
    pub fn counts(&self) -> ImportCounts {
        self.importer.counts()
    }
}

/// Finds out whether the first line is a header, and takes it as a record where it is none.
fn find_header(
    records: &mut Lookahead,
    options: &ImportOptions,
    region: Option<Region>,
    needed: &[String],
) -> Result<(), FileProblem> {
    let names: Vec<&str> = records.header.iter().map(String::as_str).collect();
    let has_header = options.header.unwrap_or_else(|| !is_data(&names, region));
    if has_header {
        return Ok(());
    }
    records.take_header_as_record();
    let has_column = |name: &String| {
        records
            .header
            .iter()
            .any(|column| is_same_column(column, name))
    };
    match options.header.is_none() && !needed.iter().all(has_column) {
        true => Err(FileProblem::MissingHeader),
        false => Ok(()),
    }
}

/// The phone columns that the options name; else the one that is chosen by its content.
fn find_phone_columns(
    names: &[&str],
    records: &Lookahead,
    options: &ImportOptions,
    region: Option<Region>,
) -> Result<(Vec<usize>, PhoneColumnChoice), FileProblem> {
    let sample = records.sample();
    if options.phone_columns.is_empty() {
        let chosen = choose_phone_column(names, &sample, region);
        let (column, choice) = chosen.ok_or_else(|| header::no_phone_column(names))?;
        return Ok((vec![column], choice));
    }
    let columns = header::find_requested_columns(names, &options.phone_columns)?;
    let choice = describe_named_columns(names, &sample, &columns, region);
    Ok((columns, choice))
}

/// The columns that are used, and those with numbers beside them.
fn all_phone_columns(names: &[&str], used: &[usize], choice: &PhoneColumnChoice) -> Vec<usize> {
    let is_phone_column = |(index, name): &(usize, &&str)| {
        let mut others = choice.runners_up.iter();
        used.contains(index) || others.any(|other| other.name == name.trim())
    };
    let columns = names.iter().enumerate().filter(is_phone_column);
    columns.map(|(index, _)| index).collect()
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

/// The numbers in a cell: one, or those between separators and words.
fn phones_in(cell: &str, region: Option<Region>) -> Vec<CanonicalPhone> {
    let parse = |text: &str| phone::parse(text, region).ok().map(Phone::canonical);
    if let Some(phone) = parse(cell) {
        return vec![phone];
    }
    let is_part = |c: char| c.is_ascii_digit() || " +-.()".contains(c);
    cell.split(|c: char| !is_part(c))
        .filter_map(parse)
        .collect()
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
