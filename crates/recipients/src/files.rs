//! Opens a campaign's files in the bucket.

use campaign::import::row::SeenNumbers;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use cloud::files::{Files, Upload};

use crate::error::ReadError;
use crate::exclude_list::read_exclude_list;
use crate::reader::RecipientReader;

/// An opened file.
pub struct OpenedFile {
    /// The reader, before the first record.
    pub recipients: RecipientReader,
    /// The version of the S3 object.
    pub version: Option<String>,
    /// How many numbers the exclude list has.
    pub excluded_numbers: u64,
    /// How many lines of the exclude list have no readable number.
    pub unreadable_lines: u64,
}

/// Opens the file at `index`. Reads the exclude list and all earlier files first, because their numbers
/// decide the verdicts of this file. Calls `between` after each record of those, so that the caller can
/// extend a lease, or end it with an error.
pub async fn open_file<E>(
    files: &Files,
    campaign: &Campaign,
    index: usize,
    mut between: impl AsyncFnMut() -> Result<(), E>,
) -> Result<OpenedFile, E>
where
    E: From<ReadError> + From<cloud::Error>,
{
    let (mut numbers, unreadable_lines) = open_exclude_list::<E>(files, campaign, index).await?;
    let excluded_numbers = numbers.excluded.len() as u64;
    for earlier in 0..index {
        // Other stages have sent nothing, so their numbers make no duplicates.
        if campaign.files[earlier].stage == FileStage::Enqueued {
            let (mut reader, _) = open_reader::<E>(files, campaign, earlier, numbers).await?;
            while reader.next_verdict().await?.is_some() {
                between().await?;
            }
            numbers = reader.into_numbers();
        }
    }
    let (recipients, version) = open_reader::<E>(files, campaign, index, numbers).await?;
    Ok(OpenedFile {
        recipients,
        version,
        excluded_numbers,
        unreadable_lines,
    })
}

/// The excluded numbers, and how many lines of the list have none. The list is read with the options of the file.
async fn open_exclude_list<E>(
    files: &Files,
    campaign: &Campaign,
    index: usize,
) -> Result<(SeenNumbers, u64), E>
where
    E: From<ReadError> + From<cloud::Error>,
{
    let mut numbers = SeenNumbers::default();
    if campaign.exclude.is_none() {
        return Ok((numbers, 0));
    }
    let list = files
        .open_upload(&campaign.id, Upload::Exclusions, None)
        .await?;
    let (list, _) = list.ok_or_else(|| ReadError::ExcludeList(Box::new(ReadError::Gone)))?;
    let (excluded, unreadable_lines) = read_exclude_list(list, &campaign.files[index].options)
        .await
        .map_err(|error| ReadError::ExcludeList(Box::new(error)))?;
    numbers.excluded = excluded;
    Ok((numbers, unreadable_lines))
}

/// Opens one file, at the version that the campaign was validated with. Returns that version.
async fn open_reader<E>(
    files: &Files,
    campaign: &Campaign,
    index: usize,
    numbers: SeenNumbers,
) -> Result<(RecipientReader, Option<String>), E>
where
    E: From<ReadError> + From<cloud::Error>,
{
    let version = campaign.files[index].version.as_deref();
    let file = files
        .open_upload(&campaign.id, Upload::File(index), version)
        .await?;
    let (file, version) = file.ok_or(ReadError::Gone)?;
    let rows_before = campaign.rows_before(index);
    let reader = RecipientReader::open(file, campaign, index, numbers, rows_before).await?;
    Ok((reader, version))
}
