//! Any table people export, as records of UTF-8 cells: CSV of any dialect and encoding, gzip, the first sheet of an
//! xlsx workbook. Streams: memory does not grow with the file, but for a workbook ([`sheet`] has its bounds).
//!
//! bytes → [`source`] (gzip, workbook, encoding) → [`replay`] (may be rewound by one record) → csv-async → [`Table`]
//!
//! - [`encoding`]: which one, and into UTF-8
//! - [`dialect`]: which delimiter; the `sep=` line
//! - [`quotes`]: quotation marks that swallow other rows
//!
//! What is wrong with a whole file is a [`TableProblem`], found while it is opened or before anything was sent: the
//! splitter reads every file to its end first. What is wrong with one record is a [`Shape`].

pub mod dialect;
pub mod encoding;
mod quotes;
mod replay;
pub mod sheet;
mod source;
mod table;

pub use csv_async::ByteRecord;
pub use table::{RecordShape, Table};

/// How a file is to be read where the operator knows better than detection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The delimiter.
    pub delimiter: Option<u8>,
    /// The encoding, by any name browsers know it by.
    pub encoding: Option<String>,
    /// Top-level domain where the file's language is spoken, such as `br`: helps telling legacy encodings apart.
    pub top_level_domain: Option<String>,
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectedFormat {
    /// `csv` or `xlsx`.
    pub kind: &'static str,
    /// Whether it was compressed.
    pub gzip: bool,
    /// The encoding's name, such as `UTF-8` or `windows-1252`.
    pub encoding: &'static str,
    /// What is between cells.
    pub delimiter: u8,
}

/// Why no record of a file can be read, or none from here on.
#[derive(Debug, thiserror::Error)]
pub enum TableProblem {
    /// No bytes, or only blank lines.
    #[error("the file is empty: it needs a header line and one line for each recipient")]
    Empty,
    /// Bytes that are no text.
    #[error("the file is {found}, not a table: save it as CSV or .xlsx and upload that")]
    NotATable {
        /// What it looks like.
        found: &'static str,
    },
    /// An encoding nobody knows.
    #[error("no encoding is called `{name}`: use a name such as utf-8, utf-16le or windows-1252")]
    UnknownEncoding {
        /// As the operator wrote it.
        name: String,
    },
    /// A workbook that cannot be opened.
    #[error(
        "the workbook cannot be read ({detail}): open it, save it again as .xlsx or as CSV, and upload that"
    )]
    Workbook {
        /// What the reader says.
        detail: String,
    },
    /// A workbook beyond what is taken into memory.
    #[error("the workbook is too large to be unpacked: save it as CSV, which may have any size")]
    WorkbookTooLarge,
    /// Compressed data that break off or are damaged.
    #[error("the gzip file is damaged or incomplete: compress it again")]
    DamagedGzip,
    /// More text than one import reads.
    #[error("the file holds more than {} GiB of text: split it", source::MAX_TEXT_BYTES >> 30)]
    TooLarge,
    /// The way to the file failed, not the file: reading it again may help.
    #[error("read the file: {0}")]
    Io(#[source] std::io::Error),
}
