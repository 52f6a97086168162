//! Delimiters, line ends, quotation marks, compression.

use super::case::{Case, JOSE_AND_ZOE, case, with_semicolons};
use super::encode::{gzip, to_utf16};

pub(super) fn dialect_cases() -> Vec<Case> {
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
