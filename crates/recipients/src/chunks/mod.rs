//! Recipient chunks: what an import found in a file, stored so that no later step reads the operator's file again.
//!
//! The first pass writes, for each file, the objects of one *set*, `recipients/{campaign}/{file}/{set}/…`:
//!
//! | object | content |
//! |---|---|
//! | `00000`, `00001`, … | a chunk: up to 10,000 rows or about 2 MiB, in the order of the file, each with its verdict and the operator's own columns |
//! | `phones` | row and number of each number in a phone column, twelve bytes each: by them an erasure finds a person's rows |
//! | `manifest` | written last: where each chunk begins, and what the report needs of the header |
//!
//! A set belongs to one lease on the campaign's files: an invocation that has lost its lease writes into a set that nobody
//! reads. The campaign names the set of each file from the moment it is validated. Chunks never change while their
//! campaign is open; an erasure rewrites them afterwards.
//!
//! - `format`: the bytes of a row; `manifest`: those of the manifest
//! - [`ChunkEncoder`] makes chunks, [`ChunkWriter`] writes the set; [`open_rows`]: reads it, from any row on
//! - [`erase_rows`]: takes a person out of it

mod encoder;
mod erasure;
mod format;
mod manifest;
mod phones;
mod reader;
mod writer;

pub use encoder::ChunkEncoder;
pub use erasure::{erase_rows, find_rows, forget_phone};
pub use format::{ImportedRow, Verdict};
pub use manifest::Manifest;
pub use reader::{ChunkRows, ImportedRows, decode_chunk, open_rows};
pub use writer::ChunkWriter;

/// The format of chunks and indexes, in their first byte.
const VERSION: u8 = 1;

/// The most rows of a chunk.
pub const MAX_CHUNK_ROWS: u32 = 10_000;

/// A chunk ends once it has as many bytes: rows may be long.
const MAX_CHUNK_BYTES: usize = 2 * 1024 * 1024;
