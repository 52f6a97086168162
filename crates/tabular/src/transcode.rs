//! Converts a stream of bytes in any encoding to UTF-8.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use encoding_rs::{CoderResult, Decoder, Encoding};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes read from the inner reader at a time.
const INPUT_BYTES: usize = 16 * 1024;

/// Room for decoded text: a byte of a legacy encoding takes up to three bytes in UTF-8.
const OUTPUT_BYTES: usize = 3 * INPUT_BYTES;

/// Gives the bytes of `inner` as UTF-8; invalid ones become U+FFFD. A byte order mark is removed.
pub(crate) struct Utf8Reader<R> {
    inner: R,
    decoder: Decoder,
    input: Vec<u8>,
    input_position: usize,
    output: Vec<u8>,
    output_position: usize,
    is_finished: bool,
}

impl<R> Utf8Reader<R> {
    pub(crate) fn new(inner: R, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
            input: Vec::with_capacity(INPUT_BYTES),
            input_position: 0,
            output: Vec::with_capacity(OUTPUT_BYTES),
            output_position: 0,
            is_finished: false,
        }
    }

    /// Decodes input until it is used up or the output is full; `is_last` if no further input follows.
    /// Returns whether all input is decoded.
    fn decode(&mut self, is_last: bool) -> bool {
        self.output.resize(OUTPUT_BYTES, 0);
        let input = &self.input[self.input_position..];
        let (result, read, written, _) =
            self.decoder
                .decode_to_utf8(input, &mut self.output, is_last);
        self.input_position += read;
        self.output.truncate(written);
        self.output_position = 0;
        result == CoderResult::InputEmpty
    }
}

impl<R: AsyncRead + Unpin> Utf8Reader<R> {
    /// Reads input from the inner reader; none at its end.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.resize(INPUT_BYTES, 0);
        let mut buffer = ReadBuf::new(&mut self.input);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut buffer);
        let length = buffer.filled().len();
        self.input.truncate(length);
        self.input_position = 0;
        polled
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Utf8Reader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let decoded = &this.output[this.output_position..];
            if !decoded.is_empty() {
                let length = decoded.len().min(buffer.remaining());
                buffer.put_slice(&decoded[..length]);
                this.output_position += length;
                return Poll::Ready(Ok(()));
            }
            if this.is_finished {
                return Poll::Ready(Ok(()));
            }
            if this.input_position == this.input.len() {
                ready!(this.poll_input(cx))?;
                if this.input.is_empty() {
                    this.is_finished = this.decode(true);
                    continue;
                }
            }
            this.decode(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::UTF_16LE;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    proptest! {
        #[test]
        fn preserves_any_text(text in "[ -~éüñßЖ田\n]{0,200}", chunk in 1usize..64) {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let decoded = runtime.block_on(async {
                let mut reader = Utf8Reader::new(bytes.as_slice(), UTF_16LE);
                let mut decoded = Vec::new();
                let mut buffer = vec![0; chunk];
                loop {
                    match reader.read(&mut buffer).await.expect("read") {
                        0 => break decoded,
                        length => decoded.extend_from_slice(&buffer[..length]),
                    }
                }
            });
            prop_assert_eq!(String::from_utf8(decoded).expect("text"), text);
        }
    }
}
