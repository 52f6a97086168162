//! Writes the chunks of a file to the bucket while the file is read.

use campaign::import::phone::CanonicalPhone;
use campaign::import::row::RowVerdict;
use cloud::files::{Files, RecipientSet};
use cloud::multipart::MultipartWriter;
use tokio::task::{JoinError, JoinSet};

use super::encoder::ChunkEncoder;
use crate::RecipientReader;

/// Chunks that are uploaded while the next one is filled.
const MAX_UPLOADS: usize = 3;

/// Writes the set of one file. Memory does not grow with the file.
pub struct ChunkWriter {
    files: Files,
    set: RecipientSet,
    encoder: ChunkEncoder,
    phones: MultipartWriter,
    uploads: JoinSet<Result<(), cloud::Error>>,
}

impl ChunkWriter {
    /// Begins a set, with the chunks of this encoder.
    pub fn new(files: &Files, set: RecipientSet, encoder: ChunkEncoder) -> Self {
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
        let phone = match verdict {
            RowVerdict::Usable(row) => Some(row.to.canonical()),
            _ => recipients.current_phone(),
        };
        let digits = phone.map_or(0, CanonicalPhone::digits);
        self.phones.write(&digits.to_le_bytes()).await?;
        match self.encoder.push(recipients, verdict) {
            Some(chunk) => self.upload(chunk).await,
            None => Ok(()),
        }
    }

    /// Uploads what is left, then the index. The set is complete with it.
    pub async fn finish(mut self, recipients: &RecipientReader) -> Result<(), cloud::Error> {
        if let Some(chunk) = self.encoder.take_rest() {
            self.upload(chunk).await?;
        }
        while let Some(uploaded) = self.uploads.join_next().await {
            joined(uploaded)?;
        }
        self.phones.finish().await?;
        let index = self.encoder.finish(recipients);
        let key = self.set.index_key();
        self.files.write_object(&key, index.to_bytes()).await
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
            .spawn(async move { files.write_object(&key, chunk).await });
        Ok(())
    }
}

/// Uploads are neither aborted nor do they panic.
fn joined(uploaded: Result<Result<(), cloud::Error>, JoinError>) -> Result<(), cloud::Error> {
    uploaded.unwrap_or_else(|error| Err(cloud::Error::new("upload a chunk", error)))
}
