//! Writes the chunks of a file to the bucket while the file is read.

use campaign::id::RowNumber;
use campaign::import::phone::CanonicalPhone;
use campaign::import::row::RowVerdict;
use cloud::files::{ChunkSet, Files};
use cloud::multipart::MultipartWriter;
use tokio::task::{JoinError, JoinSet};

use super::encoder::ChunkEncoder;
use super::phones;
use crate::RecipientReader;

/// Chunks that are uploaded while the next one is filled.
const MAX_UPLOADS: usize = 3;

/// Writes the set of one file. Memory does not grow with the file.
pub struct ChunkWriter {
    files: Files,
    set: ChunkSet,
    encoder: ChunkEncoder,
    phones: MultipartWriter,
    uploads: JoinSet<Result<(), cloud::Error>>,
}

impl ChunkWriter {
    /// Begins a set, with the chunks of this encoder.
    pub fn new(files: &Files, set: ChunkSet, encoder: ChunkEncoder) -> Self {
        Self {
            files: files.clone(),
            phones: MultipartWriter::new(files, set.phones_key()),
            set,
            encoder,
            uploads: JoinSet::new(),
        }
    }

    /// Adds the reader's current record, which got this verdict.
    pub async fn push(
        &mut self,
        recipients: &RecipientReader,
        verdict: &RowVerdict,
    ) -> Result<(), cloud::Error> {
        let row = self.encoder.next_row();
        match verdict {
            // The number that was read is the only one, unless there are further columns for them.
            RowVerdict::Usable(usable) if recipients.has_one_phone_column() => {
                self.write_phone(row, usable.to.canonical()).await?;
            }
            _ => {
                for phone in recipients.current_phones() {
                    self.write_phone(row, phone).await?;
                }
            }
        }
        match self.encoder.push(recipients, verdict) {
            // Boxed: the request would make the future large, and it is made for each row.
            Some(chunk) => Box::pin(self.upload(chunk)).await,
            None => Ok(()),
        }
    }

    async fn write_phone(
        &mut self,
        row: RowNumber,
        phone: CanonicalPhone,
    ) -> Result<(), cloud::Error> {
        self.phones.write(&phones::encode(row, phone)).await
    }

    /// Uploads what is left, then the manifest. The set is complete with it.
    pub async fn finish(mut self, recipients: &RecipientReader) -> Result<(), cloud::Error> {
        if let Some(chunk) = self.encoder.take_rest() {
            self.upload(chunk).await?;
        }
        while let Some(uploaded) = self.uploads.join_next().await {
            joined(uploaded)?;
        }
        self.phones.finish().await?;
        let manifest = self.encoder.finish(recipients);
        let key = self.set.manifest_key();
        let written = self.files.write_object(&key, manifest.to_bytes()).await;
        written.map(drop)
    }

    /// Uploads the chunk that the encoder has returned last.
    async fn upload(&mut self, chunk: Vec<u8>) -> Result<(), cloud::Error> {
        if self.uploads.len() >= MAX_UPLOADS
            && let Some(uploaded) = self.uploads.join_next().await
        {
            joined(uploaded)?;
        }
        let (files, key) = (
            self.files.clone(),
            self.set.chunk_key(self.encoder.chunks() - 1),
        );
        self.uploads
            .spawn(async move { files.write_object(&key, chunk).await.map(drop) });
        Ok(())
    }
}

/// Uploads are neither aborted nor do they panic.
fn joined(uploaded: Result<Result<(), cloud::Error>, JoinError>) -> Result<(), cloud::Error> {
    uploaded.unwrap_or_else(|error| Err(cloud::Error::new("upload a chunk", error)))
}
