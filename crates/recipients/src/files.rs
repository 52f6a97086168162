//! Opens a campaign's files in the bucket.

use campaign::import::row::SeenNumbers;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use cloud::files::{Files, Upload};

use crate::chunks::{self, Verdict};
use crate::error::ReadError;
use crate::exclude_list::read_exclude_list;
use crate::reader::RecipientReader;

/// An opened file.
pub struct OpenedFile {
    /// The reader, before the first record.
    pub recipients: RecipientReader,
    /// How many numbers the exclude list has.
    pub excluded_numbers: u64,
    /// How many lines of the exclude list have no readable number.
    pub unreadable_lines: u64,
}

/// Opens the file at `index`. Reads the exclude list and the chunks of all earlier files first, because their numbers decide
/// the verdicts of this file. Calls `between` after each of their rows, so that the caller can keep a lease, or end it with an
/// error.
pub async fn open_file<E: From<ReadError>>(
    files: &Files,
    campaign: &Campaign,
    index: usize,
    mut between: impl AsyncFnMut() -> Result<(), E>,
) -> Result<OpenedFile, E> {
    let (mut numbers, unreadable_lines) = open_exclude_list(files, campaign, index).await?;
    let excluded_numbers = numbers.excluded.len() as u64;
    for earlier in 0..index {
        // Other stages have sent nothing, so their numbers make no duplicates.
        if campaign.files[earlier].stage == FileStage::Enqueued {
            let (_, mut rows) = chunks::open_rows(files, campaign, earlier, 0).await?;
            while let Some(row) = rows.next_row().await? {
                between().await?;
                if let Verdict::Usable(row) = row.verdict {
                    numbers.seen.insert(row.to.canonical());
                }
            }
        }
    }
    let upload = Upload::File(index);
    let file = files.open_upload(&campaign.id, upload).await;
    let file = file.map_err(ReadError::from)?;
    let (file, rows_before) = (file.ok_or(ReadError::Gone)?, campaign.rows_before(index));
    let recipients = RecipientReader::open(file, campaign, index, numbers, rows_before).await?;
    Ok(OpenedFile {
        recipients,
        excluded_numbers,
        unreadable_lines,
    })
}

/// The excluded numbers, and how many lines of the list have none. The list is read with the options of the file.
async fn open_exclude_list(
    files: &Files,
    campaign: &Campaign,
    index: usize,
) -> Result<(SeenNumbers, u64), ReadError> {
    let mut numbers = SeenNumbers::default();
    if campaign.exclude.is_none() {
        return Ok((numbers, 0));
    }
    let upload = Upload::Exclusions;
    let list = files.open_upload(&campaign.id, upload).await?;
    let list = list.ok_or_else(|| ReadError::ExcludeList(Box::new(ReadError::Gone)))?;
    let (excluded, unreadable_lines) = read_exclude_list(list, &campaign.files[index].options)
        .await
        .map_err(|error| ReadError::ExcludeList(Box::new(error)))?;
    numbers.excluded = excluded;
    Ok((numbers, unreadable_lines))
}
