//! Files in the encodings that spreadsheets and databases write.

use encoding_rs::{SHIFT_JIS, WINDOWS_1251};

use super::case::{Case, JOSE_AND_ZOE, case, with_semicolons};
use super::encode::{to_utf16, to_windows_1252};

pub(super) fn encoding_cases() -> Vec<Case> {
    let groups = [unicode_cases(), windows_1252_cases(), other_cases()];
    groups.into_iter().flatten().collect()
}

fn unicode_cases() -> Vec<Case> {
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
        case(
            "utf-8-one-damaged-cell.csv",
            [JOSE_AND_ZOE.as_bytes(), b"+33612345678,No\xe9\n"].concat(),
        )
        .jose_and_zoe()
        .rejected(3, "name", "damaged characters"),
    ]
}

fn windows_1252_cases() -> Vec<Case> {
    let late = format!(
        "{}+34612345678,Zo\u{eb}\n",
        "phone,name\n".to_owned() + &"+5511987654321,Ana\n".repeat(4000)
    );
    vec![
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
        case("latin-1-given.csv", to_windows_1252(JOSE_AND_ZOE))
            .with_options(|o| o.encoding = Some("latin1".into()))
            .jose_and_zoe()
            .read_as("csv windows-1252 ,"),
    ]
}

fn other_cases() -> Vec<Case> {
    vec![
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
    ]
}
