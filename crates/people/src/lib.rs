//! The people of a campaign's files: bytes → verdicts, one record at a time, the same whoever reads.
//!
//! - [`People`]: one file; [`exclusions`]: a list of people to leave out
//! - [`files`]: the files where they are
//! - [`mod@line`]: lines of a file that goes back to people

pub mod files;
pub mod line;

use std::borrow::Cow;
use std::collections::HashSet;

use campaign::header::{self, Columns, FileProblem};
use campaign::import::{ImportCounts, Importer, MAX_ROWS, Numbers, Verdict};
use campaign::phone::{self, PhoneKey, Region};
use campaign::record::{Campaign, Options};
use campaign::value::Checker;
use table::{ByteRecord, Found, Shape, Table, TableProblem, Wanted};
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
    pub fn is_on_the_way(&self) -> bool {
        match self {
            ReadError::Table(TableProblem::Way(_)) => true,
            ReadError::Table(_) | ReadError::File(_) => false,
            ReadError::ExcludeList(error) => error.is_on_the_way(),
        }
    }
}

/// The people of one file of a campaign.
pub struct People {
    table: Table,
    columns: Columns,
    importer: Importer,
    record: ByteRecord,
    region: Option<Region>,
}

impl People {
    /// Reads the header and finds what the campaign needs; `numbers` as the files before left them, with `before` rows.
    pub async fn open(
        file: impl AsyncRead + Send + Unpin + 'static,
        campaign: &Campaign,
        numbers: Numbers,
        before: u64,
    ) -> Result<Self, ReadError> {
        let Campaign {
            options, template, ..
        } = campaign;
        let (message, fallback) = campaign.messages();
        let table = Table::open(file, &wanted(options)).await?;
        let names: Vec<String> = names(&table);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let columns = header::columns(&names, options.phone_column.as_deref(), message.columns())?;
        let region = options.default_region.as_deref().and_then(phone::region);
        let limits = whatsapp::limits::of(&message, template.as_ref());
        let mut checker = Checker::new(&message, &limits, options.on_bad_value);
        if let Some(fallback) = fallback {
            let limits = whatsapp::limits::of(&fallback, template.as_ref());
            checker = checker.and(&fallback, &limits);
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
    pub async fn next(&mut self) -> Result<Option<Verdict>, ReadError> {
        let Some(shape) = self.table.read(&mut self.record).await? else {
            return Ok(None);
        };
        if self.importer.counts().rows >= MAX_ROWS {
            return Err(FileProblem::TooManyRows { limit: MAX_ROWS }.into());
        }
        let record = &self.record;
        Ok(Some(match shape {
            Shape::Sound => self.importer.judge(record.len(), |index| record.get(index)),
            Shape::OpenQuote => self.importer.open_quote(),
        }))
    }

    /// Whom the record last judged is about, whatever the verdict.
    pub fn person(&self) -> Option<PhoneKey> {
        let cell = String::from_utf8_lossy(self.record.get(self.columns.phone)?);
        phone::read(&cell, self.region)
            .ok()
            .map(|phone| phone.key())
    }

    /// The cells of the record last judged.
    pub fn record(&self) -> &ByteRecord {
        &self.record
    }

    /// The bytes of the record last judged, or of the header before the first one, as UTF-8 and without the end of the line;
    /// `None` where a quotation mark in it is never closed, so that nothing may follow it.
    pub fn raw(&self) -> Option<Cow<'_, [u8]>> {
        self.table.raw()
    }

    /// What ends a line of the file.
    pub fn line_end(&self) -> &'static str {
        self.table.line_end()
    }

    /// The header, as the file has it.
    pub fn header(&self) -> Vec<String> {
        names(&self.table)
    }

    /// Where the file holds what the campaign needs.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// How the file is read.
    pub fn found(&self) -> Found {
        self.table.found()
    }

    /// What became of the records so far.
    pub fn counts(&self) -> ImportCounts {
        self.importer.counts()
    }

    /// The numbers that are known by now.
    pub fn into_numbers(self) -> Numbers {
        self.importer.into_numbers()
    }
}

/// A list of people to leave out: any table with a phone column, or with numbers and nothing else. Gives the numbers,
/// and how many lines are none.
pub async fn exclusions(
    file: impl AsyncRead + Send + Unpin + 'static,
    options: &Options,
) -> Result<(HashSet<PhoneKey>, u64), ReadError> {
    let region = options.default_region.as_deref().and_then(phone::region);
    let mut table = Table::open(file, &wanted(options)).await?;
    let read = |record: &ByteRecord, column: usize| {
        let cell = String::from_utf8_lossy(record.get(column).unwrap_or_default());
        phone::read(&cell, region).map(|phone| phone.key())
    };
    let (mut people, mut unreadable) = (HashSet::new(), 0);
    let column = exclusion_column(&names(&table), options)?;
    // Without a header the first line is somebody, too.
    people.extend(read(table.header(), column));
    let mut record = ByteRecord::new();
    while table.read(&mut record).await?.is_some() {
        match read(&record, column) {
            Ok(person) => drop(people.insert(person)),
            Err(_) => unreadable += 1,
        }
        if people.len() as u64 > MAX_ROWS {
            return Err(FileProblem::TooManyRows { limit: MAX_ROWS }.into());
        }
    }
    Ok((people, unreadable))
}

fn exclusion_column(names: &[String], options: &Options) -> Result<usize, FileProblem> {
    let header: Vec<&str> = names.iter().map(String::as_str).collect();
    let named = options.phone_column.as_deref();
    let usual =
        header::columns(&header, named, &[]).or_else(|_| header::columns(&header, None, &[]));
    match usual {
        Ok(columns) => Ok(columns.phone),
        Err(_) if names.len() == 1 => Ok(0),
        Err(problem) => {
            let number = header
                .iter()
                .position(|cell| phone::read(cell, None).is_ok());
            number.ok_or(problem)
        }
    }
}

/// The header's cells as text.
fn names(table: &Table) -> Vec<String> {
    let cells = table.header().iter();
    cells
        .map(|cell| String::from_utf8_lossy(cell).into_owned())
        .collect()
}

fn wanted(options: &Options) -> Wanted {
    Wanted {
        delimiter: options
            .delimiter
            .and_then(|delimiter| u8::try_from(delimiter).ok()),
        encoding: options.encoding.clone(),
        domain: options
            .default_region
            .as_deref()
            .map(str::to_ascii_lowercase),
    }
}
