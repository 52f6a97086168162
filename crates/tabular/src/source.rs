//! From the bytes of a file to its text in UTF-8, whatever it was packed or written in.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::GzipDecoder;
use encoding_rs::{Encoding, UTF_8};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader, ReadBuf};
use tokio::sync::mpsc::Receiver;

use crate::encoding::{self, DetectedEncoding, Utf8Reader};
use crate::{ReadOptions, TableProblem, sheet};

/// The most bytes of text that one import reads: gzip may hold a thousand times its size.
pub(crate) const MAX_TEXT_BYTES: u64 = 32 * 1024 * 1024 * 1024;

/// The bytes that detection looks at.
const SAMPLE_BYTES: usize = 64 * 1024;

pub(crate) type BoxedReader = Box<dyn AsyncRead + Send + Unpin>;

/// A file's text.
pub(crate) struct TextSource {
    /// All of it.
    pub(crate) text: BoxedReader,
    /// Its beginning.
    pub(crate) sample: String,
    /// Whether the sample is all of it.
    pub(crate) is_sample_complete: bool,
    pub(crate) kind: &'static str,
    pub(crate) gzip: bool,
    pub(crate) encoding: &'static Encoding,
    /// Nothing but ASCII in the sample: the encoding is a guess that the rest may refute.
    pub(crate) ascii_so_far: bool,
}

/// Unpacks and decodes.
pub(crate) async fn open_text(
    file: impl AsyncRead + Send + Unpin + 'static,
    wanted: &ReadOptions,
) -> Result<TextSource, TableProblem> {
    let (start, file) = peek_start(Box::new(file)).await?;
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    let (start, file) = if gzip {
        let mut unpacked = GzipDecoder::new(BufReader::with_capacity(SAMPLE_BYTES, file));
        unpacked.multiple_members(true);
        peek_start(Box::new(GunzipReader { inner: unpacked })).await?
    } else {
        (start, file)
    };
    let file: BoxedReader = Box::new(BoundedReader {
        inner: file,
        left: MAX_TEXT_BYTES,
    });
    if start.starts_with(b"PK\x03\x04") {
        let chunks = sheet::read_first_sheet(file).await?;
        let (start, file) = peek_start(Box::new(ChunkReader {
            chunks,
            chunk: Cursor::new(Vec::new()),
        }))
        .await?;
        return decode_text(file, start, UTF_8, false, "xlsx", gzip).await;
    }
    if let Some(found) = detect_other_format(&start) {
        return Err(TableProblem::NotATable { found });
    }
    let whole = start.len() < SAMPLE_BYTES;
    let detected = match &wanted.encoding {
        None => encoding::detect(&start, whole, wanted.top_level_domain.as_deref()),
        Some(name) => DetectedEncoding::Known(
            encoding::for_label(name)
                .ok_or_else(|| TableProblem::UnknownEncoding { name: name.clone() })?,
        ),
    };
    let (encoding, ascii) = match detected {
        DetectedEncoding::Known(encoding) => (encoding, false),
        DetectedEncoding::AsciiOnly => (UTF_8, true),
    };
    decode_text(file, start, encoding, ascii, "csv", gzip).await
}

async fn decode_text(
    file: BoxedReader,
    start: Vec<u8>,
    encoding: &'static Encoding,
    ascii: bool,
    kind: &'static str,
    gzip: bool,
) -> Result<TextSource, TableProblem> {
    let whole = start.len() < SAMPLE_BYTES;
    let (sample, text): (String, BoxedReader) = if encoding == UTF_8 {
        // As it is: wrong bytes stay in their cell. A byte order mark is no text.
        let mark = if start.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        let mut file = file;
        let mut skipped = [0; 3];
        file.read_exact(&mut skipped[..mark])
            .await
            .map_err(to_table_problem)?;
        (String::from_utf8_lossy(&start[mark..]).into_owned(), file)
    } else {
        let (sample, _) = encoding.decode_with_bom_removal(&start);
        (
            sample.into_owned(),
            Box::new(Utf8Reader::new(file, encoding)),
        )
    };
    if sample.contains('\0') {
        return Err(TableProblem::NotATable {
            found: "a binary file",
        });
    }
    Ok(TextSource {
        text,
        sample,
        is_sample_complete: whole,
        kind,
        gzip,
        encoding,
        ascii_so_far: ascii,
    })
}

/// The file's beginning, and the file from its beginning.
async fn peek_start(mut file: BoxedReader) -> Result<(Vec<u8>, BoxedReader), TableProblem> {
    let mut start = Vec::with_capacity(SAMPLE_BYTES);
    (&mut file)
        .take(SAMPLE_BYTES as u64)
        .read_to_end(&mut start)
        .await
        .map_err(to_table_problem)?;
    let again = Cursor::new(start.clone()).chain(file);
    Ok((start, Box::new(again)))
}

/// Files people mistake for tables, by their first bytes.
fn detect_other_format(start: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 5] = [
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
        (b"%PDF", "a PDF document"),
        (b"{\\rtf", "a rich text document"),
        (b"PK\x05\x06", "an empty zip archive"),
        (b"\x89PNG", "a picture"),
    ];
    known
        .iter()
        .find(|(magic, _)| start.starts_with(magic))
        .map(|(_, name)| *name)
}

/// What an error from anywhere below is about.
pub(crate) fn to_table_problem(error: io::Error) -> TableProblem {
    match error.downcast::<TableProblem>() {
        Ok(problem) => problem,
        Err(error) => TableProblem::Io(error),
    }
}

/// Gzip's own complaints are about the file, not about the way to it.
struct GunzipReader<R> {
    inner: R,
}

impl<R: AsyncRead + Unpin> AsyncRead for GunzipReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer));
        Poll::Ready(polled.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::Other => io::Error::other(TableProblem::DamagedGzip),
            _ => error,
        }))
    }
}

/// Ends in an error instead of growing without end.
struct BoundedReader<R> {
    inner: R,
    left: u64,
}

impl<R: AsyncRead + Unpin> AsyncRead for BoundedReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        match self.left.checked_sub(read) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Err(io::Error::other(TableProblem::TooLarge))),
        }
    }
}

/// What the workbook's reader hands over.
struct ChunkReader {
    chunks: Receiver<Result<Vec<u8>, TableProblem>>,
    chunk: Cursor<Vec<u8>>,
}

impl AsyncRead for ChunkReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.chunk).poll_read(cx, buffer))?;
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.chunks.poll_recv(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(chunk)) => self.chunk = Cursor::new(chunk),
                Some(Err(problem)) => return Poll::Ready(Err(io::Error::other(problem))),
            }
        }
    }
}
