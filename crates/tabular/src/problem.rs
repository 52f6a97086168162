//! Why a file cannot be read, in sentences for the operator.

use std::io;

/// Why no record of a file can be read, or no further one.
#[derive(Debug, thiserror::Error)]
pub enum TableProblem {
    /// No bytes, or only blank lines.
    #[error("the file is empty: it needs a header line and one line for each recipient")]
    Empty,
    /// The bytes are not text.
    #[error("the file is {found}, not a table: save it as CSV or .xlsx and upload that")]
    NotATable {
        /// What the bytes look like.
        found: &'static str,
    },
    /// The operator named an encoding that does not exist.
    #[error("no encoding is called `{name}`: use a name such as utf-8, utf-16le or windows-1252")]
    UnknownEncoding {
        /// As the operator wrote it.
        name: String,
    },
    /// The workbook cannot be opened.
    #[error(
        "the workbook cannot be read ({detail}): open it, save it again as .xlsx or as CSV, and upload that"
    )]
    Workbook {
        /// The message of the library that reads workbooks.
        detail: String,
    },
    /// The workbook exceeds the limits in [`crate::sheet`].
    #[error("the workbook is too large to be unpacked: save it as CSV, which may have any size")]
    WorkbookTooLarge,
    /// The compressed data are damaged or end too early.
    #[error("the gzip file is damaged or incomplete: compress it again")]
    DamagedGzip,
    /// More text than one import reads.
    #[error("the file holds more than {} GiB of text: split it", .max_bytes >> 30)]
    TooLarge {
        /// The most bytes of text that one import reads.
        max_bytes: u64,
    },
    /// The connection failed, not the file: another try may succeed.
    #[error("read the file: {0}")]
    Io(#[source] io::Error),
}

/// Lets a problem pass through the readers above the one that found it.
impl From<TableProblem> for io::Error {
    fn from(problem: TableProblem) -> Self {
        io::Error::other(problem)
    }
}

/// Recovers a problem that passed through readers; any other error is one of the connection.
impl From<io::Error> for TableProblem {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }
}
