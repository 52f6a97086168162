//! Times in requests and responses: RFC 3339.

use campaign::time::Millis;
use jiff::Timestamp;

use crate::problem::Problem;

/// The time of a parameter or field, in milliseconds since the Unix epoch; a time before that counts as the epoch.
/// The error says what is expected.
pub fn parse_time(text: &str) -> Result<Millis, &'static str> {
    let time: Timestamp = text.parse().map_err(|_| {
        "must be a time with its zone, such as 2026-12-01T08:00:00Z or 2026-12-01T09:00:00+01:00"
    })?;
    Ok(Millis::try_from(time.as_millisecond()).unwrap_or(0))
}

/// The time of an optional field of the body.
pub(crate) fn parse_time_field(
    text: Option<&str>,
    pointer: &str,
) -> Result<Option<Millis>, Problem> {
    text.map(parse_time)
        .transpose()
        .map_err(|detail| Problem::invalid_field(pointer, detail))
}

/// A time as text, in UTC.
pub fn format_time(at: Millis) -> String {
    let millis = i64::try_from(at).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis)
        .map(|at| at.to_string())
        .unwrap_or_default()
}
