//! Any table in any dialect gives what it gives as plain CSV.

use campaign::lifecycle::campaign::ImportOptions;
use proptest::prelude::*;
use serde_json::json;

use super::case::Expected;
use super::encode::{gzip, to_utf16, to_windows_1252, workbook_of_cells};
use super::read::{campaign_with, read_file};

/// How a table may be written.
#[derive(Clone, Debug)]
struct Dialect {
    delimiter: char,
    line_end: &'static str,
    quote_all: bool,
    blank_lines: bool,
    trailing: bool,
    sep_line: bool,
    encoding: u8,
    gzip: bool,
}

fn any_dialect() -> impl Strategy<Value = Dialect> {
    let line_end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    let delimiter = prop::sample::select(vec![',', ';', '\t', '|']);
    (delimiter, line_end, any::<[bool; 5]>(), 0u8..8).prop_map(
        |(delimiter, line_end, flags, encoding)| Dialect {
            delimiter,
            line_end,
            quote_all: flags[0],
            blank_lines: flags[1],
            trailing: flags[2],
            sep_line: flags[3],
            gzip: flags[4],
            encoding,
        },
    )
}

/// Rows of a name and a number. Some of the numbers are invalid.
fn any_rows() -> impl Strategy<Value = Vec<(String, String)>> {
    let words = vec![
        "Ana",
        "José",
        "Zoë",
        "Müller",
        "Conceição",
        "Núñez",
        "Åsa",
        "O'Neill",
        "Silva, Ana",
        "a;b",
        "x|y",
        "tab\there",
        "two\nlines",
        "\"the\" boss",
        "5\" pipe",
        "=1+1",
        " spaced ",
    ];
    let name =
        prop::collection::vec(prop::sample::select(words), 0..3).prop_map(|words| words.join(" "));
    let phone = prop_oneof![
        8 => (0u32..100_000_000).prop_map(|n| format!("+55119{n:08}")),
        1 => (0u32..10_000_000).prop_map(|n| format!("+34 61 {n:07}")),
        1 => prop::sample::select(vec!["n/a", "", "5.5E+11", "+1 / +2", "12"]).prop_map(str::to_owned),
    ];
    prop::collection::vec((name, phone), 1..20)
}

/// A table as a file: the header, then the rows.
fn write_table(rows: &[(String, String)], dialect: &Dialect) -> Vec<u8> {
    let mut text = String::new();
    if dialect.sep_line {
        text.push_str(&format!("sep={}{}", dialect.delimiter, dialect.line_end));
    }
    text.push_str(&dialect.line("name", "phone"));
    for (name, phone) in rows {
        if dialect.blank_lines {
            text.push_str(dialect.line_end);
        }
        text.push_str(&dialect.line(name, phone));
    }
    let bytes = dialect.encode(&text);
    if dialect.gzip { gzip(&bytes) } else { bytes }
}

impl Dialect {
    fn line(&self, name: &str, phone: &str) -> String {
        let (name, phone, delimiter) = (self.cell(name), self.cell(phone), self.delimiter);
        let trailing = self.trailing.then_some(delimiter).map(String::from);
        let trailing = trailing.unwrap_or_default();
        format!("{name}{delimiter}{phone}{trailing}{}", self.line_end)
    }

    fn cell(&self, cell: &str) -> String {
        if self.quote_all || cell.contains([self.delimiter, '"', '\n', '\r', '\t']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    }

    fn encode(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            0 | 1 => text.into(),
            2 => format!("\u{feff}{text}").into_bytes(),
            3 => to_utf16(text, u16::to_le_bytes, true),
            4 => to_utf16(text, u16::to_be_bytes, true),
            5 => to_utf16(text, u16::to_le_bytes, false),
            6 => to_utf16(text, u16::to_be_bytes, false),
            _ => to_windows_1252(text),
        }
    }
}

/// The plainest dialect: commas, UTF-8.
const PLAIN: Dialect = Dialect {
    delimiter: ',',
    line_end: "\n",
    quote_all: false,
    blank_lines: false,
    trailing: false,
    sep_line: false,
    encoding: 0,
    gzip: false,
};

/// A table as a workbook.
fn write_workbook(rows: &[(String, String)]) -> Vec<u8> {
    let rows = rows
        .iter()
        .map(|(name, phone)| [name.as_str(), phone.as_str()]);
    let all: Vec<[&str; 2]> = std::iter::once(["name", "phone"]).chain(rows).collect();
    workbook_of_cells(&all.iter().map(<[&str; 2]>::as_slice).collect::<Vec<_>>())
}

/// What a file gives, without the format it is in.
fn read_rows(bytes: Vec<u8>) -> Expected {
    let message = json!({"type": "text", "text": {"body": "Hi {{name}}"}});
    let campaign = campaign_with(&message, &ImportOptions::default());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).build().unwrap();
    Expected {
        read_as: String::new(),
        ..runtime.block_on(read_file(bytes, &campaign))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_dialect_gives_the_same_recipients_as_plain_csv(
        rows in any_rows(),
        dialect in any_dialect(),
        workbook: bool,
    ) {
        let other = if workbook { write_workbook(&rows) } else { write_table(&rows, &dialect) };
        let expected = read_rows(write_table(&rows, &PLAIN));
        prop_assert_eq!(read_rows(other), expected);
    }
}
