//! Assertions on parts of JSON, and the samples of `events/`.

use std::path::Path;

use serde_json::Value;

/// A sample of `events/`.
pub(crate) fn sample_event(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

/// Asserts that `seen` has every field of `expected` with its value. Other fields may be there, in nested objects too; lists
/// must be equal.
#[track_caller]
pub(crate) fn assert_has(seen: &Value, expected: &Value) {
    assert!(has(seen, expected), "{seen}\nlacks {expected}");
}

fn has(seen: &Value, expected: &Value) -> bool {
    match (seen, expected) {
        (Value::Object(_), Value::Object(fields)) => {
            fields.iter().all(|(name, field)| has(&seen[name], field))
        }
        _ => seen == expected,
    }
}

/// Asserts that a text has each of these parts.
#[track_caller]
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

/// The text of a field; fails where it is none.
#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The items of a list; fails where it is none.
#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
}
