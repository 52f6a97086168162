//! Text and cells as bytes: encodings, gzip, workbooks.

use std::io::Write;

use encoding_rs::WINDOWS_1252;
use flate2::write::GzEncoder;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook, Worksheet};

pub(crate) fn to_utf16(text: &str, order: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
    let mark = if mark { "\u{feff}" } else { "" };
    format!("{mark}{text}")
        .encode_utf16()
        .flat_map(order)
        .collect()
}

pub(crate) fn to_windows_1252(text: &str) -> Vec<u8> {
    let (bytes, _, unmappable) = WINDOWS_1252.encode(text);
    assert!(!unmappable);
    bytes.into_owned()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A workbook whose first sheet `fill` writes.
pub(super) fn build_workbook(fill: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
    let mut book = Workbook::new();
    let created = ExcelDateTime::from_ymd(2026, 11, 22).unwrap();
    book.set_properties(&DocProperties::new().set_creation_datetime(&created));
    fill(book.add_worksheet());
    book.add_worksheet().write(0, 0, "not this one").unwrap();
    book.save_to_buffer().unwrap()
}

pub(crate) fn workbook_of_cells(rows: &[&[&str]]) -> Vec<u8> {
    build_workbook(|sheet| {
        for (row, cells) in rows.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                sheet.write(row as u32, column as u16, *cell).unwrap();
            }
        }
    })
}
