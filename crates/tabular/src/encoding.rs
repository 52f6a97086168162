//! Detects the encoding of a file.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// What the first bytes of a file say about its encoding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DetectedEncoding {
    /// This encoding.
    Known(&'static Encoding),
    /// All bytes are ASCII: the encoding is UTF-8 or, if a later byte contradicts that, windows-1252.
    AsciiOnly,
}

/// The encoding with this label, as browsers know it. `None` if there is none, or if it cannot hold a table.
pub fn for_label(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.as_bytes()).filter(|&encoding| {
        encoding != encoding_rs::REPLACEMENT && encoding != encoding_rs::X_USER_DEFINED
    })
}

/// Detects the encoding from the first bytes of a file; `is_whole_file` if no bytes follow.
/// `top_level_domain` decides between legacy encodings that fit equally well.
pub fn detect(
    sample: &[u8],
    is_whole_file: bool,
    top_level_domain: Option<&str>,
) -> DetectedEncoding {
    let marked = Encoding::for_bom(sample).map(|(encoding, _)| encoding);
    if let Some(encoding) = marked.or_else(|| detect_utf16_without_bom(sample)) {
        return DetectedEncoding::Known(encoding);
    }
    if sample.is_ascii() {
        return DetectedEncoding::AsciiOnly;
    }
    if is_utf8(sample, is_whole_file) || is_mostly_utf8(sample) {
        return DetectedEncoding::Known(UTF_8);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, is_whole_file);
    // chardetng panics on anything but lowercase ASCII.
    let domain = top_level_domain
        .map(str::as_bytes)
        .filter(|domain| domain.iter().all(u8::is_ascii_lowercase));
    DetectedEncoding::Known(detector.guess(domain, Utf8Detection::Deny))
}

/// Text in UTF-16 has a zero byte in most pairs: the second one in little endian, the first one in big endian.
fn detect_utf16_without_bom(sample: &[u8]) -> Option<&'static Encoding> {
    let pairs = sample.len() / 2;
    let count_zeros = |offset: usize| {
        let bytes = sample.iter().skip(offset).step_by(2).take(pairs);
        bytes.filter(|&&byte| byte == 0).count()
    };
    let (first, second) = (count_zeros(0), count_zeros(1));
    let is_common = |zeros: usize| zeros * 4 > pairs;
    let is_rare = |zeros: usize| zeros * 16 <= pairs;
    if pairs == 0 {
        None
    } else if is_common(second) && is_rare(first) {
        Some(UTF_16LE)
    } else if is_common(first) && is_rare(second) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Whether the sample is valid UTF-8; its end may cut a character.
fn is_utf8(sample: &[u8], is_whole_file: bool) -> bool {
    match std::str::from_utf8(sample) {
        Ok(_) => true,
        Err(error) => !is_whole_file && error.error_len().is_none(),
    }
}

/// Whether most multi-byte characters are valid UTF-8, which never happens in a legacy encoding. Such a file
/// is UTF-8 with damaged characters: only the rows that contain them are rejected.
fn is_mostly_utf8(sample: &[u8]) -> bool {
    let (mut valid, mut invalid) = (0usize, 0usize);
    for chunk in sample.utf8_chunks() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    valid > invalid
}

/// Decodes one cell as windows-1252, in which every byte is a character.
pub(crate) fn decode_windows_1252(cell: &[u8]) -> String {
    WINDOWS_1252
        .decode_without_bom_handling(cell)
        .0
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{SHIFT_JIS, WINDOWS_1251};

    #[test]
    fn detects_what_spreadsheets_write() {
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
    fn one_accent_suffices_to_detect_windows_1252() {
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
    fn utf8_with_a_cut_or_damaged_character_is_still_utf8() {
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
    fn labels_are_those_of_browsers() {
        assert_eq!(for_label("latin1"), Some(WINDOWS_1252));
        assert_eq!(for_label("UTF-16"), Some(UTF_16LE));
        assert_eq!(for_label("klingon"), None);
    }
}
