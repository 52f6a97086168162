//! What the API counts is what the ledger holds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::rows::Broken;
use crate::operator::reading::ROW_STATES;
use crate::record::CampaignNotes;

/// What a callback said of a row: the name of the counter and the row's field.
const DELIVERY: [(&str, &str); 4] = [
    ("sent", "sent_at"),
    ("delivered", "delivered_at"),
    ("read", "read_at"),
    ("undelivered", "failed_at"),
];

/// States in which nothing is left to do.
const OPEN: [&str; 4] = ["waiting", "claimed", "retry", "held"];

pub(super) fn counters(
    notes: &CampaignNotes,
    shown: &Value,
    rows: &BTreeMap<u32, &Value>,
) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut compare = |name: &str, held: u64, counted: &Value| {
        if counted.as_u64() != Some(held) {
            let what = format!("{held} rows are {name}, {counted} are counted");
            broken.push(("counters equal the ledger", what));
        }
    };
    for state in ROW_STATES {
        let held = rows.values().filter(|row| row["state"] == state).count();
        compare(state, held as u64, &shown["rows"][state]);
    }
    for (name, field) in DELIVERY {
        let held = rows.values().filter(|row| !row[field].is_null()).count();
        compare(name, held as u64, &shown["delivery"][name]);
    }
    let attempts = rows.values().filter_map(|row| row["attempt"].as_u64());
    compare("attempts", attempts.sum(), &shown["sending"]["attempts"]);
    if notes.end.is_some() && shown["state"] != "failed" {
        for name in OPEN {
            if shown["rows"][name] != 0 {
                let what = format!("it is over, and rows are {name}: {}", shown["rows"]);
                broken.push(("everything ends", what));
            }
        }
    }
    broken
}
