//! Writes the chunks of a file while it is read.

use campaign::id::{CampaignId, RowNumber};
use campaign::import::phone::CanonicalPhone;
use campaign::import::row::RowVerdict;
use cloud::files::{Files, RecipientSet};
use cloud::multipart::MultipartWriter;
use tokio::task::JoinSet;

use super::index::{ChunkInfo, FileIndex};
use super::{MAX_CHUNK_BYTES, MAX_CHUNK_ROWS, VERSION, format};
use crate::RecipientReader;
use crate::own_line::OwnLines;

/// Chunks that are uploaded while the next one is filled.
const MAX_UPLOADS: usize = 3;

/// Writes the set of one file. Memory does not grow with the file.
pub struct ChunkWriter {
    files: Files,
    set: RecipientSet,
    lines: OwnLines,
    index: FileIndex,
    chunk: Vec<u8>,
    /// Where the chunk being filled begins.
    next: ChunkInfo,
    usable: u64,
    phones: MultipartWriter,
    uploads: JoinSet<Result<(), cloud::Error>>,
}

impl ChunkWriter {
    /// Begins the set `lease_epoch` of the campaign's file at `index`; its first row is the one behind `rows_before`.
    pub fn new(
        files: &Files,
        campaign: &CampaignId,
        index: usize,
        lease_epoch: u64,
        rows_before: u64,
        recipients: &RecipientReader,
    ) -> Self {
        let set = RecipientSet::new(campaign, index, lease_epoch);
        let first_row = RowNumber::try_from(rows_before + 1).unwrap_or(RowNumber::MAX);
        let lines = OwnLines::of(recipients);
        Self {
            files: files.clone(),
            phones: MultipartWriter::new(files, set.phones_key()),
            set,
            index: FileIndex {
                header: recipients.header().to_vec(),
                header_line: recipients.header_line().to_vec(),
                delimiter: char::from(recipients.format().delimiter),
                line_ending: recipients.line_ending().into(),
                ..FileIndex::default()
            },
            lines,
            chunk: vec![VERSION],
            next: ChunkInfo {
                first_row,
                rows: 0,
                usable_before: 0,
            },
            usable: 0,
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
        let line = self.lines.line(recipients);
        let chunk = std::mem::take(&mut self.chunk);
        self.chunk = format::write_row(chunk, verdict, &line);
        self.next.rows += 1;
        self.usable += u64::from(matches!(verdict, RowVerdict::Usable(_)));
        if self.next.rows < MAX_CHUNK_ROWS && self.chunk.len() < MAX_CHUNK_BYTES {
            return Ok(());
        }
        self.upload_chunk().await
    }

    /// Uploads what is left, then the index. The set is complete with it.
    pub async fn finish(mut self, recipients: &RecipientReader) -> Result<(), cloud::Error> {
        if self.next.rows > 0 {
            self.upload_chunk().await?;
        }
        while let Some(uploaded) = self.uploads.join_next().await {
            joined(uploaded)?;
        }
        self.phones.finish().await?;
        self.index.counts = recipients.counts();
        let key = self.set.index_key();
        self.files.write_object(&key, self.index.to_bytes()).await
    }

    async fn upload_chunk(&mut self) -> Result<(), cloud::Error> {
        let key = self.set.chunk_key(self.index.chunks.len());
        let capacity = self.chunk.capacity();
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(capacity));
        self.chunk.push(VERSION);
        self.index.chunks.push(self.next);
        self.next = ChunkInfo {
            first_row: self.next.first_row.saturating_add(self.next.rows),
            rows: 0,
            usable_before: self.usable,
        };
        if self.uploads.len() >= MAX_UPLOADS
            && let Some(uploaded) = self.uploads.join_next().await
        {
            joined(uploaded)?;
        }
        let files = self.files.clone();
        self.uploads
            .spawn(async move { files.write_object(&key, chunk).await });
        Ok(())
    }
}

/// Uploads are neither aborted nor do they panic.
fn joined(
    uploaded: Result<Result<(), cloud::Error>, tokio::task::JoinError>,
) -> Result<(), cloud::Error> {
    uploaded.unwrap_or_else(|error| Err(cloud::Error::new("upload a chunk", error)))
}
