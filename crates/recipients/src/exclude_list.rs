//! Reads exclude lists.

use std::collections::HashSet;

use campaign::import::header::{self, FileProblem};
use campaign::import::phone::{self, CanonicalPhone};
use campaign::import::row::MAX_CAMPAIGN_ROWS;
use campaign::lifecycle::campaign::ImportOptions;
use tabular::{ByteRecord, Table};
use tokio::io::AsyncRead;

use crate::error::ReadError;
use crate::reader::{default_region, header_names, parse_phone, read_options};

/// Reads a list of numbers to leave out: a table with a phone column, or one column of numbers without a
/// header. Returns the numbers, and how many records have no readable number.
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

/// The column of numbers: the one that the campaign's options name, one with a usual name, the only column,
/// or the first one that has a number in the first line.
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(list: &'static str) -> Result<(Vec<String>, u64), ReadError> {
        let read = read_exclude_list(list.as_bytes(), &ImportOptions::default()).await;
        read.map(|(numbers, unreadable)| {
            let mut numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            numbers.sort();
            (numbers, unreadable)
        })
    }

    #[tokio::test]
    async fn reads_lists_with_and_without_a_header() {
        let expected = ["33612345678", "34612345678"];
        for list in [
            "phone\n+34612345678\n+33612345678\n",
            "name,Phone number\nAna,+34612345678\nBo,+33 6 12 34 56 78\nEve,+34612345678\n",
            "+34612345678\n+33612345678\n",
            "Ana;+34612345678\nBo;+33612345678\n",
            "customers\n+34612345678\n+33612345678\n",
        ] {
            let (numbers, unreadable) = read(list).await.expect(list);
            assert_eq!(
                (numbers.as_slice(), unreadable),
                (&expected.map(str::to_owned)[..], 0),
                "{list}"
            );
        }
    }

    #[tokio::test]
    async fn counts_lines_without_a_number() {
        let (numbers, unreadable) = read("phone\n+34612345678\nunknown\n123\n")
            .await
            .expect("read");
        assert_eq!((numbers.len(), unreadable), (1, 2));
    }

    #[tokio::test]
    async fn table_without_numbers_is_not_a_list() {
        let problem = read("name,city\nAna,Rome\n").await.expect_err("no column");
        assert!(!problem.is_retryable());
        assert!(problem.to_string().contains("no phone column"), "{problem}");
    }
}
