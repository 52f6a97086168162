//! Reads exclude lists.

use std::collections::HashSet;

use campaign::import::column_choice::choose_phone_column;
use campaign::import::header::{self, FileProblem};
use campaign::import::phone::{CanonicalPhone, Region};
use campaign::import::row::MAX_CAMPAIGN_ROWS;
use campaign::lifecycle::campaign::ImportOptions;
use tabular::{ByteRecord, Table};
use tokio::io::AsyncRead;

use crate::error::ReadError;
use crate::lookahead::Lookahead;
use crate::reader::{default_region, parse_phone, read_options};

/// Reads a list of numbers to leave out: a table with a phone column, or one column of numbers without a
/// header. Returns the numbers, and how many records have no readable number.
pub async fn read_exclude_list(
    file: impl AsyncRead + Send + Unpin + 'static,
    options: &ImportOptions,
) -> Result<(HashSet<CanonicalPhone>, u64), ReadError> {
    let region = default_region(options);
    let table = Table::open(file, &read_options(options)).await?;
    let mut records = Lookahead::open(table).await?;
    let column = find_column(&records, options, region)?;
    let mut numbers = HashSet::new();
    let mut unreadable = 0;
    // In a list without a header, the first line is a number too.
    numbers.extend(parse_phone(records.table.header(), column, region));
    let mut record = ByteRecord::new();
    while records.read_record(&mut record).await?.is_some() {
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

/// The column of numbers: the first that the campaign's options name, if the list has all of those; or the one that is chosen
/// by its content, or the only one.
fn find_column(
    records: &Lookahead,
    options: &ImportOptions,
    region: Option<Region>,
) -> Result<usize, FileProblem> {
    let names: Vec<&str> = records.header.iter().map(String::as_str).collect();
    if let Ok(columns) = header::find_requested_columns(&names, &options.phone_columns)
        && let Some(&column) = columns.first()
    {
        return Ok(column);
    }
    let mut sample = records.sample();
    sample.push(records.header.clone());
    match choose_phone_column(&names, &sample, region) {
        Some((column, _)) => Ok(column),
        None if names.len() == 1 => Ok(0),
        None => Err(header::no_phone_column(&names)),
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
