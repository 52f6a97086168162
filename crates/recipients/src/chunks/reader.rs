//! Reads the chunks of a file.

use bytes::Bytes;
use campaign::id::RowNumber;
use campaign::lifecycle::campaign::Campaign;
use cloud::files::{ChunkSet, Files};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::VERSION;
use super::format::{ImportedRow, Verdict, read_row};
use super::manifest::{ChunkInfo, Manifest};
use crate::error::ReadError;

/// Chunks that are read ahead.
const READ_AHEAD: usize = 2;

/// The rows of one chunk, decoded one by one.
#[derive(Debug)]
pub struct ChunkRows {
    rest: Bytes,
    next_row: RowNumber,
}

impl Iterator for ChunkRows {
    type Item = Result<ImportedRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = read_row(&self.rest, self.next_row);
        self.rest = match &read {
            Ok((_, length)) => self.rest.slice(length..),
            Err(_) => Bytes::new(),
        };
        self.next_row = self.next_row.saturating_add(1);
        Some(read.map(|(row, _)| row))
    }
}

/// The rows of a file, in their order.
pub struct ImportedRows<'f> {
    chunks: BoxStream<'f, Result<(ChunkInfo, ChunkRows), ReadError>>,
    current: Option<ChunkRows>,
    usable: u64,
    after: RowNumber,
}

impl ImportedRows<'_> {
    /// The next row; `None` at the end of the file.
    pub async fn next_row(&mut self) -> Result<Option<ImportedRow>, ReadError> {
        loop {
            let Some(rows) = &mut self.current else {
                let Some((info, rows)) = self.chunks.try_next().await? else {
                    return Ok(None);
                };
                self.usable = info.usable_before;
                self.current = Some(rows);
                continue;
            };
            let Some(row) = rows.next().transpose()? else {
                self.current = None;
                continue;
            };
            self.usable += u64::from(matches!(row.verdict, Verdict::Usable(_)));
            if row.number > self.after {
                return Ok(Some(row));
            }
        }
    }

    /// How many rows of the file up to the current one, and including it, are usable.
    pub fn usable(&self) -> u64 {
        self.usable
    }
}

/// Opens the imported rows of the campaign's file at `index` that are behind the row `after`.
pub async fn open_rows<'f>(
    files: &'f Files,
    campaign: &Campaign,
    index: usize,
    after: RowNumber,
) -> Result<(Manifest, ImportedRows<'f>), ReadError> {
    let set = ChunkSet::of(campaign, index).ok_or(ReadError::ChunksGone)?;
    let manifest = read_manifest(files, &set).await?;
    let mut wanted: Vec<(usize, ChunkInfo)> = manifest.chunks.iter().copied().enumerate().collect();
    wanted.retain(|(_, chunk)| chunk.last_row() > after);
    let chunks = stream::iter(wanted)
        .map(move |(number, info)| {
            let set = set.clone();
            async move { Ok((info, read_chunk(files, &set, number, info).await?)) }
        })
        .buffered(READ_AHEAD)
        .boxed();
    let rows = ImportedRows {
        chunks,
        current: None,
        usable: 0,
        after,
    };
    Ok((manifest, rows))
}

/// Reads the manifest of a set.
pub(super) async fn read_manifest(files: &Files, set: &ChunkSet) -> Result<Manifest, ReadError> {
    let bytes = files.read_object(&set.manifest_key()).await?;
    Manifest::from_bytes(&bytes.ok_or(ReadError::ChunksGone)?)
}

/// Reads the chunk at `number` of a set.
pub(super) async fn read_chunk(
    files: &Files,
    set: &ChunkSet,
    number: usize,
    info: ChunkInfo,
) -> Result<ChunkRows, ReadError> {
    let bytes = files.read_object(&set.chunk_key(number)).await?;
    decode_chunk(bytes.ok_or(ReadError::ChunksGone)?, info.first_row)
}

/// The rows of a chunk whose first one has this number.
pub fn decode_chunk(mut chunk: Bytes, first_row: RowNumber) -> Result<ChunkRows, ReadError> {
    if chunk.first() != Some(&VERSION) {
        return Err(ReadError::DamagedChunk);
    }
    Ok(ChunkRows {
        rest: chunk.split_off(1),
        next_row: first_row,
    })
}
