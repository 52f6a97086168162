//! What is stored about a file's chunks as a whole.

use campaign::id::RowNumber;
use campaign::import::row::ImportCounts;
use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::error::ReadError;

/// What is stored about an imported file as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The names of the columns.
    pub header: Vec<String>,
    /// The header as a line of CSV, without a line ending.
    pub header_line: Vec<u8>,
    /// The delimiter of the lines.
    pub delimiter: char,
    /// What ends a line.
    pub line_ending: String,
    /// How many rows got which verdict.
    pub counts: ImportCounts,
    /// The chunks, in the order of the file.
    pub chunks: Vec<ChunkInfo>,
}

/// A chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkInfo {
    /// The number of its first row.
    pub first_row: RowNumber,
    /// How many rows it has.
    pub rows: u32,
    /// How many usable rows of the file are in earlier chunks.
    pub usable_before: u64,
}

impl ChunkInfo {
    /// The number of its last row.
    pub fn last_row(&self) -> RowNumber {
        self.first_row.saturating_add(self.rows).saturating_sub(1)
    }
}

impl Manifest {
    /// The bytes of the object.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Neither the types nor the memory of a vector can make this fail.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// From the bytes of the object.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        match bytes.split_first() {
            Some((&VERSION, index)) => {
                postcard::from_bytes(index).map_err(|_| ReadError::DamagedChunk)
            }
            _ => Err(ReadError::DamagedChunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_read_as_it_was_written() {
        let index = Manifest {
            header: vec!["Phone".into()],
            header_line: b"Phone\xff".into(),
            delimiter: ';',
            line_ending: "\r\n".into(),
            chunks: vec![ChunkInfo {
                first_row: 1,
                rows: 2,
                usable_before: 0,
            }],
            ..Manifest::default()
        };
        let bytes = index.to_bytes();
        assert_eq!(Manifest::from_bytes(&bytes).expect("index"), index);
        assert!(Manifest::from_bytes(&bytes[1..]).is_err());
        assert!(Manifest::from_bytes(&[]).is_err());
    }
}
