//! Lines of delimited text, and what the ledger says that a line of a report must be.

use serde_json::Value;

/// The columns that a report has behind the operator's own (the documentation).
pub(super) const REPORT_COLUMNS: [&str; 12] = [
    "row",
    "status",
    "attempted_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
    "error_code",
    "error",
    "wamid",
    "price_category",
    "sent_from",
];

/// The records of delimited text, the header first. A byte order mark and empty lines are left out.
pub(super) fn records(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start_matches('\u{feff}');
    let header = text.lines().next().unwrap_or_default();
    let delimiter = if header.contains(';') { ';' } else { ',' };
    let mut records = Vec::new();
    let (mut record, mut cell, mut is_quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            // A doubled quotation mark closes the cell and opens it again; the mark is not needed here.
            '"' => is_quoted = !is_quoted,
            letter if is_quoted => cell.push(letter),
            letter if letter == delimiter => record.push(std::mem::take(&mut cell)),
            '\r' => {}
            '\n' => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            letter => cell.push(letter),
        }
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push(record);
    }
    records.retain(|record| record.iter().any(|cell| !cell.is_empty()));
    // A record that breaks off has no cell where others have one.
    let width = records.first().map_or(0, Vec::len);
    for record in &mut records {
        record.resize(record.len().max(width), String::new());
    }
    records
}

/// The status that a report must show of an item of the ledger: the best that happened to its message.
pub(super) fn status(item: &Value) -> &str {
    let state = item["state"].as_str().unwrap_or_default();
    let happened = |name: &str| !item[name].is_null();
    match state {
        "accepted" if happened("read_at") => "read",
        "accepted" if happened("delivered_at") => "delivered",
        "accepted" if happened("failed_at") => "undelivered",
        "accepted" if happened("sent_at") => "sent",
        state => state,
    }
}

/// The error that explains a status.
fn error<'i>(item: &'i Value, status: &str) -> &'i Value {
    match status {
        "undelivered" => &item["failure"],
        "accepted" | "sent" | "delivered" | "read" => &Value::Null,
        _ => &item["error_info"],
    }
}

/// What is wrong with a line's added cells, compared with the ledger's item.
pub(super) fn compare(cells: &[String], item: &Value) -> Option<String> {
    let status = status(item);
    let error = error(item, status);
    let was_attempted = item["attempt"].as_u64() > Some(0);
    let attempted_at = if was_attempted {
        &item["claimed_at"]
    } else {
        &Value::Null
    };
    let expected = [
        ("status", status.to_owned()),
        ("attempted_at", spreadsheet_time(attempted_at)),
        ("sent_at", spreadsheet_time(&item["sent_at"])),
        ("delivered_at", spreadsheet_time(&item["delivered_at"])),
        ("read_at", spreadsheet_time(&item["read_at"])),
        ("failed_at", spreadsheet_time(&item["failed_at"])),
        ("error_code", plain(&error["code"])),
        ("wamid", plain(&item["wamid"])),
        ("price_category", plain(&item["category"])),
        ("sent_from", plain(&item["number"])),
    ];
    for (name, expected) in expected {
        let found = cell(cells, name);
        if found != expected {
            return Some(format!(
                "its {name} is {found:?}, and should be {expected:?}"
            ));
        }
    }
    let (found, title) = (
        cell(cells, "error"),
        plain(&error["title"]).replace('"', ""),
    );
    let is_right = match title.is_empty() {
        true => found.is_empty() == error.is_null(),
        false => found.contains(&title),
    };
    (!is_right).then(|| format!("its error is {found:?}, and should be {error}"))
}

/// An added cell by its name.
pub(super) fn cell<'c>(cells: &'c [String], name: &str) -> &'c str {
    let index = REPORT_COLUMNS.iter().position(|column| *column == name);
    let cell = index.and_then(|index| cells.get(index));
    cell.map(String::as_str).unwrap_or_default()
}

/// A value as text; null is empty.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn spreadsheet_time(at_ms: &Value) -> String {
    let at_ms = at_ms.as_i64();
    let time = at_ms.and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
    time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}
