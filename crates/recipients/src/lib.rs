//! From the files of a campaign to its recipients: every record gets one verdict, once. The verdicts are stored in chunks,
//! and whatever comes later reads those: enqueuing, requeuing, retries, the report and the erasure.
//!
//! - [`RecipientReader`]: the recipients of one file
//! - [`read_exclude_list`]: the numbers that a campaign leaves out
//! - [`files`]: opens a campaign's file in the bucket, with what the files before it say about duplicates
//! - [`chunks`]: what the import found in a file
//! - [`ledger_reader`]: what the ledger has of a file's rows, in their order
//! - [`content_hash`]: recognises a file that was sent already
//! - [`records`]: the records of any table, for erasures
//! - [`csv_line`]: writes lines of files that are opened in spreadsheets
//! - [`ReadError`]: why reading ended early
//!
//! Records come from [`tabular`], verdicts from [`campaign::import`]; this crate joins the two.

pub mod chunks;
pub mod content_hash;
pub mod csv_line;
mod error;
mod exclude_list;
pub mod files;
pub mod ledger_reader;
mod lookahead;
mod own_line;
mod reader;
pub mod records;

pub use error::ReadError;
pub use exclude_list::read_exclude_list;
pub use reader::RecipientReader;
