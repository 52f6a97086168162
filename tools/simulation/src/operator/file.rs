//! Files as operators upload them.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::random::Random;
use crate::record::{File, UploadNotes};

/// The second column of phone numbers, for those who ask for it.
pub const OTHER_COLUMN: &str = "Reserve";

/// Endings of magic numbers that a campaign may have: none stops it for good, however often it is resumed.
const MAGIC: [u32; 38] = [
    1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25, 26, 27, 60, 62, 63, 65, 66,
    67, 70, 71, 72, 73, 74, 80, 81, 84, 12, 11, 10, 60,
];

/// A file whose recipients begin with this number. Others of the same block may have been in an earlier file.
pub fn draw(random: &Random, first: u32, is_second: bool) -> File {
    if random.chance(0.06) {
        return unusable(random);
    }
    let rows = draw_size(random);
    let delimiter = if random.chance(0.2) { ';' } else { ',' };
    let header = match random.chance(0.5) {
        true => ["Name", "Phone", "Amount"],
        false => ["Amount", "Phone", "Name"],
    };
    let name_first = header[0] == "Name";
    let has_others = random.chance(0.3);
    let join = |cells: &[&str], other: &str| match has_others {
        true => [cells, &[other]].concat().join(&delimiter.to_string()) + "\n",
        false => cells.join(&delimiter.to_string()) + "\n",
    };
    let mut text = join(&header, OTHER_COLUMN);
    let (mut recipients, mut others) = (BTreeMap::new(), BTreeMap::new());
    for row in 1..=rows {
        let phone = draw_phone(random, first, row, is_second);
        let name = format!("N{first}-{row}-{}", u32::from(is_second));
        let (name_cell, amount) = (name.clone(), format!("{row} EUR"));
        let cells = match random.chance(0.05) {
            true => ["".to_owned(), "12".to_owned(), "N".to_owned()],
            false => {
                recipients
                    .entry(phone.clone())
                    .or_insert_with(|| name.clone());
                let phone = spell(random, &phone);
                match name_first {
                    true => [name_cell, phone, amount],
                    false => [amount, phone, name_cell],
                }
            }
        };
        let other = format!("+34620{:06}", first + row);
        if has_others {
            others.insert(other.clone(), name);
        }
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        text.push_str(&join(&cells, &other));
    }
    let is_usable = !recipients.is_empty();
    // Now and then the last line breaks off, as in a file that was not copied to its end.
    text.push_str(if random.chance(0.05) { "12" } else { "" });
    File {
        name: "people.csv",
        bytes: encode(random, &text),
        notes: UploadNotes {
            at_ms: 0,
            recipients,
            others,
            is_usable,
            text,
            ..UploadNotes::default()
        },
    }
}

fn draw_size(random: &Random) -> u32 {
    match random.chance(0.02) {
        // The circuit breaker needs a hundred rows.
        true => random.range(100..200) as u32,
        false => random.range(3..24) as u32,
    }
}

fn draw_phone(random: &Random, first: u32, row: u32, is_second: bool) -> String {
    if random.chance(0.12) {
        return format!("+120255501{:02}", random.pick(&MAGIC));
    }
    // Now and then a number that another row, or the first file, has too.
    let row = match random.chance(0.1) {
        true => 1 + random.range(0..u64::from(row)) as u32,
        false => row + if is_second { 40 } else { 0 },
    };
    format!("+34610{:06}", first + row)
}

/// A number as people write it.
fn spell(random: &Random, phone: &str) -> String {
    match random.range(0..20) {
        0 => format!("{} {} {}", &phone[..3], &phone[3..6], &phone[6..]),
        1 => format!("{}-{}", &phone[..6], &phone[6..]),
        2 => format!(" {phone} "),
        3 => phone.trim_start_matches('+').to_owned(),
        _ => phone.to_owned(),
    }
}

/// The bytes in which programs save a file.
fn encode(random: &Random, text: &str) -> Vec<u8> {
    match random.range(0..20) {
        0 => {
            let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
            units.flat_map(u16::to_le_bytes).collect()
        }
        1 => ["\u{feff}", text].concat().into_bytes(),
        2 => compress(text.as_bytes()),
        3 => text.replace('\n', "\r\n").into_bytes(),
        _ => text.as_bytes().to_vec(),
    }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Neither a write into memory nor its end can fail.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

fn unusable(random: &Random) -> File {
    let mut cut_off =
        compress(b"Name,Phone,Amount\nAna,+34610000001,1 EUR\nBo,+34610000002,2 EUR\n");
    cut_off.truncate(cut_off.len() - 12);
    let contents: [&[u8]; 5] = [
        &cut_off,
        b"Name,Phone,Amount\n",
        b"Name;Amount\nAna;3\n",
        b"\x00\x01\x02",
        b"Phone\n",
    ];
    File {
        name: "people.csv",
        bytes: random.pick(&contents).to_vec(),
        notes: UploadNotes::default(),
    }
}
