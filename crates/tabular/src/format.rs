//! How a file is to be read, and how it was read.

/// What the operator states about a file; whatever is missing is detected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The byte between cells.
    pub delimiter: Option<u8>,
    /// The encoding, by any label of the [WHATWG Encoding
    /// Standard](https://encoding.spec.whatwg.org/#names-and-labels).
    pub encoding: Option<String>,
    /// A top-level domain where the file's language is spoken, such as `br`: a hint between legacy encodings.
    pub top_level_domain: Option<String>,
}

/// How a file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectedFormat {
    /// The kind of file.
    pub kind: FileKind,
    /// Whether it was compressed.
    pub gzip: bool,
    /// The encoding's name, such as `UTF-8` or `windows-1252`.
    pub encoding: &'static str,
    /// The byte between cells.
    pub delimiter: u8,
}

/// The kinds of file that hold a table. As text: `csv` or `xlsx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum FileKind {
    /// Text with a delimiter between cells.
    Csv,
    /// An Excel workbook.
    Xlsx,
}

impl From<FileKind> for String {
    fn from(kind: FileKind) -> Self {
        kind.to_string()
    }
}
