//! Files as people export them, each with what becomes of it. The files are in `corpus/`, made by
//! `CRIER_WRITE_CORPUS=1 cargo test -p integration corpus` from what is written here; the fuzzer begins with them, too.

use std::collections::BTreeSet;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use campaign::import::row::{RowVerdict, SeenNumbers};
use campaign::import::value::OnBadValue;
use campaign::lifecycle::campaign::{Campaign, FileInfo, ImportOptions};
use campaign::message::Message;
use encoding_rs::{SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};
use flate2::write::GzEncoder;
use proptest::prelude::*;
use recipients::RecipientReader;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use serde_json::json;

/// A file and what becomes of it.
struct Case {
    file: &'static str,
    bytes: Vec<u8>,
    options: ImportOptions,
    message: serde_json::Value,
    expected: Expected,
}

/// What becomes of a file.
#[derive(Clone, Debug, Default, PartialEq)]
struct Expected {
    /// Recipients: row, number, name.
    recipients: Vec<(u32, String, String)>,
    /// Rejected: row, column, a part of the problem.
    rejected: Vec<(u32, String, String)>,
    duplicates: u64,
    /// `csv` or `xlsx`, encoding, delimiter; empty where it does not matter.
    read_as: String,
    /// Why none of it can be used: a part of the sentence.
    failure: String,
}

fn case(file: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    let message = json!({"type": "text", "text": {"body": "Hi {{name}}"}});
    Case {
        file,
        bytes: bytes.into(),
        options: ImportOptions::default(),
        message,
        expected: Expected::default(),
    }
}

impl Case {
    fn recipient(mut self, row: u32, to: &str, name: &str) -> Self {
        self.expected.recipients.push((row, to.into(), name.into()));
        self
    }

    /// José and Zoë.
    fn jose_and_zoe(self) -> Self {
        self.recipient(1, "+5511987654321", "José")
            .recipient(2, "+34612345678", "Zoë")
    }

    /// Ana, whatever else.
    fn ana(self, row: u32) -> Self {
        self.recipient(row, "+5511987654321", "Ana")
    }

    fn rejected(mut self, row: u32, column: &str, problem: &str) -> Self {
        self.expected
            .rejected
            .push((row, column.into(), problem.into()));
        self
    }

    fn duplicates(mut self, count: u64) -> Self {
        self.expected.duplicates = count;
        self
    }

    fn read_as(mut self, how: &str) -> Self {
        self.expected.read_as = how.into();
        self
    }

    fn fails_with(mut self, sentence: &str) -> Self {
        self.expected.failure = sentence.into();
        self
    }

    fn default_region(mut self, region: &str) -> Self {
        self.options.default_region = Some(region.into());
        self
    }

    fn with_options(mut self, change: impl FnOnce(&mut ImportOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// The name as a template's parameter, where white space is refused.
    fn as_template_parameter(mut self) -> Self {
        self.message = json!({"type": "template", "template": {"name": "t", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}});
        self
    }

    fn text(mut self, body: &str) -> Self {
        self.message = json!({"type": "text", "text": {"body": body}});
        self
    }
}

const JOSE_AND_ZOE: &str = "phone,name\n+5511987654321,José\n+34612345678,Zoë\n";

fn with_semicolons() -> String {
    JOSE_AND_ZOE.replace(',', ";")
}

fn to_utf16(text: &str, order: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
    let mark = if mark { "\u{feff}" } else { "" };
    format!("{mark}{text}")
        .encode_utf16()
        .flat_map(order)
        .collect()
}

fn to_windows_1252(text: &str) -> Vec<u8> {
    let (bytes, _, unmappable) = WINDOWS_1252.encode(text);
    assert!(!unmappable);
    bytes.into_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A workbook whose first sheet `fill` writes.
fn build_workbook(fill: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Vec<u8> {
    let mut book = Workbook::new();
    let created = ExcelDateTime::from_ymd(2026, 11, 22).unwrap();
    book.set_properties(&rust_xlsxwriter::DocProperties::new().set_creation_datetime(&created));
    fill(book.add_worksheet());
    book.add_worksheet().write(0, 0, "not this one").unwrap();
    book.save_to_buffer().unwrap()
}

fn workbook_of_cells(rows: &[&[&str]]) -> Vec<u8> {
    build_workbook(|sheet| {
        for (row, cells) in rows.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                sheet.write(row as u32, column as u16, *cell).unwrap();
            }
        }
    })
}

fn encoding_cases() -> Vec<Case> {
    let late = format!(
        "{}+34612345678,Zo\u{eb}\n",
        "phone,name\n".to_owned() + &"+5511987654321,Ana\n".repeat(4000)
    );
    vec![
        case("utf-8.csv", JOSE_AND_ZOE)
            .jose_and_zoe()
            .read_as("csv UTF-8 ,"),
        case("utf-8-mark.csv", format!("\u{feff}{JOSE_AND_ZOE}"))
            .jose_and_zoe()
            .read_as("csv UTF-8 ,"),
        case(
            "utf-8-mark-quoted-header.csv",
            format!("\u{feff}{}", JOSE_AND_ZOE.replace("phone", "\"phone\"")),
        )
        .jose_and_zoe(),
        case(
            "utf-16le-mark.csv",
            to_utf16(JOSE_AND_ZOE, u16::to_le_bytes, true),
        )
        .jose_and_zoe()
        .read_as("csv UTF-16LE ,"),
        case(
            "utf-16be-mark.csv",
            to_utf16(JOSE_AND_ZOE, u16::to_be_bytes, true),
        )
        .jose_and_zoe()
        .read_as("csv UTF-16BE ,"),
        case(
            "utf-16le-excel-unicode-text.txt",
            to_utf16(&JOSE_AND_ZOE.replace(',', "\t"), u16::to_le_bytes, true),
        )
        .jose_and_zoe()
        .read_as("csv UTF-16LE \t"),
        case(
            "utf-16le.csv",
            to_utf16(JOSE_AND_ZOE, u16::to_le_bytes, false),
        )
        .jose_and_zoe()
        .read_as("csv UTF-16LE ,"),
        case(
            "utf-16be.csv",
            to_utf16(JOSE_AND_ZOE, u16::to_be_bytes, false),
        )
        .jose_and_zoe()
        .read_as("csv UTF-16BE ,"),
        case("windows-1252.csv", to_windows_1252(JOSE_AND_ZOE))
            .jose_and_zoe()
            .read_as("csv windows-1252 ,"),
        case(
            "windows-1252-semicolon-crlf.csv",
            to_windows_1252(&with_semicolons().replace('\n', "\r\n")),
        )
        .jose_and_zoe()
        .read_as("csv windows-1252 ;"),
        case(
            "windows-1252-curly-quotes.csv",
            to_windows_1252("phone,name\n+5511987654321,“Ana” – €5\n"),
        )
        .recipient(1, "+5511987654321", "“Ana” – €5"),
        case("windows-1252-late.csv", to_windows_1252(&late))
            .ana(1)
            .recipient(4001, "+34612345678", "Zoë")
            .duplicates(3999)
            .read_as("csv windows-1252 ,"),
        case(
            "windows-1251.csv",
            WINDOWS_1251
                .encode("phone;name\n+79161234567;Наталья Иванова\n+79161234568;Алексей Петров\n")
                .0
                .into_owned(),
        )
        .recipient(1, "+79161234567", "Наталья Иванова")
        .recipient(2, "+79161234568", "Алексей Петров")
        .read_as("csv windows-1251 ;"),
        case(
            "shift-jis.csv",
            SHIFT_JIS
                .encode("phone,name\n+819012345678,田中さくら\n+819012345679,鈴木いちろう\n")
                .0
                .into_owned(),
        )
        .recipient(1, "+819012345678", "田中さくら")
        .recipient(2, "+819012345679", "鈴木いちろう")
        .read_as("csv Shift_JIS ,"),
        case("latin-1-given.csv", to_windows_1252(JOSE_AND_ZOE))
            .with_options(|o| o.encoding = Some("latin1".into()))
            .jose_and_zoe()
            .read_as("csv windows-1252 ,"),
        case(
            "utf-8-one-damaged-cell.csv",
            [JOSE_AND_ZOE.as_bytes(), b"+33612345678,No\xe9\n"].concat(),
        )
        .jose_and_zoe()
        .rejected(3, "name", "damaged characters"),
    ]
}

fn dialect_cases() -> Vec<Case> {
    vec![
        case("semicolon.csv", with_semicolons()).jose_and_zoe().read_as("csv UTF-8 ;"),
        case("tab.tsv", JOSE_AND_ZOE.replace(',', "\t")).jose_and_zoe().read_as("csv UTF-8 \t"),
        case("pipe.csv", JOSE_AND_ZOE.replace(',', "|")).jose_and_zoe().read_as("csv UTF-8 |"),
        case("semicolon-with-commas-in-cells.csv", "name;phone\nSilva, Ana;+5511987654321\n").recipient(1, "+5511987654321", "Silva, Ana").read_as("csv UTF-8 ;"),
        case("comma-with-semicolons-in-cells.csv", "phone,name\n+5511987654321,Ana; Eve\n").recipient(1, "+5511987654321", "Ana; Eve").read_as("csv UTF-8 ,"),
        case("given-delimiter.csv", "phone^name\n+5511987654321^Ana\n").with_options(|o| o.delimiter = Some('^')).ana(1).read_as("csv UTF-8 ^"),
        case("sep-line.csv", format!("sep=;\r\n{}", with_semicolons())).jose_and_zoe().read_as("csv UTF-8 ;"),
        case("sep-line-mark.csv", format!("\u{feff}sep=|\n{}", JOSE_AND_ZOE.replace(',', "|"))).jose_and_zoe().read_as("csv UTF-8 |"),
        case("one-column.csv", "phone\n+5511987654321\n").text("Hi").recipient(1, "+5511987654321", "").read_as("csv UTF-8 ,"),
        case("crlf.csv", JOSE_AND_ZOE.replace('\n', "\r\n")).jose_and_zoe(),
        case("cr.csv", JOSE_AND_ZOE.replace('\n', "\r")).jose_and_zoe(),
        case("mixed-line-ends.csv", "phone,name\r\n+5511987654321,José\r+34612345678,Zoë\n").jose_and_zoe(),
        case("no-last-line-end.csv", JOSE_AND_ZOE.trim_end()).jose_and_zoe(),
        case("blank-lines.csv", format!("\n\r\n{}\n  \n", JOSE_AND_ZOE.replace('\n', "\n\n"))).jose_and_zoe(),
        case("rows-of-delimiters.csv", format!("{JOSE_AND_ZOE},\n,\n , \n")).jose_and_zoe(),
        case("quoted-line-breaks.csv", "phone,name\n+5511987654321,\"Ana\nMaria\"\n+34612345678,\"a\r\nb\"\n")
            .recipient(1, "+5511987654321", "Ana\nMaria").recipient(2, "+34612345678", "a\r\nb"),
        case("doubled-quotes.csv", "phone,name\n+5511987654321,\"Ana \"\"the\"\" Silva\"\n").recipient(1, "+5511987654321", "Ana \"the\" Silva"),
        case("everything-quoted.csv", "\"phone\",\"name\"\n\"+5511987654321\",\"Ana\"\n").ana(1),
        case("quote-inside-a-cell.csv", "phone,name\n+5511987654321,5\" pipe\n").recipient(1, "+5511987654321", "5\" pipe"),
        case("quote-never-closed.csv", "phone,name\n+5511987654321,Ana\n+34612345678,\"Zoë\n+34612345679,Eve\n")
            .ana(1).rejected(2, "", "quotation mark").recipient(3, "+34612345679", "Eve"),
        case("quotes-swallow-rows.csv", "phone,name\n+5511987654321,Ana\n\"+34612345678,Zoë\n+34612345679,Eve\n\"+34612345670,Bo\n")
            .ana(1).rejected(2, "", "quotation mark").recipient(3, "+34612345679", "Eve")
        .rejected(4, "", "quotation mark"),
        case("short-rows.csv", "name,phone\nAna,+5511987654321\nBo\n").ana(1).rejected(2, "phone", "is empty"),
        case("wide-rows.csv", "phone,name\n+5511987654321,Ana\n+34612345678,Silva, Ana\n").ana(1).rejected(2, "", "more cells than the header"),
        case("trailing-delimiters.csv", "phone,name,\n+5511987654321,Ana,\n+34612345678,Bo,,,\n").ana(1).recipient(2, "+34612345678", "Bo"),
        case("spaces-in-header.csv", " Phone , NAME \n+5511987654321,Ana\n").ana(1),
        case("repeated-header.csv", "phone,name,Name\n+5511987654321,Ana,Other\n").ana(1),
        case("gzip.csv.gz", gzip(JOSE_AND_ZOE.as_bytes())).jose_and_zoe().read_as("csv UTF-8 ,"),
        case("gzip-utf-16.csv.gz", gzip(&to_utf16(JOSE_AND_ZOE, u16::to_le_bytes, true))).jose_and_zoe().read_as("csv UTF-16LE ,"),
        case("gzip-two-members.csv.gz", [gzip(b"phone,name\n+5511987654321,Jos"), gzip("é\n+34612345678,Zoë\n".as_bytes())].concat()).jose_and_zoe(),
    ]
}

fn workbook_cases() -> Vec<Case> {
    let numbers = build_workbook(|sheet| {
        sheet.write(0, 0, "phone").unwrap();
        sheet.write(0, 1, "name").unwrap();
        sheet.write(1, 0, 5_511_987_654_321.0).unwrap();
        sheet.write(1, 1, 12.5).unwrap();
        sheet.write(2, 0, 34_612_345_678.0).unwrap();
        let date = ExcelDateTime::from_ymd(2026, 3, 1).unwrap();
        sheet
            .write_with_format(2, 1, &date, &Format::new().set_num_format("dd/mm/yyyy"))
            .unwrap();
        sheet.write(4, 0, 33_612_345_678.0).unwrap();
        sheet.write(4, 1, true).unwrap();
    });
    vec![
        case(
            "text.xlsx",
            workbook_of_cells(&[
                &["phone", "name"],
                &["+5511987654321", "José"],
                &["+34612345678", "Zoë"],
            ]),
        )
        .jose_and_zoe()
        .read_as("xlsx UTF-8 ,"),
        case("numbers.xlsx", numbers)
            .recipient(1, "+5511987654321", "12.5")
            .recipient(2, "+34612345678", "2026-03-01")
            .recipient(3, "+33612345678", "TRUE"),
        case(
            "gaps.xlsx",
            workbook_of_cells(&[
                &["id", "phone", "", "name"],
                &["", "+5511987654321", "", "Ana"],
            ]),
        )
        .ana(1),
        case(
            "delimiters-in-cells.xlsx",
            workbook_of_cells(&[&["phone", "name"], &["+5511987654321", "a,b;\"c\"\nd"]]),
        )
        .recipient(1, "+5511987654321", "a,b;\"c\"\nd"),
        case("empty.xlsx", build_workbook(|_| {})).fails_with("the file is empty"),
    ]
}

fn phone_cases() -> Vec<Case> {
    vec![
        case("international.csv", "phone,name\n+55 11 98765-4321,Ana\n55.11.98765.4322,Bo\n0034 612 34 56 78,Eve\n+49 (0)151 23456789,Udo\n").default_region("BR")
            .ana(1).recipient(2, "+5511987654322", "Bo").recipient(3, "+34612345678", "Eve").recipient(4, "+4915123456789", "Udo"),
        case("national.csv", "phone,name\n(11) 98765-4321,Ana\n011 98765 4322,Bo\n11 98765.4323,Eve\n").default_region("BR")
            .ana(1).recipient(2, "+5511987654322", "Bo").recipient(3, "+5511987654323", "Eve"),
        case("national-without-region.csv", "phone,name\n+5511987654321,Ana\n(11) 98765-4322,Bo\n").ana(1).rejected(2, "phone", "country code is missing"),
        case("excel-text-marks.csv", "phone,name\n'+5511987654321,Ana\n\"=\"\"+34612345678\"\"\",Bo\n=“+33612345678”,Eve\n")
            .ana(1).recipient(2, "+34612345678", "Bo").recipient(3, "+33612345678", "Eve"),
        case("invisible-characters.csv", "phone,name\n\u{202a}+55\u{a0}11\u{200b} 98765-4321\u{202c},Ana\n").ana(1),
        case("scientific.csv", "phone,name\n+5511987654321,Ana\n5.5E+11,Bo\n\"5,51199E+12\",Eve\n").ana(1)
            .rejected(2, "phone", "rounded").rejected(3, "phone", "rounded"),
        case("lost-zero.csv", "phone,name\n06 1234 5678,Ana\n6 1234 5678,Bo\n").default_region("IT").recipient(1, "+390612345678", "Ana").rejected(2, "phone", "leading zero"),
        case("lost-trunk-zero.csv", "phone,name\n612345678,Ana\n").default_region("FR").recipient(1, "+33612345678", "Ana"),
        case("two-numbers.csv", "phone,name\n+5511987654321,Ana\n+34612345678 / +34612345679,Bo\n\"+34612345678, 612345679\",Eve\n").ana(1)
            .rejected(2, "phone", "more than one number").rejected(3, "phone", "more than one number"),
        case("letters.csv", "phone,name\n+5511987654321,Ana\n+34612345678 (home),Bo\nn/a,Eve\n,Tom\n").ana(1)
            .rejected(2, "phone", "letters").rejected(3, "phone", "not a phone number").rejected(4, "phone", "is empty"),
        case("floats.csv", "phone,name\n5511987654321.0,Ana\n").ana(1),
        case("repeats.csv", "phone,name\n+5511987654321,Ana\n55 11 98765 4321,Bo\n+55 (11) 98765-4321,Eve\n").default_region("BR").ana(1).duplicates(2),
        case("spellings-of-one-number.csv", "phone,name\n+5511987654321,Ana\n+551187654321,Ana\n+5215512345678,Bo\n+525512345678,Bo\n+5491123456789,Eve\n+541123456789,Eve\n")
            .ana(1).recipient(3, "+525512345678", "Bo").recipient(5, "+5491123456789", "Eve").duplicates(3),
    ]
}

fn value_cases() -> Vec<Case> {
    let long = format!(
        "phone,name\n+5511987654321,Ana\n+34612345678,{}\n",
        "x".repeat(1025)
    );
    vec![
        case(
            "white-space-cleaned.csv",
            "phone,name\n+5511987654321,\" Ana\t\n\"\n+34612345678,a      b\n",
        )
        .as_template_parameter()
        .ana(1)
        .recipient(2, "+34612345678", "a b"),
        case(
            "white-space-rejected.csv",
            "phone,name\n+5511987654321,Ana\n+34612345678,\"a\nb\"\n+34612345679,a     b\n",
        )
        .as_template_parameter()
        .with_options(|o| o.on_bad_value = OnBadValue::Reject)
        .ana(1)
        .rejected(2, "name", "line break")
        .rejected(3, "name", "four spaces"),
        case(
            "empty-values.csv",
            "phone,name\n+5511987654321,Ana\n+34612345678,\n+34612345679,  \n",
        )
        .as_template_parameter()
        .ana(1)
        .rejected(2, "name", "is empty")
        .rejected(3, "name", "is empty"),
        case("fallback.csv", "phone,name\n+5511987654321,\n")
            .text("{{name|friend}}")
            .recipient(1, "+5511987654321", ""),
        case("too-long.csv", long)
            .as_template_parameter()
            .ana(1)
            .rejected(2, "name", "takes 1024 characters"),
        case(
            "escaped-formula-is-unescaped.csv",
            "phone,name\n+5511987654321,'=1+1\n",
        )
        .recipient(1, "+5511987654321", "=1+1"),
    ]
}

fn unusable_cases() -> Vec<Case> {
    vec![
        case("empty.csv", "").fails_with("the file is empty"),
        case("only-blank-lines.csv", "\n\r\n , \n").fails_with("the file is empty"),
        case("only-a-header.csv", "phone,name\n").fails_with(""),
        case("no-phone-column.csv", "customer,name\n1,Ana\n").fails_with("no phone column"),
        case("no-such-column.csv", "phone,city\n+5511987654321,Rio\n")
            .fails_with("{{name}}, which the file does not have"),
        case("no-header.csv", "+5511987654321,Ana\n+34612345678,Bo\n")
            .fails_with("must be a header"),
        case(
            "old-excel.xls",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(),
        )
        .fails_with("an old Excel workbook"),
        case("document.pdf.csv", "%PDF-1.7\n").fails_with("a PDF document"),
        case("binary.csv", b"phone,name\n\x00\x01\x02\x03\n".to_vec()).fails_with("a binary file"),
        case(
            "broken.csv.gz",
            gzip(JOSE_AND_ZOE.as_bytes())[..30].to_vec(),
        )
        .fails_with("gzip file is damaged"),
        case(
            "broken.xlsx",
            workbook_of_cells(&[&["phone"]])[..400].to_vec(),
        )
        .fails_with("workbook cannot be read"),
    ]
}

fn all_cases() -> Vec<Case> {
    [
        encoding_cases(),
        dialect_cases(),
        workbook_cases(),
        phone_cases(),
        value_cases(),
        unusable_cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

async fn outcome(bytes: Vec<u8>, campaign: &Campaign) -> Expected {
    let mut expected = Expected::default();
    let mut people = match RecipientReader::open(
        Cursor::new(bytes),
        campaign,
        SeenNumbers::default(),
        0,
    )
    .await
    {
        Ok(people) => people,
        Err(error) => {
            return Expected {
                failure: error.to_string(),
                ..expected
            };
        }
    };
    loop {
        match people.next_verdict().await {
            Ok(Some(RowVerdict::Usable(row))) => {
                let name = row.values.first().cloned().unwrap_or_default();
                expected
                    .recipients
                    .push((row.row, row.to.to_string(), name));
            }
            Ok(Some(RowVerdict::Rejected(reject))) => {
                expected
                    .rejected
                    .push((reject.row, reject.column, reject.reason.to_string()));
            }
            Ok(Some(RowVerdict::Duplicate | RowVerdict::Suppressed)) => expected.duplicates += 1,
            Ok(None) => break,
            Err(error) => {
                return Expected {
                    failure: error.to_string(),
                    ..expected
                };
            }
        }
    }
    let found = people.format();
    expected.read_as = format!(
        "{} {} {}",
        found.kind,
        found.encoding,
        char::from(found.delimiter)
    );
    expected
}

/// Whether what became of a file is what was expected; problems by a part of their text.
fn matches_expected(seen: &Expected, expected: &Expected) -> bool {
    let rejected = seen.rejected.len() == expected.rejected.len()
        && seen
            .rejected
            .iter()
            .zip(&expected.rejected)
            .all(|(seen, expected)| {
                (seen.0, &seen.1) == (expected.0, &expected.1) && seen.2.contains(&expected.2)
            });
    let read_as = expected.read_as.is_empty() || seen.read_as == expected.read_as;
    let fails = seen.failure.is_empty() == expected.failure.is_empty()
        && seen.failure.contains(&expected.failure);
    seen.recipients == expected.recipients
        && seen.duplicates == expected.duplicates
        && rejected
        && read_as
        && fails
}

#[tokio::test]
async fn every_corpus_file_gives_its_expected_rows() {
    let write = std::env::var_os("CRIER_WRITE_CORPUS").is_some();
    let cases = all_cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let path = folder().join(case.file);
        if write {
            std::fs::write(&path, &case.bytes).unwrap();
        }
        let bytes =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let info = FileInfo {
            name: case.file.into(),
            size: bytes.len() as u64,
        };
        let message = Message::new(case.message.clone()).unwrap();
        let mut campaign = Campaign::new("c1".parse().unwrap(), "Corpus".into(), message, info, 0);
        campaign.options = case.options.clone();
        let seen = outcome(bytes, &campaign).await;
        if !matches_expected(&seen, &case.expected) {
            wrong.push(format!(
                "{}\n  seen     {seen:?}\n  expected {:?}",
                case.file, case.expected
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} files:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    let named: BTreeSet<String> = cases.iter().map(|case| case.file.to_owned()).collect();
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, there, "each file has its case");
    assert!(named.len() >= 60, "{} files", named.len());
}

/// How a table may be written down.
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

fn dialect() -> impl Strategy<Value = Dialect> {
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

/// Rows of a name and a number, some of them no numbers.
fn rows() -> impl Strategy<Value = Vec<(String, String)>> {
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

fn write_table(rows: &[(String, String)], dialect: &Dialect) -> Vec<u8> {
    let delimiter = dialect.delimiter;
    let cell = |cell: &str| {
        let needs = dialect.quote_all || cell.contains([delimiter, '"', '\n', '\r', '\t']);
        if needs {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    };
    let end = if dialect.trailing {
        format!("{delimiter}{}", dialect.line_end)
    } else {
        dialect.line_end.to_owned()
    };
    let blank = if dialect.blank_lines {
        dialect.line_end
    } else {
        ""
    };
    let mut text = if dialect.sep_line {
        format!("sep={delimiter}{}", dialect.line_end)
    } else {
        String::new()
    };
    text.push_str(&format!(
        "{}{delimiter}{}{end}",
        cell("name"),
        cell("phone")
    ));
    for (name, phone) in rows {
        text.push_str(&format!(
            "{blank}{}{delimiter}{}{end}",
            cell(name),
            cell(phone)
        ));
    }
    let bytes = match dialect.encoding {
        0 | 1 => text.into_bytes(),
        2 => format!("\u{feff}{text}").into_bytes(),
        3 => to_utf16(&text, u16::to_le_bytes, true),
        4 => to_utf16(&text, u16::to_be_bytes, true),
        5 => to_utf16(&text, u16::to_le_bytes, false),
        6 => to_utf16(&text, u16::to_be_bytes, false),
        _ => to_windows_1252(&text),
    };
    if dialect.gzip { gzip(&bytes) } else { bytes }
}

fn write_workbook(rows: &[(String, String)]) -> Vec<u8> {
    let rows = rows
        .iter()
        .map(|(name, phone)| [name.as_str(), phone.as_str()]);
    let all: Vec<[&str; 2]> = std::iter::once(["name", "phone"]).chain(rows).collect();
    workbook_of_cells(&all.iter().map(<[&str; 2]>::as_slice).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_table_in_any_dialect_has_the_recipients_of_the_plain_one(rows in rows(), dialect in dialect(), workbook: bool) {
        let plain = Dialect { delimiter: ',', line_end: "\n", quote_all: false, blank_lines: false, trailing: false, sep_line: false, encoding: 0, gzip: false };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let info = FileInfo { name: "any.csv".into(), size: 1 };
        let message = Message::new(json!({"type": "text", "text": {"body": "Hi {{name}}"}})).unwrap();
        let campaign = Campaign::new("c1".parse().unwrap(), "Any".into(), message, info, 0);
        let other = if workbook { write_workbook(&rows) } else { write_table(&rows, &dialect) };
        let told = |outcome: Expected| (outcome.recipients, outcome.rejected, outcome.duplicates, outcome.failure);
        let expected = told(runtime.block_on(outcome(write_table(&rows, &plain), &campaign)));
        prop_assert_eq!(told(runtime.block_on(outcome(other, &campaign))), expected);
    }
}
