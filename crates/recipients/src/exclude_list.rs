//! Reads exclude lists.

use std::collections::HashSet;

use campaign::import::header::{self, FileProblem};
use campaign::import::phone::{self, CanonicalPhone};
use campaign::import::row::MAX_CAMPAIGN_ROWS;
use campaign::lifecycle::campaign::ImportOptions;
use tabular::{ByteRecord, Table};
use tokio::io::AsyncRead;

use crate::ReadError;
use crate::reader::{default_region, header_names, parse_phone, read_options};

/// Reads a list of numbers to leave out: a table with a phone column, or one column of numbers without a header. Returns
/// the numbers, and how many records have no readable number.
pub async fn read_exclude_list(
    file: impl AsyncRead + Send + Unpin + 'static,
    options: &ImportOptions,
) -> Result<(HashSet<CanonicalPhone>, u64), ReadError> {
    let region = default_region(options);
    let mut table = Table::open(file, &read_options(options)).await?;
    let column = find_column(&header_names(&table), options)?;
    let mut numbers = HashSet::new();
    let mut unreadable = 0;
    // In a list without a header, the first line is a number too.
    numbers.extend(parse_phone(table.header(), column, region));
    let mut record = ByteRecord::new();
    while table.read_record(&mut record).await?.is_some() {
        match parse_phone(&record, column, region) {
            Some(number) => drop(numbers.insert(number)),
            None => unreadable += 1,
        }
        if numbers.len() as u64 > MAX_CAMPAIGN_ROWS {
            let limit = MAX_CAMPAIGN_ROWS;
            return Err(FileProblem::TooManyRows { limit }.into());
        }
    }
    Ok((numbers, unreadable))
}

/// The column of numbers: the one that the campaign's options name, one with a usual name, the only column, or the first one
/// that has a number in the first line.
fn find_column(names: &[String], options: &ImportOptions) -> Result<usize, FileProblem> {
    let header: Vec<&str> = names.iter().map(String::as_str).collect();
    let requested = options.phone_column.as_deref();
    let named = header::find_columns(&header, requested, &[])
        .or_else(|_| header::find_columns(&header, None, &[]));
    match named {
        Ok(columns) => Ok(columns.phone),
        Err(_) if header.len() == 1 => Ok(0),
        Err(problem) => header
            .iter()
            .position(|cell| phone::parse(cell, None).is_ok())
            .ok_or(problem),
    }
}
