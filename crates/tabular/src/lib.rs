//! Reads any table that an operator may upload as records of UTF-8 cells: CSV of any dialect and encoding,
//! plain or gzipped, or the first sheet of an .xlsx workbook.
//!
//! Files are streamed, so memory does not grow with the file. Workbooks are the exception; [`sheet`] states
//! their limits.
//!
//! ```text
//! bytes → source   detects what the file is, unpacks it and decodes it to UTF-8
//!       → replay   remembers the current record, so that it can be parsed a second time
//!       → csv-async  splits text into cells
//!       → table    gives records, one at a time
//! ```
//!
//! - [`Table`]: the entry point; open a file, then read record by record
//! - [`ReadOptions`] goes in, [`DetectedFormat`] comes out
//! - [`encoding`] detects the encoding, `transcode` converts it to UTF-8
//! - [`dialect`] detects the delimiter and reads the `sep=` line
//! - [`sheet`] converts the first sheet of a workbook to CSV
//! - `quotes` finds unclosed quotation marks, which would swallow the rows after them
//! - `readers` decompress and limit what is read
//!
//! A [`TableProblem`] concerns the whole file: nothing more can be read. A [`RecordShape`] concerns one
//! record: reading goes on after it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tabular::TableProblem> {
//! use tabular::{ByteRecord, ReadOptions, Table};
//!
//! let file: &[u8] = b"phone;name\n+5511987654321;Ana\n";
//! let mut table = Table::open(file, &ReadOptions::default()).await?;
//! assert_eq!(table.format().delimiter, b';');
//!
//! let mut record = ByteRecord::new();
//! while table.read_record(&mut record).await?.is_some() {
//!     assert_eq!(&record[1], b"Ana");
//! }
//! # Ok(())
//! # }
//! ```

pub mod dialect;
pub mod encoding;
mod format;
mod problem;
mod quotes;
mod readers;
mod replay;
pub mod sheet;
mod source;
mod table;
mod transcode;

pub use csv_async::ByteRecord;
pub use format::{DetectedFormat, FileKind, ReadOptions};
pub use problem::TableProblem;
pub use table::{RecordShape, Table};
