//! Excel workbooks.

use rust_xlsxwriter::{ExcelDateTime, Format};

use super::case::{Case, case};
use super::encode::{build_workbook, workbook_of_cells};

pub(super) fn workbook_cases() -> Vec<Case> {
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
