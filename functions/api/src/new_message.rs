//! Messages in request bodies: the Cloud API's message object, checked against what Meta documents.

use campaign::contacts::contact::Contact;
use campaign::id::NumberId;
use campaign::message::Message;
use campaign::time::Millis;
use serde_json::Value;

use crate::problem::Problem;

/// Levels of objects and lists in a message.
const MAX_DEPTH: usize = 24;

/// Magnitudes of numbers that DynamoDB stores, apart from 0.
const STORABLE_MAGNITUDES: std::ops::RangeInclusive<f64> = 1e-130..=1e125;

/// The message at `pointer` of the body, if WhatsApp may accept it.
pub(crate) fn parse_message(body: Option<Value>, pointer: &str) -> Result<Message, Problem> {
    let body = body.ok_or_else(|| {
        let detail = "is required: the Cloud API's message object without `to`";
        Problem::invalid_field(pointer, detail)
    })?;
    whatsapp::message::validate(&body).map_err(|problem| {
        Problem::invalid_field(format!("{pointer}{}", problem.pointer), problem.reason)
    })?;
    check_storable(&body, pointer, 0)?;
    Message::new(body).map_err(|empty| {
        Problem::invalid_field(
            format!("{pointer}{}", empty.pointer),
            "contains `{{}}`, which names no column; write `{{column}}`",
        )
    })
}

/// DynamoDB stores values nested up to 32 levels, of which the item around the message uses some; it stores numbers of a
/// magnitude below 1e126 and no field without a name (AWS, "Supported data types and naming rules in Amazon DynamoDB").
fn check_storable(value: &Value, pointer: &str, depth: usize) -> Result<(), Problem> {
    if depth > MAX_DEPTH {
        let detail = format!("is nested more than {MAX_DEPTH} levels deep; flatten it");
        return Err(Problem::invalid_field(pointer, detail));
    }
    match value {
        Value::Number(number) => {
            let magnitude = number.as_f64().unwrap_or_default().abs();
            if magnitude != 0.0 && !STORABLE_MAGNITUDES.contains(&magnitude) {
                let detail =
                    "must be 0 or a number of a magnitude from 1e-130 to 1e125; write it as text";
                return Err(Problem::invalid_field(pointer, detail));
            }
            Ok(())
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            check_storable(item, &format!("{pointer}/{index}"), depth + 1)
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(name, field)| {
            let pointer = format!("{pointer}/{name}");
            if name.is_empty() {
                let detail = "must have a name; an empty one cannot be stored";
                return Err(Problem::invalid_field(pointer, detail));
            }
            check_storable(field, &pointer, depth + 1)
        }),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// The template that replaces a message outside of the service window.
pub(crate) fn parse_fallback(
    body: Option<Value>,
    message: &Message,
) -> Result<Option<Message>, Problem> {
    let Some(body) = body else {
        return Ok(None);
    };
    let fallback = parse_message(Some(body), "/fallback")?;
    if message.is_template() {
        let detail =
            "is not needed: the message is a template, which may be sent at any time; leave it out";
        return Err(Problem::invalid_field("/fallback", detail));
    }
    if !fallback.is_template() {
        let detail = "must be a template: WhatsApp rejects other messages to recipients who have not written within a day";
        return Err(Problem::invalid_field("/fallback/type", detail));
    }
    Ok(Some(fallback))
}

/// Refuses a message that may not be sent to this contact now, from the number `sender`.
pub(crate) fn check_recipient(
    contact: &Contact,
    message: &Message,
    sender: &NumberId,
    now: Millis,
) -> Result<(), Problem> {
    if contact.suppressed {
        return Err(Problem::suppressed_contact());
    }
    if !message.is_template() && contact.service_window_end(sender, now).is_none() {
        return Err(Problem::outside_service_window());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn message_that_dynamodb_cannot_store_names_its_field() {
        let deep = (0..30).fold(json!({}), |inner, _| json!({"a": inner}));
        for (field, value, pointer) in [
            ("latitude", json!(-1e300), "/message/location/latitude"),
            ("latitude", json!(1e-200), "/message/location/latitude"),
            ("", json!(1), "/message/location/"),
        ] {
            let body = json!({"type": "location", "location": {field: value}});
            let problem = parse_message(Some(body), "/message").expect_err(field);
            assert_eq!(problem.field.as_deref(), Some(pointer), "{problem:?}");
        }
        let body = json!({"type": "location", "location": deep});
        assert!(parse_message(Some(body), "/message").is_err());
        let body = json!({"type": "location", "location": {"latitude": -23.5, "longitude": 0}});
        assert!(parse_message(Some(body), "/message").is_ok());
    }
}
