//! An uploaded file: whether it contains the recipient, and how it is rewritten without. Every row keeps its position.

use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::event::FileChange;
use cloud::files::{Upload, input_key};
use cloud::multipart::MultipartWriter;
use lambda_runtime::Error;
use recipients::{ReadError, RecipientReader};

use crate::Eraser;
use crate::subject::DataSubject;

/// Replaces the number in the recipient's record.
const ERASED_PLACEHOLDER: &str = "erased";

impl Eraser {
    /// Whether a file that was imported contains the recipient. If an invocation died after it had rewritten the file, this
    /// deletes the older versions.
    pub(crate) async fn upload_contains(
        &self,
        campaign: &Campaign,
        index: usize,
        subject: &DataSubject,
    ) -> Result<bool, Error> {
        let file = &campaign.files[index];
        // One that was refused was read before, in the way in which it can be read again.
        let was_read = file.content_hash.is_some();
        if !matches!(file.stage, FileStage::Validated | FileStage::Enqueued) && !was_read {
            return Ok(false);
        }
        let key = input_key(&campaign.id, Upload::File(index));
        let Some(version) = self.files.latest_version(&key).await? else {
            // The file has expired.
            return Ok(false);
        };
        if file.version.as_deref() == Some(version.as_str()) {
            self.files.delete_versions(&key, Some(&version)).await?;
        }
        let mut recipients = self.open_upload(campaign, index).await?;
        while recipients.next_verdict().await?.is_some() {
            if recipients.current_phone() == Some(subject.phone) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Rewrites a file as UTF-8 with the recipient's record emptied. The campaign reads this version from then on, and the
    /// older ones are deleted.
    pub(crate) async fn rewrite_upload(
        &self,
        campaign: &mut Campaign,
        index: usize,
        subject: &DataSubject,
    ) -> Result<(), Error> {
        let id = &campaign.id;
        let key = input_key(id, Upload::File(index));
        self.write_without(campaign, index, subject, &key).await?;
        let version = self.files.latest_version(&key).await?;
        let change = FileChange::Rewritten { version };
        self.campaigns
            .change_file(campaign, index, change)
            .await??;
        let version = campaign.files[index].version.as_deref();
        Ok(self.files.delete_versions(&key, version).await?)
    }

    async fn write_without(
        &self,
        campaign: &Campaign,
        index: usize,
        subject: &DataSubject,
        key: &str,
    ) -> Result<(), Error> {
        let mut recipients = self.open_upload(campaign, index).await?;
        let line_ending = recipients.line_ending();
        let delimiter = char::from(recipients.format().delimiter).to_string();
        let columns = recipients.header().len();
        let mut output = MultipartWriter::new(&self.files, key.to_owned());
        output.write("\u{feff}".as_bytes()).await?;
        output.write(&current_line(&recipients, &delimiter)).await?;
        while recipients.next_verdict().await?.is_some() {
            if recipients.current_phone() == Some(subject.phone) {
                let phone_column = recipients.columns().phone;
                let mut cells = vec![""; columns.max(phone_column + 1)];
                cells[phone_column] = ERASED_PLACEHOLDER;
                let cells = cells.join(&delimiter);
                output
                    .write(format!("{cells}{line_ending}").as_bytes())
                    .await?;
            } else {
                output.write(&current_line(&recipients, &delimiter)).await?;
            }
        }
        Ok(output.finish().await?)
    }

    async fn open_upload(
        &self,
        campaign: &Campaign,
        index: usize,
    ) -> Result<RecipientReader, Error> {
        let between_records = async || Ok::<(), OpenError>(());
        let opened =
            recipients::files::open_file(&self.files, campaign, index, between_records).await;
        Ok(opened.map_err(|OpenError(error)| error)?.recipients)
    }
}

/// Unites the errors of opening a file.
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

/// The reader's current record, or the header before the first one, unchanged and with its line ending.
fn current_line(recipients: &RecipientReader, delimiter: &str) -> Vec<u8> {
    let mut line = match recipients.current_bytes() {
        Some(bytes) => bytes.into_owned(),
        // With an unclosed quotation mark, the record ends at the end of its line.
        None => {
            let cells: Vec<_> = recipients
                .current_record()
                .iter()
                .map(String::from_utf8_lossy)
                .collect();
            cells.join(delimiter).into_bytes()
        }
    };
    line.extend_from_slice(recipients.line_ending().as_bytes());
    line
}
