//! What a request is about, for the history.

use serde_json::Value;

use super::plain::to_plain;

/// What a request is about: the table, and the key with the first change, or the values of the query.
pub(super) fn describe(request: &Value, key_of: impl Fn(&str) -> Vec<String>) -> String {
    let Some(table) = request["TableName"].as_str() else {
        let requests = request["RequestItems"].as_object().into_iter().flatten();
        let tables = requests.map(|(table, entries)| {
            let entries = entries.get("Keys").unwrap_or(entries);
            format!("{table}*{}", entries.as_array().map_or(0, Vec::len))
        });
        return tables.collect::<Vec<_>>().join(" ");
    };
    let mut parts = vec![table.to_owned()];
    if let Some(item) = request.get("Key").or_else(|| request.get("Item")) {
        let key = key_of(table);
        parts.extend(key.iter().map(|name| plain_text(&item[name])));
        parts.extend(first_change(request));
    } else if request.get("KeyConditionExpression").is_some() {
        parts.extend(request["IndexName"].as_str().map(str::to_owned));
        let values = request["ExpressionAttributeValues"].as_object();
        let values = values.into_iter().flatten();
        let mut values: Vec<_> = values.map(|(_, value)| plain_text(value)).collect();
        // The order of the SDK's hash map says nothing.
        values.sort();
        parts.extend(values);
    }
    parts.join("/")
}

/// What an update changes first, such as `SET slots`.
fn first_change(request: &Value) -> Option<String> {
    let mut words = request["UpdateExpression"].as_str()?.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

fn plain_text(value: &Value) -> String {
    match to_plain(value) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
