//! A reader that remembers the record it is in, so that a record can be read again in another way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// The most bytes of one record: an open quotation mark must not take the rest of the file into memory.
pub(crate) const MAX_RECORD: u64 = 1024 * 1024;

/// Forgotten bytes are dropped when there are this many, not one by one.
const DROP_AT: usize = 256 * 1024;

/// One record had more than [`MAX_RECORD`] bytes.
#[derive(Debug, thiserror::Error)]
#[error("a record without an end")]
pub(crate) struct Endless;

/// Passes bytes on and keeps those since the mark.
pub(crate) struct Tape<R> {
    inner: R,
    kept: Vec<u8>,
    /// Offset in the text of `kept[0]`.
    kept_from: u64,
    /// Offset of the next byte to give.
    at: u64,
    /// Where the record under way begins.
    mark: u64,
}

impl<R: AsyncRead + Unpin> Tape<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            kept: Vec::new(),
            kept_from: 0,
            at: 0,
            mark: 0,
        }
    }

    /// A record begins at this offset; what is before it is no longer needed.
    pub(crate) fn mark(&mut self, offset: u64) {
        self.mark = offset;
        let superfluous = (offset - self.kept_from) as usize;
        if superfluous >= DROP_AT {
            self.kept.drain(..superfluous);
            self.kept_from = offset;
        }
    }

    /// The bytes from the mark to `end`.
    pub(crate) fn since_mark(&self, end: u64) -> &[u8] {
        let from = (self.mark - self.kept_from) as usize;
        let to = ((end - self.kept_from) as usize).min(self.kept.len());
        &self.kept[from..to]
    }

    /// Everything kept from the mark on.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.kept[(self.mark - self.kept_from) as usize..]
    }

    /// Gives the bytes from `offset` on again; it must not be before the mark.
    pub(crate) fn rewind(&mut self, offset: u64) {
        self.at = offset;
        self.mark(offset);
    }

    /// Goes past the end of the line that `offset` is in, whatever its length; gives the offset after it.
    pub(crate) async fn skip_line(&mut self, offset: u64) -> io::Result<u64> {
        use tokio::io::AsyncReadExt;
        self.rewind(offset);
        let mut chunk = vec![0; 16 * 1024];
        loop {
            self.mark = self.at;
            let before = self.at;
            let read = self.read(&mut chunk).await?;
            let end = chunk[..read].iter().position(|&b| b == b'\n' || b == b'\r');
            match end {
                Some(end) => {
                    let after = before + end as u64 + 1;
                    self.rewind(after);
                    return Ok(after);
                }
                None if read == 0 => return Ok(before),
                None => self.mark(self.at),
            }
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Tape<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.at > this.mark + MAX_RECORD {
            return Poll::Ready(Err(io::Error::other(Endless)));
        }
        let known = (this.at - this.kept_from) as usize;
        if known < this.kept.len() {
            let again = (this.kept.len() - known).min(buffer.remaining());
            buffer.put_slice(&this.kept[known..known + again]);
            this.at += again as u64;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        this.kept.extend_from_slice(read);
        this.at += read.len() as u64;
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
        let mut tape = Tape::new(text.as_slice());
        let mut chunk = vec![0; 300_000];
        tape.read_exact(&mut chunk).await.expect("first half");
        tape.mark(290_000);
        assert_eq!(tape.since_mark(300_000), &text[290_000..300_000]);
        tape.rewind(290_005);
        let mut rest = Vec::new();
        tape.read_to_end(&mut rest).await.expect("the rest");
        assert_eq!(rest, &text[290_005..]);
        assert!(tape.kept.len() <= 600_000 - 290_000);
    }

    #[tokio::test]
    async fn a_line_of_any_length_is_skipped_without_keeping_it() {
        let mut text = b"start".to_vec();
        text.extend(vec![b'x'; 5 * MAX_RECORD as usize]);
        text.extend_from_slice(b"\nnext");
        let mut tape = Tape::new(text.as_slice());
        let after = tape.skip_line(0).await.expect("skipped");
        assert_eq!(after as usize, text.len() - 4);
        assert!(tape.kept.len() < 2 * DROP_AT);
        let mut rest = String::new();
        tape.read_to_string(&mut rest).await.expect("text");
        assert_eq!(rest, "next");
    }
}
