//! Which delimiter a file uses: told by a `sep=` line, else seen in its first records.

use csv_async::AsyncReaderBuilder;

/// Those that are looked for, the likeliest first.
const CANDIDATES: [u8; 4] = *b",;\t|";

/// Records that are looked at.
const SAMPLE_RECORDS: usize = 50;

/// Spreadsheets write the delimiter into the first line where it may be in doubt; gives it, and the line's length.
pub fn parse_sep_line(text: &str) -> Option<(u8, usize)> {
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    let line = text[..end].trim_matches('"');
    let sep = line
        .get(..4)
        .filter(|start| start.eq_ignore_ascii_case("sep="))?;
    let &[delimiter] = &line.as_bytes()[sep.len()..] else {
        return None;
    };
    let usable = delimiter.is_ascii() && !matches!(delimiter, b'"' | b'\r' | b'\n');
    let after = match text.as_bytes().get(end..) {
        Some([b'\r', b'\n', ..]) => end + 2,
        Some([_, ..]) => end + 1,
        Some([]) | None => end,
    };
    usable.then_some((delimiter, after))
}

/// The delimiter under which the first records of `text` are most alike; `whole` where nothing follows. A comma where
/// there is but one column.
pub async fn detect_delimiter(text: &str, whole: bool) -> u8 {
    let mut best = (b',', Fit::default());
    for candidate in CANDIDATES {
        let fit = measure_fit(text, whole, candidate).await;
        if fit > best.1 {
            best = (candidate, fit);
        }
    }
    best.0
}

/// How well a delimiter fits; greater is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
struct Fit {
    /// The header has a column that is called like a phone's.
    has_phone_header: bool,
    /// Share of records as wide as the header, where that has several columns.
    equal_width_share: f32,
    width: usize,
}

async fn measure_fit(text: &str, whole: bool, delimiter: u8) -> Fit {
    let mut reader = AsyncReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .create_reader(text.as_bytes());
    let mut records = Vec::new();
    let mut record = csv_async::ByteRecord::new();
    while records.len() < SAMPLE_RECORDS
        && reader.read_byte_record(&mut record).await.unwrap_or(false)
    {
        if record.iter().any(|cell| !cell.trim_ascii().is_empty()) {
            records.push((record.len(), has_phone_like_cell(&record)));
        }
    }
    if !whole && records.len() < SAMPLE_RECORDS {
        records.pop();
    }
    let Some(((width, phone), rows)) = records.split_first().map(|(first, rows)| (*first, rows))
    else {
        return Fit::default();
    };
    if width < 2 {
        return Fit::default();
    }
    let alike = rows.iter().filter(|(other, _)| *other == width).count();
    Fit {
        has_phone_header: phone,
        equal_width_share: (alike + 1) as f32 / (rows.len() + 1) as f32,
        width,
    }
}

/// A short cell that speaks of a phone: evidence of a delimiter, not yet the choice of the column.
fn has_phone_like_cell(record: &csv_async::ByteRecord) -> bool {
    const WORDS: [&str; 11] = [
        "phone", "mobile", "number", "whatsapp", "tel", "cel", "handy", "móvil", "movil", "fone",
        "msisdn",
    ];
    record.iter().any(|cell| {
        let name = String::from_utf8_lossy(cell).to_lowercase();
        name.len() <= 24
            && name
                .split([' ', '_', '-', '.'])
                .any(|word| WORDS.iter().any(|known| word.starts_with(known)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_delimiter_is_seen() {
        let cases = [
            ("phone,name\n1,Ana\n", b','),
            ("phone;name\n1;Silva, Ana\n2;Lee, Bo\n", b';'),
            ("name, full;phone\nSilva, Ana;1\n", b';'),
            ("phone\tname\n1\tAna; Eve\n", b'\t'),
            ("phone|name|city\n1|Ana|a,b\n", b'|'),
            ("phone\n1\n2\n", b','),
            ("a;b,c\n1;2\n3;4\n", b';'),
            ("\"phone;x\",name\n1,2\n", b','),
            ("phone;note\n1;\"a, b\nc, d\"\n", b';'),
            ("", b','),
        ];
        for (text, expected) in cases {
            assert_eq!(
                detect_delimiter(text, true).await as char,
                expected as char,
                "{text}"
            );
        }
    }

    #[test]
    fn a_sep_line_is_taken_at_its_word() {
        assert_eq!(parse_sep_line("sep=;\r\na;b"), Some((b';', 7)));
        assert_eq!(parse_sep_line("\"sep=,\"\na,b"), Some((b',', 8)));
        assert_eq!(parse_sep_line("SEP=\t\rx"), Some((b'\t', 6)));
        for text in ["sep=", "sep=;;\n", "separate;b\n", "phone\n", "", "sé=;"] {
            assert_eq!(parse_sep_line(text), None, "{text}");
        }
    }
}
