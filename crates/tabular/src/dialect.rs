//! Detects the delimiter of a CSV file.

use csv_async::{AsyncReaderBuilder, ByteRecord};

/// The delimiters that are tried, the most likely first.
const CANDIDATES: [u8; 4] = *b",;\t|";

/// How many records are compared.
const SAMPLE_RECORDS: usize = 50;

/// The most bytes of a cell that counts as a column name.
const MAX_NAME_BYTES: usize = 24;

/// Beginnings of words in column names that speak of a phone.
const PHONE_WORDS: [&str; 11] = [
    "phone", "mobile", "number", "whatsapp", "tel", "cel", "handy", "móvil", "movil", "fone",
    "msisdn",
];

/// Reads a first line such as `sep=;`, by which spreadsheets state the delimiter. Returns the delimiter and
/// the length of the line in bytes, its ending included.
pub fn parse_sep_line(text: &str) -> Option<(u8, usize)> {
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    let line = text[..end].trim_matches('"');
    let prefix = line
        .get(..4)
        .filter(|prefix| prefix.eq_ignore_ascii_case("sep="))?;
    let &[delimiter] = &line.as_bytes()[prefix.len()..] else {
        return None;
    };
    if !delimiter.is_ascii() || delimiter == b'"' {
        return None;
    }
    let line_ending = match &text.as_bytes()[end..] {
        [b'\r', b'\n', ..] => 2,
        [_, ..] => 1,
        [] => 0,
    };
    Some((delimiter, end + line_ending))
}

/// The delimiter that splits the first records of `text` most evenly; a comma if there is only one column.
/// `is_whole_file` if nothing follows `text`.
pub async fn detect_delimiter(text: &str, is_whole_file: bool) -> u8 {
    let mut best = (b',', Fit::default());
    for candidate in CANDIDATES {
        let fit = measure_fit(text, is_whole_file, candidate).await;
        if fit > best.1 {
            best = (candidate, fit);
        }
    }
    best.0
}

/// How well a delimiter fits. Fields are compared in their order, and greater is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
struct Fit {
    has_phone_header: bool,
    /// The share of records that have as many cells as the header.
    equal_width_share: f32,
    width: usize,
}

async fn measure_fit(text: &str, is_whole_file: bool, delimiter: u8) -> Fit {
    let mut reader = AsyncReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .create_reader(text.as_bytes());
    let mut widths = Vec::new();
    let mut has_phone_header = false;
    let mut record = ByteRecord::new();
    while widths.len() < SAMPLE_RECORDS
        && reader.read_byte_record(&mut record).await.unwrap_or(false)
    {
        if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
            continue;
        }
        if widths.is_empty() {
            has_phone_header = has_phone_like_cell(&record);
        }
        widths.push(record.len());
    }
    if !is_whole_file && widths.len() < SAMPLE_RECORDS {
        // The sample probably ends in the middle of this record.
        widths.pop();
    }
    let width = widths.first().copied().unwrap_or_default();
    if width < 2 {
        return Fit::default();
    }
    let equal = widths.iter().filter(|&&other| other == width).count();
    Fit {
        has_phone_header,
        equal_width_share: equal as f32 / widths.len() as f32,
        width,
    }
}

/// Whether a short cell speaks of a phone. This only helps to find the delimiter; it does not choose the
/// phone column.
fn has_phone_like_cell(record: &ByteRecord) -> bool {
    record.iter().any(|cell| {
        let name = String::from_utf8_lossy(cell).to_lowercase();
        let mut words = name.split([' ', '_', '-', '.']);
        name.len() <= MAX_NAME_BYTES
            && words.any(|word| PHONE_WORDS.iter().any(|start| word.starts_with(start)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn detects_the_delimiter() {
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
    fn sep_line_states_the_delimiter() {
        assert_eq!(parse_sep_line("sep=;\r\na;b"), Some((b';', 7)));
        assert_eq!(parse_sep_line("\"sep=,\"\na,b"), Some((b',', 8)));
        assert_eq!(parse_sep_line("SEP=\t\rx"), Some((b'\t', 6)));
        for text in ["sep=", "sep=;;\n", "separate;b\n", "phone\n", "", "sé=;"] {
            assert_eq!(parse_sep_line(text), None, "{text}");
        }
    }
}
