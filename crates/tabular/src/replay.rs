//! A reader that remembers the record it is in, so that a record can be read again in another way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// The most bytes of one record: an open quotation mark must not take the rest of the file into memory.
pub(crate) const MAX_RECORD_BYTES: u64 = 1024 * 1024;

/// Forgotten bytes are dropped when there are this many, not one by one.
const COMPACT_THRESHOLD_BYTES: usize = 256 * 1024;

/// One record had more than [`MAX_RECORD`] bytes.
#[derive(Debug, thiserror::Error)]
#[error("a record without an end")]
pub(crate) struct RecordTooLong;

/// Passes bytes on and keeps those since the mark.
pub(crate) struct ReplayReader<R> {
    inner: R,
    buffer: Vec<u8>,
    /// Offset in the text of `kept[0]`.
    buffer_start: u64,
    /// Offset of the next byte to give.
    position: u64,
    /// Where the record under way begins.
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

    /// A record begins at this offset; what is before it is no longer needed.
    pub(crate) fn mark(&mut self, offset: u64) {
        self.mark = offset;
        let superfluous = (offset - self.buffer_start) as usize;
        if superfluous >= COMPACT_THRESHOLD_BYTES {
            self.buffer.drain(..superfluous);
            self.buffer_start = offset;
        }
    }

    /// The bytes from the mark to `end`.
    pub(crate) fn since_mark(&self, end: u64) -> &[u8] {
        let from = (self.mark - self.buffer_start) as usize;
        let to = ((end - self.buffer_start) as usize).min(self.buffer.len());
        &self.buffer[from..to]
    }

    /// Everything kept from the mark on.
    pub(crate) fn from_mark(&self) -> &[u8] {
        &self.buffer[(self.mark - self.buffer_start) as usize..]
    }

    /// Gives the bytes from `offset` on again; it must not be before the mark.
    pub(crate) fn rewind(&mut self, offset: u64) {
        self.position = offset;
        self.mark(offset);
    }

    /// Goes past the end of the line that `offset` is in, whatever its length; gives the offset after it.
    pub(crate) async fn skip_line(&mut self, offset: u64) -> io::Result<u64> {
        use tokio::io::AsyncReadExt;
        self.rewind(offset);
        let mut chunk = vec![0; 16 * 1024];
        loop {
            self.mark = self.position;
            let before = self.position;
            let read = self.read(&mut chunk).await?;
            let end = chunk[..read].iter().position(|&b| b == b'\n' || b == b'\r');
            match end {
                Some(end) => {
                    let after = before + end as u64 + 1;
                    self.rewind(after);
                    return Ok(after);
                }
                None if read == 0 => return Ok(before),
                None => self.mark(self.position),
            }
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for ReplayReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.position > this.mark + MAX_RECORD_BYTES {
            return Poll::Ready(Err(io::Error::other(RecordTooLong)));
        }
        let known = (this.position - this.buffer_start) as usize;
        if known < this.buffer.len() {
            let again = (this.buffer.len() - known).min(buffer.remaining());
            buffer.put_slice(&this.buffer[known..known + again]);
            this.position += again as u64;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        this.buffer.extend_from_slice(read);
        this.position += read.len() as u64;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_record_can_be_read_again_and_no_earlier_one() {
        let text: Vec<u8> = (0..600_000u32).map(|n| (n % 251) as u8).collect();
        let mut tape = ReplayReader::new(text.as_slice());
        let mut chunk = vec![0; 300_000];
        tape.read_exact(&mut chunk).await.expect("first half");
        tape.mark(290_000);
        assert_eq!(tape.since_mark(300_000), &text[290_000..300_000]);
        tape.rewind(290_005);
        let mut rest = Vec::new();
        tape.read_to_end(&mut rest).await.expect("the rest");
        assert_eq!(rest, &text[290_005..]);
        assert!(tape.buffer.len() <= 600_000 - 290_000);
    }

    #[tokio::test]
    async fn a_line_of_any_length_is_skipped_without_keeping_it() {
        let mut text = b"start".to_vec();
        text.extend(vec![b'x'; 5 * MAX_RECORD_BYTES as usize]);
        text.extend_from_slice(b"\nnext");
        let mut tape = ReplayReader::new(text.as_slice());
        let after = tape.skip_line(0).await.expect("skipped");
        assert_eq!(after as usize, text.len() - 4);
        assert!(tape.buffer.len() < 2 * COMPACT_THRESHOLD_BYTES);
        let mut rest = String::new();
        tape.read_to_string(&mut rest).await.expect("text");
        assert_eq!(rest, "next");
    }
}
