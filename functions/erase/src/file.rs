//! One file of a campaign: whether somebody is in it, and the same file without them. Every row keeps its place.

use campaign::import::phone;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use cloud::files::{Upload, input_key};
use cloud::multipart::MultipartWriter;
use lambda_runtime::Error;
use recipients::{ReadError, RecipientReader};

use crate::{DataSubject, Eraser};

/// What stands in the place of a number.
const ERASED_PLACEHOLDER: &str = "erased";

impl Eraser {
    /// Whether somebody is in a file that was read. Where an earlier erasure was cut off, its older versions go.
    pub(crate) async fn file_contains(
        &self,
        campaign: &Campaign,
        index: usize,
        person: &DataSubject,
    ) -> Result<bool, Error> {
        let file = &campaign.files[index];
        if !matches!(file.stage, FileStage::Validated | FileStage::Enqueued) {
            return Ok(false);
        }
        let key = input_key(&campaign.id, Upload::File(index));
        // Expired.
        let Some(version) = self.files.latest_version(&key).await? else {
            return Ok(false);
        };
        if file.version.as_deref() == Some(version.as_str()) {
            self.files.delete_versions(&key, Some(&version)).await?;
        }
        let mut people = self.open_file(campaign, index).await?;
        while people.next_verdict().await?.is_some() {
            if people.current_phone() == Some(person.key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a file anew, as UTF-8, with somebody's record emptied; the campaign reads this version from then on.
    pub(crate) async fn rewrite_file(
        &self,
        campaign: &Campaign,
        index: usize,
        person: &DataSubject,
    ) -> Result<(), Error> {
        let key = input_key(&campaign.id, Upload::File(index));
        let mut people = self.open_file(campaign, index).await?;
        let (end, delimiter) = (people.line_ending(), char::from(people.format().delimiter));
        let columns = people.header().len();
        let mut output = MultipartWriter::new(&self.files, key.clone());
        output.write("\u{feff}".as_bytes()).await?;
        output.write(&current_line(&people, delimiter, end)).await?;
        while people.next_verdict().await?.is_some() {
            if people.current_phone() == Some(person.key) {
                let phone = people.columns().phone;
                let mut cells = vec![""; columns.max(phone + 1)];
                cells[phone] = ERASED_PLACEHOLDER;
                let cells = cells.join(&delimiter.to_string());
                output.write(format!("{cells}{end}").as_bytes()).await?;
            } else {
                output.write(&current_line(&people, delimiter, end)).await?;
            }
        }
        output.finish().await?;
        let mut options = campaign.options.clone();
        if options.encoding.take().is_some() {
            self.campaigns.set_options(&campaign.id, &options).await?;
        }
        let mut file = campaign.files[index].clone();
        file.version = self.files.latest_version(&key).await?;
        self.campaigns
            .update_file(&campaign.id, index, &file)
            .await?;
        Ok(self
            .files
            .delete_versions(&key, file.version.as_deref())
            .await?)
    }

    /// A list of people to leave out: whoever is erased is left out by the standing list, so lines may go.
    pub(crate) async fn erase_from_exclude_list(
        &self,
        campaign: &Campaign,
        person: &DataSubject,
    ) -> Result<bool, Error> {
        let key = input_key(&campaign.id, Upload::Exclusions);
        if campaign.exclude.is_none() {
            return Ok(false);
        }
        let Some(bytes) = self.files.read_object(&key).await? else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(&bytes);
        let region = campaign.options.default_region.as_deref();
        let region = region.and_then(phone::parse_region);
        let is_person = |cell: &str| {
            let read = phone::parse(cell.trim().trim_matches('"'), region);
            read.is_ok_and(|phone| phone.canonical() == person.key)
        };
        let about = |line: &&str| line.split([',', ';', '\t']).any(is_person);
        if !text.lines().any(|line| about(&line)) {
            return Ok(false);
        }
        let mut output = MultipartWriter::new(&self.files, key.clone());
        for line in text.lines().filter(|line| !about(line)) {
            output.write(format!("{line}\n").as_bytes()).await?;
        }
        output.finish().await?;
        let version = self.files.latest_version(&key).await?;
        self.files.delete_versions(&key, version.as_deref()).await?;
        Ok(true)
    }

    async fn open_file(&self, campaign: &Campaign, index: usize) -> Result<RecipientReader, Error> {
        let between = async || Ok::<(), OpenError>(());
        let opened = recipients::files::open_file(&self.files, campaign, index, between).await;
        Ok(opened.map_err(|OpenError(error)| error)?.recipients)
    }
}

struct OpenError(Error);

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self(error.into())
    }
}

impl From<cloud::Error> for OpenError {
    fn from(error: cloud::Error) -> Self {
        Self(error.into())
    }
}

/// The header or the record last read, as it is.
fn current_line(people: &RecipientReader, delimiter: char, end: &str) -> Vec<u8> {
    let mut line = match people.current_bytes() {
        Some(raw) => raw.into_owned(),
        // A quotation mark that is never closed: this line alone, as it was.
        None => {
            let cells: Vec<_> = people
                .current_record()
                .iter()
                .map(String::from_utf8_lossy)
                .collect();
            cells.join(&delimiter.to_string()).into_bytes()
        }
    };
    line.extend_from_slice(end.as_bytes());
    line
}
