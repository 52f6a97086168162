//! Takes a person out of a file's chunks. Every row keeps its place and its number.

use bytes::Bytes;
use campaign::import::phone::CanonicalPhone;
use cloud::files::{Files, RecipientSet};

use super::VERSION;
use super::format::{ImportedRow, Verdict, copy_row};
use super::index::{ChunkInfo, FileIndex};
use super::reader::{read_chunk, read_index};
use crate::error::ReadError;

/// The bytes of a number in the object `phones`.
const PHONE_BYTES: usize = 8;

/// Replaces the number in the recipient's row.
const ERASED_PLACEHOLDER: &str = "erased";

/// Whether a row of the set has the number. A set that has expired has none.
pub async fn contains_phone(
    files: &Files,
    set: &RecipientSet,
    phone: CanonicalPhone,
) -> Result<bool, ReadError> {
    let phones = files.read_object(&set.phones_key()).await?;
    Ok(phones.is_some_and(|phones| !find_positions(&phones, phone).is_empty()))
}

/// Empties every row of the set with this number, and deletes older versions of what it changes. The object by which the rows
/// are found comes last: if this ends early, the next call begins again.
pub async fn erase_phone(
    files: &Files,
    set: &RecipientSet,
    phone: CanonicalPhone,
) -> Result<(), ReadError> {
    let Some(phones) = files.read_object(&set.phones_key()).await? else {
        return Ok(());
    };
    let positions = find_positions(&phones, phone);
    if positions.is_empty() {
        return Ok(());
    }
    let index = read_index(files, set).await?;
    let mut first = 0;
    for (number, info) in index.chunks.iter().enumerate() {
        let last = first + info.rows as usize;
        let theirs: Vec<usize> = positions
            .iter()
            .filter(|position| (first..last).contains(*position))
            .map(|position| position - first)
            .collect();
        if !theirs.is_empty() {
            erase_rows(files, set, &index, (number, *info), &theirs).await?;
        }
        first = last;
    }
    let mut phones = phones.to_vec();
    for position in positions {
        phones[position * PHONE_BYTES..][..PHONE_BYTES].fill(0);
    }
    replace(files, &set.phones_key(), phones).await
}

/// The positions of the rows with this number.
fn find_positions(phones: &[u8], phone: CanonicalPhone) -> Vec<usize> {
    let wanted = phone.digits().to_le_bytes();
    let rows = phones.chunks_exact(PHONE_BYTES).enumerate();
    rows.filter(|(_, digits)| *digits == wanted)
        .map(|(position, _)| position)
        .collect()
}

/// Empties the rows at these positions of a chunk.
async fn erase_rows(
    files: &Files,
    set: &RecipientSet,
    index: &FileIndex,
    (number, info): (usize, ChunkInfo),
    theirs: &[usize],
) -> Result<(), ReadError> {
    let erased_line = erased_line(index);
    let mut chunk = vec![VERSION];
    for (position, row) in read_chunk(files, set, number, info).await?.enumerate() {
        let mut row = row?;
        if theirs.contains(&position) {
            row = ImportedRow {
                verdict: Verdict::Erased,
                line: erased_line.clone(),
                ..row
            };
        }
        chunk = copy_row(chunk, &row);
    }
    replace(files, &set.chunk_key(number), chunk).await
}

/// The line of a row whose recipient was erased.
fn erased_line(index: &FileIndex) -> Bytes {
    let mut line = ERASED_PLACEHOLDER.to_owned();
    line.extend((1..index.header.len()).map(|_| index.delimiter));
    line.into()
}

async fn replace(files: &Files, key: &str, bytes: Vec<u8>) -> Result<(), ReadError> {
    files.write_object(key, bytes).await?;
    let version = files.latest_version(key).await?;
    Ok(files.delete_versions(key, version.as_deref()).await?)
}
