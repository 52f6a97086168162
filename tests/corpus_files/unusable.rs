//! Files that cannot be used, and why.

use super::case::{Case, JOSE_AND_ZOE, case};
use super::encode::{gzip, workbook_of_cells};

pub(super) fn unusable_cases() -> Vec<Case> {
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
