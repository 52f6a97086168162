//! Takes a person out of a file's chunks. Every row keeps its place and its number.

use bytes::Bytes;
use campaign::id::RowNumber;
use campaign::import::phone::CanonicalPhone;
use cloud::files::{ChunkSet, Files};

use super::format::{ImportedRow, Verdict, copy_row};
use super::manifest::{ChunkInfo, Manifest};
use super::reader::{read_chunk, read_manifest};
use super::{VERSION, phones};
use crate::error::ReadError;

/// Replaces the number in the recipient's row.
const ERASED_PLACEHOLDER: &str = "erased";

/// The rows of the set that have the number, usable or not. A set that has expired has none.
pub async fn find_rows(
    files: &Files,
    set: &ChunkSet,
    phone: CanonicalPhone,
) -> Result<Vec<RowNumber>, ReadError> {
    let phones = files.read_object(&set.phones_key()).await?;
    Ok(phones::find_rows(&phones.unwrap_or_default(), phone))
}

/// Empties every row of the set with this number, and deletes older versions of the chunks that it changes.
/// Call [`forget_phone`] when nothing is left to do with them: if this ends early, the next call finds them again.
pub async fn erase_rows(
    files: &Files,
    set: &ChunkSet,
    phone: CanonicalPhone,
) -> Result<(), ReadError> {
    let rows = find_rows(files, set, phone).await?;
    if rows.is_empty() {
        return Ok(());
    }
    match read_manifest(files, set).await {
        Ok(manifest) => erase_from_chunks(files, set, &manifest, &rows).await,
        // S3 deletes objects by their age: what an erasure has written lives longer than the rest, and is of no use then.
        Err(ReadError::ChunksGone) => Ok(files.delete_matching(set.prefix(), |_| true).await?),
        Err(error) => Err(error),
    }
}

/// Takes the number out of those by which the rows are found.
pub async fn forget_phone(
    files: &Files,
    set: &ChunkSet,
    phone: CanonicalPhone,
) -> Result<(), ReadError> {
    match files.read_object(&set.phones_key()).await? {
        Some(phones) => {
            let others = phones::without(&phones, phone);
            Ok(files.replace_object(&set.phones_key(), others).await?)
        }
        None => Ok(()),
    }
}

async fn erase_from_chunks(
    files: &Files,
    set: &ChunkSet,
    manifest: &Manifest,
    rows: &[RowNumber],
) -> Result<(), ReadError> {
    for (number, info) in manifest.chunks.iter().enumerate() {
        let range = info.first_row..=info.last_row();
        let theirs: Vec<RowNumber> = rows
            .iter()
            .copied()
            .filter(|row| range.contains(row))
            .collect();
        if !theirs.is_empty() {
            empty_rows(files, set, manifest, (number, *info), &theirs).await?;
        }
    }
    Ok(())
}

/// Empties these rows of a chunk.
async fn empty_rows(
    files: &Files,
    set: &ChunkSet,
    manifest: &Manifest,
    (number, info): (usize, ChunkInfo),
    theirs: &[RowNumber],
) -> Result<(), ReadError> {
    let erased_line = erased_line(manifest);
    let mut chunk = vec![VERSION];
    for row in read_chunk(files, set, number, info).await? {
        let mut row = row?;
        if theirs.contains(&row.number) {
            row = ImportedRow {
                verdict: Verdict::Erased,
                line: erased_line.clone(),
                ..row
            };
        }
        chunk = copy_row(chunk, &row);
    }
    Ok(files.replace_object(&set.chunk_key(number), chunk).await?)
}

/// The line of a row whose recipient was erased.
fn erased_line(manifest: &Manifest) -> Bytes {
    let mut line = ERASED_PLACEHOLDER.to_owned();
    line.extend((1..manifest.header.len()).map(|_| manifest.delimiter));
    line.into()
}
