//! From the files of a campaign to its recipients: every record gets one verdict, and gets the same one
//! whenever it is read again. The splitter relies on that when it continues after an interruption, the report
//! and the erasure when they find rows again.
//!
//! - [`RecipientReader`]: the recipients of one file
//! - [`read_exclude_list`]: the numbers that a campaign leaves out
//! - [`files`]: opens a campaign's files in the bucket, with what the files before them say about duplicates
//! - [`ledger_reader`]: what the ledger has of a file's rows, in their order
//! - [`csv_line`]: writes lines of files that are opened in spreadsheets
//! - [`ReadError`]: why reading ended early
//!
//! Records come from [`tabular`], verdicts from [`campaign::import`]; this crate joins the two.

pub mod csv_line;
mod error;
mod exclude_list;
pub mod files;
pub mod ledger_reader;
mod reader;

pub use error::ReadError;
pub use exclude_list::read_exclude_list;
pub use reader::RecipientReader;
