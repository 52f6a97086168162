//! A reader that remembers the current record, so that the record can be read a second time in another way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// The most bytes of one record. An unclosed quotation mark must not load the rest of the file into memory.
pub(crate) const MAX_RECORD_BYTES: u64 = 1024 * 1024;

/// Consumed bytes are removed from the buffer in portions of at least this size, because each removal moves
/// the rest.
const COMPACT_THRESHOLD_BYTES: usize = 256 * 1024;

/// Bytes read at a time while a line is skipped.
const SKIP_CHUNK_BYTES: usize = 16 * 1024;

/// One record exceeds [`MAX_RECORD_BYTES`].
#[derive(Debug, thiserror::Error)]
#[error("the record is too long")]
pub(crate) struct RecordTooLong;

/// Passes bytes through and keeps those since the mark. All offsets count from the start of the text.
pub(crate) struct ReplayReader<R> {
    inner: R,
    buffer: Vec<u8>,
    /// Offset of `buffer[0]`.
    buffer_start: u64,
    /// Offset of the next byte to give.
    position: u64,
    /// Offset at which the current record begins.
    mark: u64,
}

impl<R: AsyncRead + Unpin> ReplayReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            buffer_start: 0,
            position: 0,
            mark: 0,
        }
    }

    /// States that a record begins at `offset`; earlier bytes may be dropped.
    pub(crate) fn mark(&mut self, offset: u64) {
        self.mark = offset;
        let consumed = (offset - self.buffer_start) as usize;
        if consumed >= COMPACT_THRESHOLD_BYTES {
            self.buffer.drain(..consumed);
            self.buffer_start = offset;
        }
    }

    /// The bytes from the mark to `end`.
    pub(crate) fn since_mark(&self, end: u64) -> &[u8] {
        let from = (self.mark - self.buffer_start) as usize;
        let to = ((end - self.buffer_start) as usize).min(self.buffer.len());
        &self.buffer[from..to]
    }

    /// All buffered bytes from the mark on.
    pub(crate) fn after_mark(&self) -> &[u8] {
        &self.buffer[(self.mark - self.buffer_start) as usize..]
    }

    /// Moves back to `offset`, which must not be before the mark, and marks it.
    pub(crate) fn rewind(&mut self, offset: u64) {
        self.position = offset;
        self.mark(offset);
    }

    /// Skips the line that contains `offset`, whatever its length. Returns the offset after the line.
    pub(crate) async fn skip_line(&mut self, offset: u64) -> io::Result<u64> {
        self.rewind(offset);
        let mut chunk = vec![0; SKIP_CHUNK_BYTES];
        loop {
            let start = self.position;
            self.mark(start);
            let length = self.read(&mut chunk).await?;
            if length == 0 {
                return Ok(start);
            }
            if let Some(end) = memchr::memchr2(b'\n', b'\r', &chunk[..length]) {
                let next_line = start + end as u64 + 1;
                self.rewind(next_line);
                return Ok(next_line);
            }
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for ReplayReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        output: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.position > this.mark + MAX_RECORD_BYTES {
            return Poll::Ready(Err(io::Error::other(RecordTooLong)));
        }
        let buffered = &this.buffer[(this.position - this.buffer_start) as usize..];
        if !buffered.is_empty() {
            let length = buffered.len().min(output.remaining());
            output.put_slice(&buffered[..length]);
            this.position += length as u64;
            return Poll::Ready(Ok(()));
        }
        let filled = output.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, output))?;
        let new = &output.filled()[filled..];
        this.buffer.extend_from_slice(new);
        this.position += new.len() as u64;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replays_the_current_record_and_drops_earlier_ones() {
        let text: Vec<u8> = (0..600_000u32).map(|n| (n % 251) as u8).collect();
        let mut reader = ReplayReader::new(text.as_slice());
        let mut chunk = vec![0; 300_000];
        reader.read_exact(&mut chunk).await.expect("first half");
        reader.mark(290_000);
        assert_eq!(reader.since_mark(300_000), &text[290_000..300_000]);
        reader.rewind(290_005);
        let mut remainder = Vec::new();
        reader
            .read_to_end(&mut remainder)
            .await
            .expect("the remainder");
        assert_eq!(remainder, &text[290_005..]);
        assert!(reader.buffer.len() <= 600_000 - 290_000);
    }

    #[tokio::test]
    async fn skips_a_line_of_any_length_without_buffering_it() {
        let mut text = b"start".to_vec();
        text.extend(vec![b'x'; 5 * MAX_RECORD_BYTES as usize]);
        text.extend_from_slice(b"\nnext");
        let mut reader = ReplayReader::new(text.as_slice());
        let next_line = reader.skip_line(0).await.expect("skipped");
        assert_eq!(next_line as usize, text.len() - 4);
        assert!(reader.buffer.len() < 2 * COMPACT_THRESHOLD_BYTES);
        let mut remainder = String::new();
        reader.read_to_string(&mut remainder).await.expect("text");
        assert_eq!(remainder, "next");
    }
}
