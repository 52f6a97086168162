//! Makes chunks of the records of a file, in memory.

use campaign::id::RowNumber;
use campaign::import::row::RowVerdict;

use super::manifest::{ChunkInfo, Manifest};
use super::{MAX_CHUNK_BYTES, VERSION, format};
use crate::RecipientReader;
use crate::own_line::OwnLines;

/// Makes chunks of a file's records, and its manifest.
#[derive(Debug)]
pub struct ChunkEncoder {
    lines: OwnLines,
    manifest: Manifest,
    chunk: Vec<u8>,
    /// Where the chunk being filled begins.
    next: ChunkInfo,
    usable: u64,
    max_rows: u32,
}

impl ChunkEncoder {
    /// For the file of this reader, whose first row is `rows_before + 1`. A chunk has at most `max_rows` rows
    /// ([`super::MAX_CHUNK_ROWS`]).
    pub fn new(recipients: &RecipientReader, rows_before: u64, max_rows: u32) -> Self {
        Self {
            lines: OwnLines::of(recipients),
            manifest: Manifest {
                header: recipients.header().to_vec(),
                header_line: recipients.header_line().to_vec(),
                delimiter: char::from(recipients.format().delimiter),
                line_ending: recipients.line_ending().into(),
                ..Manifest::default()
            },
            chunk: vec![VERSION],
            next: ChunkInfo {
                first_row: RowNumber::try_from(rows_before + 1).unwrap_or(RowNumber::MAX),
                rows: 0,
                usable_before: 0,
            },
            usable: 0,
            max_rows,
        }
    }

    /// Adds the reader's current record, which got this verdict. Returns a chunk when one is full.
    pub fn push(&mut self, recipients: &RecipientReader, verdict: &RowVerdict) -> Option<Vec<u8>> {
        let line = self.lines.line(recipients);
        let chunk = std::mem::take(&mut self.chunk);
        self.chunk = format::write_row(chunk, verdict, &line);
        self.next.rows += 1;
        self.usable += u64::from(matches!(verdict, RowVerdict::Usable(_)));
        let is_full = self.next.rows >= self.max_rows || self.chunk.len() >= MAX_CHUNK_BYTES;
        is_full.then(|| self.take_chunk())
    }

    /// The number of the row that comes next.
    pub fn next_row(&self) -> RowNumber {
        self.next.first_row.saturating_add(self.next.rows)
    }

    /// How many chunks were returned.
    pub fn chunks(&self) -> usize {
        self.manifest.chunks.len()
    }

    /// The last chunk, if a row is left for one.
    pub fn take_rest(&mut self) -> Option<Vec<u8>> {
        (self.next.rows > 0).then(|| self.take_chunk())
    }

    /// The manifest, when every chunk was taken.
    pub fn finish(self, recipients: &RecipientReader) -> Manifest {
        let counts = recipients.counts();
        Manifest {
            counts,
            ..self.manifest
        }
    }

    fn take_chunk(&mut self) -> Vec<u8> {
        let next = Vec::with_capacity(self.chunk.capacity());
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.chunk.push(VERSION);
        self.manifest.chunks.push(self.next);
        self.next = ChunkInfo {
            first_row: self.next_row(),
            rows: 0,
            usable_before: self.usable,
        };
        chunk
    }
}
