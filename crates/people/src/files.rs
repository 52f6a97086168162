//! A campaign's files where they are, opened so that a row's verdict is the same however often it is read.

use campaign::import::Numbers;
use campaign::record::{Campaign, FileStage};
use cloud::files::{Files, Upload};

use crate::{People, ReadError, exclusions};

/// A file under way, with what is to be told of the exclude list.
pub struct Opened {
    /// Its people.
    pub people: People,
    /// The object's version.
    pub version: Option<String>,
    /// People on the exclude list.
    pub excluded: u64,
    /// Lines of that list that are nobody.
    pub unreadable: u64,
}

/// Opens the file at `index` with the exclude list, and the numbers of the files before it; `between` two records of those
/// may end it.
pub async fn open<E>(
    files: &Files,
    campaign: &Campaign,
    index: usize,
    mut between: impl AsyncFnMut() -> Result<(), E>,
) -> Result<Opened, E>
where
    E: From<ReadError> + From<cloud::Error>,
{
    let (mut numbers, mut unreadable) = (Numbers::default(), 0);
    if campaign.exclude.is_some() {
        let (list, _) = files.open(&campaign.id, Upload::Exclude, None).await?;
        let read = exclusions(list, &campaign.options).await;
        (numbers.excluded, unreadable) =
            read.map_err(|error| ReadError::ExcludeList(Box::new(error)))?;
    }
    let excluded = numbers.excluded.len() as u64;
    for before in 0..index {
        if campaign.files[before].stage == FileStage::Split {
            let (mut people, _) = one::<E>(files, campaign, before, numbers).await?;
            while people.next().await?.is_some() {
                between().await?;
            }
            numbers = people.into_numbers();
        }
    }
    let (people, version) = one::<E>(files, campaign, index, numbers).await?;
    Ok(Opened {
        people,
        version,
        excluded,
        unreadable,
    })
}

async fn one<E>(
    files: &Files,
    campaign: &Campaign,
    index: usize,
    numbers: Numbers,
) -> Result<(People, Option<String>), E>
where
    E: From<ReadError> + From<cloud::Error>,
{
    let version = campaign.files[index].version.as_deref();
    let (file, version) = files
        .open(&campaign.id, Upload::File(index), version)
        .await?;
    let before = campaign.rows_before(index);
    let people = People::open(file, campaign, numbers, before).await?;
    Ok((people, version))
}
