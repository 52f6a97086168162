//! Readers through which the bytes of a file pass.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::GzipDecoder;
use tokio::io::{AsyncRead, BufReader, ReadBuf};

use crate::problem::TableProblem;

/// Compressed bytes read at a time.
const GZIP_BUFFER_BYTES: usize = 64 * 1024;

/// Any reader; a file passes through a different chain of them for each format.
pub(crate) type BoxedReader = Box<dyn AsyncRead + Send + Unpin>;

/// Decompresses a gzip file, which may consist of several members. Damage is a [`TableProblem::DamagedGzip`].
pub(crate) fn gunzip(file: BoxedReader) -> BoxedReader {
    let mut decoder = GzipDecoder::new(BufReader::with_capacity(GZIP_BUFFER_BYTES, file));
    decoder.multiple_members(true);
    Box::new(GunzipReader { decoder })
}

/// Tells errors of the decoder, which concern the file, from errors of the connection below it.
struct GunzipReader<R> {
    decoder: R,
}

impl<R: AsyncRead + Unpin> AsyncRead for GunzipReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.decoder).poll_read(cx, buffer);
        polled.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::Other => TableProblem::DamagedGzip.into(),
            _ => error,
        })
    }
}

/// Fails with [`TableProblem::TooLarge`] once more than `max_bytes` were read.
pub(crate) struct BoundedReader<R> {
    inner: R,
    read_bytes: u64,
    max_bytes: u64,
}

impl<R> BoundedReader<R> {
    pub(crate) fn new(inner: R, max_bytes: u64) -> Self {
        Self {
            inner,
            read_bytes: 0,
            max_bytes,
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for BoundedReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        self.read_bytes += (buffer.filled().len() - filled) as u64;
        if self.read_bytes > self.max_bytes {
            let max_bytes = self.max_bytes;
            return Poll::Ready(Err(TableProblem::TooLarge { max_bytes }.into()));
        }
        Poll::Ready(Ok(()))
    }
}
