//! Turns the bytes of a file into UTF-8 text: detects what the file is, unpacks it and decodes it.

use std::io::Cursor;

use encoding_rs::{Encoding, UTF_8};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::encoding::{self, DetectedEncoding};
use crate::format::{FileKind, ReadOptions};
use crate::problem::TableProblem;
use crate::readers::{BoundedReader, BoxedReader, gunzip};
use crate::sheet;
use crate::transcode::Utf8Reader;

/// The most bytes of text that one import reads. Gzip can expand to a thousand times the size of the upload.
const MAX_TEXT_BYTES: u64 = 32 * 1024 * 1024 * 1024;

/// How many bytes at the start of a file are examined.
const SAMPLE_BYTES: usize = 64 * 1024;

const GZIP_SIGNATURE: &[u8] = &[0x1f, 0x8b];
const ZIP_SIGNATURE: &[u8] = b"PK\x03\x04";
const UTF_8_BOM: &[u8] = b"\xef\xbb\xbf";

/// The text of a file, and what was detected on the way to it.
pub(crate) struct TextSource {
    /// The whole text.
    pub(crate) text: BoxedReader,
    /// The first characters of the text.
    pub(crate) sample: String,
    /// Whether the sample is the whole text.
    pub(crate) is_sample_complete: bool,
    pub(crate) kind: FileKind,
    pub(crate) gzip: bool,
    pub(crate) encoding: &'static Encoding,
    /// Whether the sample is all ASCII, so that `encoding` is a guess that later bytes may contradict.
    pub(crate) ascii_so_far: bool,
}

/// Opens a file as text.
pub(crate) async fn open_text(
    file: impl AsyncRead + Send + Unpin + 'static,
    options: &ReadOptions,
) -> Result<TextSource, TableProblem> {
    let (mut start, mut file) = peek_start(Box::new(file)).await?;
    let gzip = start.starts_with(GZIP_SIGNATURE);
    if gzip {
        (start, file) = peek_start(gunzip(file)).await?;
    }
    file = Box::new(BoundedReader::new(file, MAX_TEXT_BYTES));
    let (kind, detected) = if start.starts_with(ZIP_SIGNATURE) {
        (start, file) = peek_start(sheet::read_first_sheet(file).await?).await?;
        (FileKind::Xlsx, DetectedEncoding::Known(UTF_8))
    } else {
        reject_other_formats(&start)?;
        (FileKind::Csv, choose_encoding(&start, options)?)
    };
    let (encoding, ascii_so_far) = match detected {
        DetectedEncoding::Known(encoding) => (encoding, false),
        DetectedEncoding::AsciiOnly => (UTF_8, true),
    };
    let (sample, text) = decode(file, &start, encoding).await?;
    if sample.contains('\0') {
        return Err(TableProblem::NotATable {
            found: "a binary file",
        });
    }
    Ok(TextSource {
        text,
        sample,
        is_sample_complete: is_whole_file(&start),
        kind,
        gzip,
        encoding,
        ascii_so_far,
    })
}

/// The start of a file, and the file from its start.
async fn peek_start(mut file: BoxedReader) -> Result<(Vec<u8>, BoxedReader), TableProblem> {
    let mut start = Vec::with_capacity(SAMPLE_BYTES);
    (&mut file)
        .take(SAMPLE_BYTES as u64)
        .read_to_end(&mut start)
        .await?;
    let whole = Cursor::new(start.clone()).chain(file);
    Ok((start, Box::new(whole)))
}

fn is_whole_file(start: &[u8]) -> bool {
    start.len() < SAMPLE_BYTES
}

/// Names files that are commonly mistaken for tables, by their first bytes.
fn reject_other_formats(start: &[u8]) -> Result<(), TableProblem> {
    let signatures: [(&[u8], &str); 5] = [
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
        (b"%PDF", "a PDF document"),
        (b"{\\rtf", "a rich text document"),
        (b"PK\x05\x06", "an empty zip archive"),
        (b"\x89PNG", "a picture"),
    ];
    match signatures
        .into_iter()
        .find(|(signature, _)| start.starts_with(signature))
    {
        Some((_, found)) => Err(TableProblem::NotATable { found }),
        None => Ok(()),
    }
}

/// The encoding of the byte order mark, else the one that the operator named, else the detected one.
fn choose_encoding(start: &[u8], options: &ReadOptions) -> Result<DetectedEncoding, TableProblem> {
    if let Some((encoding, _)) = Encoding::for_bom(start) {
        return Ok(DetectedEncoding::Known(encoding));
    }
    let Some(label) = &options.encoding else {
        let domain = options.top_level_domain.as_deref();
        return Ok(encoding::detect(start, is_whole_file(start), domain));
    };
    match encoding::for_label(label) {
        Some(encoding) => Ok(DetectedEncoding::Known(encoding)),
        None => Err(TableProblem::UnknownEncoding {
            name: label.clone(),
        }),
    }
}

/// The sample and the whole text in UTF-8, without a byte order mark.
async fn decode(
    mut file: BoxedReader,
    start: &[u8],
    encoding: &'static Encoding,
) -> Result<(String, BoxedReader), TableProblem> {
    if encoding != UTF_8 {
        let (sample, _) = encoding.decode_with_bom_removal(start);
        return Ok((
            sample.into_owned(),
            Box::new(Utf8Reader::new(file, encoding)),
        ));
    }
    // Invalid bytes stay as they are: they damage one cell, which is reported with its row.
    let sample = match start.strip_prefix(UTF_8_BOM) {
        Some(sample) => {
            file.read_exact(&mut [0; UTF_8_BOM.len()]).await?;
            sample
        }
        None => start,
    };
    Ok((String::from_utf8_lossy(sample).into_owned(), file))
}
