//! Lenient access to the JSON of callbacks.

use campaign::delivery::outcome::ErrorInfo;
use campaign::time::Millis;
use serde_json::Value;

/// A string that is not empty.
pub(crate) fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// A number or an id, which Meta writes as a string or as a number.
pub(crate) fn digits(value: &Value) -> Option<String> {
    text(value).or_else(|| value.as_u64().map(|number| number.to_string()))
}

/// The items of a list. None if it is absent.
pub(crate) fn list_items<'v>(value: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    value[list].as_array().into_iter().flatten()
}

/// A timestamp in milliseconds. Meta documents seconds as a string; numbers and milliseconds have been seen.
pub(crate) fn parse_timestamp(timestamp: &Value) -> Option<Millis> {
    const YEAR_5138_IN_SECONDS: u64 = 100_000_000_000;
    let number = timestamp
        .as_u64()
        .or_else(|| timestamp.as_str()?.trim().parse().ok())?;
    Some(if number < YEAR_5138_IN_SECONDS {
        number * 1000
    } else {
        number
    })
}

/// An error object of a callback.
pub(crate) fn parse_error(error: &Value) -> ErrorInfo {
    let details = text(&error["error_data"]["details"]).or_else(|| text(&error["error_data"]));
    let title = text(&error["title"])
        .or_else(|| text(&error["message"]))
        .unwrap_or_default();
    ErrorInfo {
        code: error["code"].as_i64(),
        title,
        details,
        fbtrace_id: None,
    }
}
