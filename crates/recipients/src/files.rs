//! A campaign's files where they are, opened so that a row's verdict is the same however often it is read.

use campaign::import::row::SeenNumbers;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use cloud::files::{Files, Upload};

use crate::{ReadError, RecipientReader, read_exclude_list};

/// A file under way, with what is to be told of the exclude list.
pub struct OpenedFile {
    /// Its people.
    pub recipients: RecipientReader,
    /// The object's version.
    pub version: Option<String>,
    /// People on the exclude list.
    pub excluded_numbers: u64,
    /// Lines of that list that are nobody.
    pub unreadable_lines: u64,
}

/// Opens the file at `index` with the exclude list, and the numbers of the files before it; `between` two records of those
/// may end it.
pub async fn open_file<E>(
    files: &Files,
    campaign: &Campaign,
    index: usize,
    mut between: impl AsyncFnMut() -> Result<(), E>,
) -> Result<OpenedFile, E>
where
    E: From<ReadError> + From<cloud::Error>,
{
    let (mut numbers, mut unreadable) = (SeenNumbers::default(), 0);
    if campaign.exclude.is_some() {
        let (list, _) = files
            .open_upload(&campaign.id, Upload::Exclusions, None)
            .await?;
        let read = read_exclude_list(list, &campaign.options).await;
        (numbers.excluded, unreadable) =
            read.map_err(|error| ReadError::ExcludeList(Box::new(error)))?;
    }
    let excluded = numbers.excluded.len() as u64;
    for before in 0..index {
        if campaign.files[before].stage == FileStage::Enqueued {
            let (mut people, _) = open_reader::<E>(files, campaign, before, numbers).await?;
            while people.next_verdict().await?.is_some() {
                between().await?;
            }
            numbers = people.into_numbers();
        }
    }
    let (people, version) = open_reader::<E>(files, campaign, index, numbers).await?;
    Ok(OpenedFile {
        recipients: people,
        version,
        excluded_numbers: excluded,
        unreadable_lines: unreadable,
    })
}

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
    let (file, version) = files
        .open_upload(&campaign.id, Upload::File(index), version)
        .await?;
    let before = campaign.rows_before(index);
    let people = RecipientReader::open(file, campaign, numbers, before).await?;
    Ok((people, version))
}
