//! Items and values as plain JSON.

use serde_json::Value;

/// An item as plain JSON.
pub(super) fn to_plain_item(item: &Value) -> Value {
    let fields = item.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| (name.clone(), to_plain(value)))
        .collect()
}

/// The plain JSON of an attribute's value, such as `{"N": "1"}`.
pub(super) fn to_plain(value: &Value) -> Value {
    let kind = value.as_object().and_then(|value| value.iter().next());
    match kind {
        Some((kind, Value::String(number))) if kind == "N" => {
            serde_json::from_str(number).unwrap_or_default()
        }
        Some((kind, _)) if kind == "NULL" => Value::Null,
        Some((kind, items)) if kind == "L" => {
            let items = items.as_array().into_iter().flatten();
            items.map(to_plain).collect()
        }
        Some((kind, fields)) if kind == "M" => to_plain_item(fields),
        Some((_, plain)) => plain.clone(),
        None => Value::Null,
    }
}
