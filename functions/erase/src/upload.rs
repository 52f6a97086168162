//! A campaign's uploads: files that were never imported, and its exclude list. What was imported of a file is in its chunks.

use campaign::lifecycle::campaign::{Campaign, ImportOptions};
use cloud::files::{Upload, input_key};
use cloud::multipart::MultipartWriter;
use lambda_runtime::Error;
use recipients::ReadError;
use recipients::records::{any_record, copy_without};

use crate::Eraser;
use crate::subject::DataSubject;

impl Eraser {
    /// Whether the campaign's exclude list mentions the recipient.
    pub(crate) async fn exclude_list_mentions(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
    ) -> Result<bool, Error> {
        if campaign.exclude.is_none() {
            return Ok(false);
        }
        self.upload_mentions(campaign, Upload::Exclusions, subject)
            .await
    }

    /// Whether an upload mentions the recipient. Of what was imported, the chunks say more quickly who is in it.
    pub(crate) async fn upload_mentions(
        &self,
        campaign: &Campaign,
        upload: Upload,
        subject: &DataSubject,
    ) -> Result<bool, Error> {
        let options = options_of(campaign, upload);
        let is_theirs = |cell: &str| subject.is_in_cell(cell, options);
        let Some(file) = self.files.open_upload(&campaign.id, upload).await? else {
            return Ok(false);
        };
        match any_record(file, options, is_theirs).await {
            Ok(found) => Ok(found),
            Err(error) if error.is_retryable() => Err(error.into()),
            Err(_) => {
                self.unreadable_upload_mentions(campaign, upload, subject)
                    .await
            }
        }
    }

    /// Searches the bytes of an upload that is no table.
    async fn unreadable_upload_mentions(
        &self,
        campaign: &Campaign,
        upload: Upload,
        subject: &DataSubject,
    ) -> Result<bool, Error> {
        let key = input_key(&campaign.id, upload);
        let bytes = self.files.read_object(&key).await?.unwrap_or_default();
        Ok(subject.is_mentioned_in(&String::from_utf8_lossy(&bytes)))
    }

    /// Deletes an upload and all of its versions.
    pub(crate) async fn delete_upload(
        &self,
        campaign: &Campaign,
        index: usize,
    ) -> Result<(), Error> {
        let key = input_key(&campaign.id, Upload::File(index));
        Ok(self.files.delete_versions(&key).await?)
    }

    /// Rewrites the exclude list without the recipient's lines, which can go because the suppression list has the recipient.
    /// Deletes older versions. A list that is no table is deleted: no import can read it.
    pub(crate) async fn rewrite_exclude_list(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
    ) -> Result<(), Error> {
        let upload = Upload::Exclusions;
        let key = input_key(&campaign.id, upload);
        let Some(list) = self.files.open_upload(&campaign.id, upload).await? else {
            return Ok(());
        };
        let options = options_of(campaign, upload);
        let is_theirs = |cell: &str| subject.is_in_cell(cell, options);
        let mut output = MultipartWriter::new(&self.files, key.clone());
        let write = async |bytes: &[u8]| Ok::<(), ReadError>(output.write(bytes).await?);
        match copy_without(list, options, is_theirs, write).await {
            Ok(()) => {
                let version = output.finish().await?;
                Ok(self.files.delete_older_versions(&key, version).await?)
            }
            Err(error) if error.is_retryable() => Err(error.into()),
            Err(_) => Ok(self.files.delete_versions(&key).await?),
        }
    }
}

/// How the upload is read: the exclude list as the campaign's last file.
fn options_of(campaign: &Campaign, upload: Upload) -> &ImportOptions {
    let file = match upload {
        Upload::File(index) => &campaign.files[index],
        Upload::Exclusions => &campaign.files[campaign.files.len() - 1],
    };
    &file.options
}
