//! A customer list as people keep it: several countries, quoted commas, accents, some bad numbers, some repeats, and
//! a few of the simulator's magic numbers, so that the report shows every outcome.

use serde_json::{Value, json};

const NAMES: [&str; 8] = [
    "Ana Souza",
    "José Núñez",
    "Zoë Müller",
    "Priya Nair",
    "Łukasz Nowak",
    "\"Silva, João\"",
    "Chloé Dubois",
    "O'Neill, Seán",
];
const CITIES: [&str; 6] = [
    "São Paulo",
    "\"Madrid, ES\"",
    "Köln",
    "Mumbai",
    "Lisboa",
    "Orléans",
];

/// Cells that hold no usable number.
const UNUSABLE: [&str; 6] = [
    "n/a",
    "",
    "(11) 98765-4321",
    "5.51199E+12",
    "+55 11 9",
    "ask Maria",
];

/// The simulator's numbers that are refused at once or later; each is used once.
const MAGIC: [u32; 12] = [20, 21, 22, 23, 24, 27, 60, 61, 63, 65, 66, 6];

/// A list of `rows` rows.
pub(crate) fn csv(rows: u32) -> String {
    let mut csv = String::from("Order,Name,Phone Number,City,Amount\r\n");
    for row in 0..rows {
        let name = match NAMES[(row % 8) as usize] {
            comma if comma.contains(',') && !comma.starts_with('"') => format!("\"{comma}\""),
            plain => plain.to_owned(),
        };
        let city = CITIES[(row % 6) as usize];
        csv.push_str(&format!(
            "{},{name},{},{city},\"{},{:02}\"\r\n",
            10_000 + row,
            phone(row, rows),
            row % 400,
            row % 100
        ));
    }
    csv
}

fn phone(row: u32, rows: u32) -> String {
    match row % 50 {
        17 => UNUSABLE[(row / 50 % 6) as usize].to_owned(),
        // The previous row's number, typed differently.
        33 => valid_phone(row - 1).replace(' ', "-"),
        41 => magic_phone(row, rows).unwrap_or_else(|| valid_phone(row)),
        _ => valid_phone(row),
    }
}

/// The magic numbers, spread over the file, whatever its length.
fn magic_phone(row: u32, rows: u32) -> Option<String> {
    let every = (rows / 600).max(1);
    let fifty = row / 50;
    let magic = MAGIC
        .get((fifty / every) as usize)
        .filter(|_| fifty.is_multiple_of(every))?;
    Some(format!("+1 202-555-01{magic:02}"))
}

/// A valid number that no other row has.
fn valid_phone(row: u32) -> String {
    let number = row / 6;
    match row % 6 {
        0 => format!("+55 11 9{:08}", 60_000_000 + number),
        1 => format!("+34 6{:08}", 10_000_000 + number),
        2 => format!("+49 151 {:08}", 20_000_000 + number),
        3 => format!("+91 98{:08}", 10_000_000 + number),
        4 => format!("+351 91{:07}", 1_000_000 + number),
        _ => format!("+33 6{:08}", 12_000_000 + number),
    }
}

/// The message of the demonstration.
pub(crate) fn message() -> Value {
    json!({"type": "template", "template": {
        "name": "order_update", "language": {"code": "en"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "{{Name}}"}, {"type": "text", "text": "{{Amount}} €"}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "{{Order}}"}]}
        ],
    }})
}
