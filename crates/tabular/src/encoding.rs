//! Which encoding a file is in, and its bytes as UTF-8.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes taken from below, and given upwards, at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// What a sample of a file says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DetectedEncoding {
    /// This one.
    Known(&'static Encoding),
    /// Nothing but ASCII so far: UTF-8 or, if that turns out wrong, windows-1252.
    AsciiOnly,
}

/// The encoding of that name, as browsers know it; `None` where there is none, or none that can hold a table.
pub fn for_label(name: &str) -> Option<&'static Encoding> {
    Encoding::for_label(name.as_bytes())
        .filter(|&found| found != encoding_rs::REPLACEMENT && found != encoding_rs::X_USER_DEFINED)
}

/// Looks at the first bytes of a file; `domain` is a hint where several legacy encodings would do.
pub fn detect(sample: &[u8], whole: bool, domain: Option<&str>) -> DetectedEncoding {
    if let Some((encoding, _)) = Encoding::for_bom(sample) {
        return DetectedEncoding::Known(encoding);
    }
    if let Some(encoding) = detect_utf16_without_bom(sample) {
        return DetectedEncoding::Known(encoding);
    }
    if sample.is_ascii() {
        return DetectedEncoding::AsciiOnly;
    }
    match std::str::from_utf8(sample) {
        Ok(_) => return DetectedEncoding::Known(UTF_8),
        // A character cut by the sample's end.
        Err(error) if !whole && error.error_len().is_none() => {
            return DetectedEncoding::Known(UTF_8);
        }
        Err(_) => {}
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, whole);
    let domain = domain
        .map(str::as_bytes)
        .filter(|domain| domain.iter().all(u8::is_ascii_lowercase));
    let guess = detector.guess(domain, Utf8Detection::Deny);
    // Mostly UTF-8 with a damaged character: its rows are told, the others go.
    DetectedEncoding::Known(if is_mostly_utf8(sample) { UTF_8 } else { guess })
}

/// Text in UTF-16 has a zero in one half of most pairs: in the second of little endian, the first of big endian.
fn detect_utf16_without_bom(sample: &[u8]) -> Option<&'static Encoding> {
    let pairs = sample.len() / 2;
    let zeros = |offset: usize| {
        sample
            .iter()
            .skip(offset)
            .step_by(2)
            .take(pairs)
            .filter(|&&b| b == 0)
            .count()
    };
    let (first, second) = (zeros(0), zeros(1));
    match () {
        () if pairs == 0 => None,
        () if second * 4 > pairs && first * 16 <= pairs => Some(UTF_16LE),
        () if first * 4 > pairs && second * 16 <= pairs => Some(UTF_16BE),
        () => None,
    }
}

/// Whether characters of several bytes are right nearly everywhere: no legacy text looks so.
fn is_mostly_utf8(mut sample: &[u8]) -> bool {
    let (mut right, mut wrong) = (0usize, 0usize);
    loop {
        let (valid, rest) = match std::str::from_utf8(sample) {
            Ok(text) => (text, None),
            Err(error) => {
                let (valid, rest) = sample.split_at(error.valid_up_to());
                let skip = error.error_len().unwrap_or(rest.len());
                (
                    std::str::from_utf8(valid).unwrap_or_default(),
                    Some(&rest[skip..]),
                )
            }
        };
        right += valid.chars().filter(|c| !c.is_ascii()).count();
        match rest {
            None => return right > wrong,
            Some(rest) => {
                wrong += 1;
                sample = rest;
            }
        }
    }
}

/// One cell in windows-1252, which has no wrong bytes.
pub(crate) fn decode_windows_1252(cell: &[u8]) -> String {
    WINDOWS_1252
        .decode_without_bom_handling(cell)
        .0
        .into_owned()
}

/// Bytes of any encoding, given as UTF-8; wrong ones come out as U+FFFD.
pub(crate) struct Utf8Reader<R> {
    inner: R,
    decoder: Decoder,
    raw: Vec<u8>,
    raw_at: usize,
    text: Vec<u8>,
    text_at: usize,
    ended: bool,
}

impl<R> Utf8Reader<R> {
    pub(crate) fn new(inner: R, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
            raw: Vec::with_capacity(CHUNK_BYTES),
            raw_at: 0,
            text: vec![0; 3 * CHUNK_BYTES],
            text_at: 3 * CHUNK_BYTES,
            ended: false,
        }
    }

    fn decode(&mut self, last: bool) -> bool {
        self.text.resize(3 * CHUNK_BYTES, 0);
        let (result, read, written, _) =
            self.decoder
                .decode_to_utf8(&self.raw[self.raw_at..], &mut self.text, last);
        self.raw_at += read;
        self.text.truncate(written);
        self.text_at = 0;
        result == CoderResult::InputEmpty
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
            if this.text_at < this.text.len() {
                let given = (this.text.len() - this.text_at).min(buffer.remaining());
                buffer.put_slice(&this.text[this.text_at..this.text_at + given]);
                this.text_at += given;
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            if this.raw_at == this.raw.len() {
                this.raw.resize(CHUNK_BYTES, 0);
                let mut chunk = ReadBuf::new(&mut this.raw);
                let polled = Pin::new(&mut this.inner).poll_read(cx, &mut chunk);
                let read = chunk.filled().len();
                this.raw.truncate(read);
                this.raw_at = 0;
                ready!(polled)?;
                if read == 0 {
                    this.ended = this.decode(true);
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
    use encoding_rs::{SHIFT_JIS, WINDOWS_1251};
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    #[test]
    fn what_spreadsheets_write_is_told_apart() {
        let utf16 =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let (latin, ..) =
            WINDOWS_1252.encode("phone;name\n+5511987654321;José\n+34612345678;Nuño – “x”\n");
        let (cyrillic, ..) =
            WINDOWS_1251.encode("телефон;имя\n+79161234567;Наталья\n+79161234568;Алексей\n");
        let (japanese, ..) =
            SHIFT_JIS.encode("電話,名前\n+819012345678,田中さくら\n+819012345679,鈴木いちろう\n");
        let cases: [(&[u8], DetectedEncoding); 9] = [
            (b"phone,name\n", DetectedEncoding::AsciiOnly),
            (
                "phone,name\n1,José\n".as_bytes(),
                DetectedEncoding::Known(UTF_8),
            ),
            (b"\xef\xbb\xbfphone", DetectedEncoding::Known(UTF_8)),
            (
                &utf16("phone\tname\n+5511987654321\tAna\n"),
                DetectedEncoding::Known(UTF_16LE),
            ),
            (b"\xfe\xff\0p\0h", DetectedEncoding::Known(UTF_16BE)),
            (b"\0p\0h\0o\0n\0e\0,\0n", DetectedEncoding::Known(UTF_16BE)),
            (&latin, DetectedEncoding::Known(WINDOWS_1252)),
            (&cyrillic, DetectedEncoding::Known(WINDOWS_1251)),
            (&japanese, DetectedEncoding::Known(SHIFT_JIS)),
        ];
        for (sample, expected) in cases {
            assert_eq!(
                detect(sample, true, None),
                expected,
                "{}",
                String::from_utf8_lossy(sample)
            );
        }
    }

    #[test]
    fn one_accent_is_enough() {
        for text in ["José", "Zoë", "Müller", "Åsa", "Conceição", "Núñez"] {
            let sample = format!("phone,name\n+5511987654321,{text}\n");
            let (bytes, ..) = WINDOWS_1252.encode(&sample);
            assert_eq!(
                detect(&bytes, true, None),
                DetectedEncoding::Known(WINDOWS_1252),
                "{text}"
            );
        }
    }

    #[test]
    fn a_cut_or_damaged_character_does_not_make_it_another_encoding() {
        let text = "phone,name\n1,José\n2,Zoë\n3,Åsa\n4,Núñez\n5,Müller".as_bytes();
        let cut = text.iter().position(|b| !b.is_ascii()).expect("an accent") + 1;
        assert_eq!(
            detect(&text[..cut], false, None),
            DetectedEncoding::Known(UTF_8)
        );
        let damaged = [text, b"\n6,\xe9x\n"].concat();
        assert_eq!(detect(&damaged, true, None), DetectedEncoding::Known(UTF_8));
    }

    #[test]
    fn names_are_those_of_browsers() {
        assert_eq!(for_label("latin1"), Some(WINDOWS_1252));
        assert_eq!(for_label("UTF-16"), Some(UTF_16LE));
        assert_eq!(for_label("klingon"), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_out_as_it_went_in(text in "[ -~éüñßЖ田\n]{0,200}", chunk in 1usize..64) {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let back = runtime.block_on(async {
                let mut reader = Utf8Reader::new(bytes.as_slice(), UTF_16LE);
                let mut back = Vec::new();
                let mut buffer = vec![0; chunk];
                loop {
                    match reader.read(&mut buffer).await.expect("read") {
                        0 => break back,
                        read => back.extend_from_slice(&buffer[..read]),
                    }
                }
            });
            prop_assert_eq!(String::from_utf8(back).expect("text"), text);
        }
    }
}
