//! What can be sent: validates the message object of a campaign, and builds the request for one row.

use campaign::delivery::outcome::RetryContext;
use campaign::id::CorrelationId;
use campaign::import::phone::Phone;
use campaign::message::Message;
use campaign::time::Millis;
use serde_json::{Map, Value, json};

use crate::limits::{MAX_CAPTION_CHARS, MAX_TEXT_CHARS, max_interactive_body};

/// A message that WhatsApp would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct InvalidMessage {
    /// JSON pointer to the invalid field, such as `/template/components/0/type`.
    pub pointer: String,
    /// What is wrong and what is expected.
    pub reason: String,
}

fn invalid<T>(pointer: impl Into<String>, reason: impl Into<String>) -> Result<T, InvalidMessage> {
    Err(InvalidMessage {
        pointer: pointer.into(),
        reason: reason.into(),
    })
}

/// Builds the request for one row. `filled` is the message with the row's values.
pub fn build_request(mut filled: Value, to: Phone, correlation_id: &CorrelationId) -> Value {
    if let Some(fields) = filled.as_object_mut() {
        fields.insert("messaging_product".into(), json!("whatsapp"));
        fields.insert("recipient_type".into(), json!("individual"));
        fields.insert("to".into(), json!(to));
        fields.insert(
            "biz_opaque_callback_data".into(),
            json!(correlation_id.to_string()),
        );
    }
    filled
}

/// Validates a campaign's message object. It is the Cloud API's, without the fields that Crier sets for each row.
pub fn validate(message: &Value) -> Result<(), InvalidMessage> {
    let Some(fields) = message.as_object() else {
        return invalid(
            "",
            "must be an object, such as {\"type\": \"template\", \"template\": {…}}",
        );
    };
    for field in [
        "to",
        "recipient",
        "recipient_type",
        "biz_opaque_callback_data",
    ] {
        if fields.contains_key(field) {
            return invalid(
                format!("/{field}"),
                "is set by Crier for each row; leave it out",
            );
        }
    }
    if fields
        .get("messaging_product")
        .is_some_and(|product| product != "whatsapp")
    {
        return invalid("/messaging_product", "must be \"whatsapp\" or absent");
    }
    let Some(kind) = fields.get("type").and_then(Value::as_str) else {
        return invalid("/type", "is required, such as \"template\" or \"text\"");
    };
    let pointer = format!("/{kind}");
    match kind {
        "template" => validate_template(require_object(fields, kind, &pointer)?),
        "text" => validate_text(require_object(fields, kind, &pointer)?),
        "image" | "audio" | "video" | "document" | "sticker" => {
            validate_media(require_object(fields, kind, &pointer)?, &pointer)
        }
        "location" => require_object(fields, kind, &pointer).map(drop),
        "interactive" => {
            require_object(fields, kind, &pointer)?;
            let body = message.pointer("/interactive/body/text");
            let body = body.and_then(Value::as_str).unwrap_or_default();
            require_at_most(
                body,
                max_interactive_body(message),
                "/interactive/body/text",
            )
        }
        "contacts" => require_list(fields, kind, &pointer).map(drop),
        other => invalid(
            "/type",
            format!(
                "`{other}` cannot be broadcast; use template, text, image, audio, video, document, sticker, location, contacts or interactive"
            ),
        ),
    }
}

fn validate_text(text: &Map<String, Value>) -> Result<(), InvalidMessage> {
    let body = require_text(text, "body", "/text/body")?;
    require_at_most(body, MAX_TEXT_CHARS, "/text/body")
}

/// Media has either an `id` (uploaded before) or a `link`.
fn validate_media(media: &Map<String, Value>, pointer: &str) -> Result<(), InvalidMessage> {
    match (media.contains_key("id"), media.contains_key("link")) {
        (true, false) => require_text(media, "id", &format!("{pointer}/id"))?,
        (false, true) => require_text(media, "link", &format!("{pointer}/link"))?,
        _ => return invalid(pointer, "needs either `id` or `link`"),
    };
    let caption = media
        .get("caption")
        .and_then(Value::as_str)
        .unwrap_or_default();
    require_at_most(caption, MAX_CAPTION_CHARS, &format!("{pointer}/caption"))
}

fn validate_template(template: &Map<String, Value>) -> Result<(), InvalidMessage> {
    require_text(template, "name", "/template/name")?;
    let language = require_object(template, "language", "/template/language")?;
    require_text(language, "code", "/template/language/code")?;
    if !template.contains_key("components") {
        return Ok(());
    }
    for (index, value) in require_list(template, "components", "/template/components")?
        .iter()
        .enumerate()
    {
        let pointer = format!("/template/components/{index}");
        let Some(fields) = value.as_object() else {
            return invalid(pointer, "must be an object");
        };
        validate_component(fields, &pointer)?;
    }
    Ok(())
}

fn validate_component(component: &Map<String, Value>, pointer: &str) -> Result<(), InvalidMessage> {
    match require_text(component, "type", &format!("{pointer}/type"))? {
        "header" | "body" => {}
        "button" => validate_button(component, pointer)?,
        // Carousels and limited-time offers contain nested components, which Meta validates.
        "carousel" | "limited_time_offer" => return Ok(()),
        other => {
            return invalid(
                format!("{pointer}/type"),
                format!("`{other}` is none of header, body, button, carousel, limited_time_offer"),
            );
        }
    }
    let pointer = format!("{pointer}/parameters");
    let parameters = require_list(component, "parameters", &pointer)?;
    for (index, value) in parameters.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let Some(fields) = value.as_object() else {
            return invalid(pointer, "must be an object");
        };
        validate_parameter(fields, &pointer)?;
    }
    let named = parameters
        .iter()
        .filter(|parameter| parameter.get("parameter_name").is_some())
        .count();
    if named != 0 && named != parameters.len() {
        return invalid(pointer, "named and positional parameters do not mix");
    }
    Ok(())
}

fn validate_button(button: &Map<String, Value>, pointer: &str) -> Result<(), InvalidMessage> {
    require_text(button, "sub_type", &format!("{pointer}/sub_type"))?;
    match button.get("index") {
        Some(Value::String(_) | Value::Number(_)) => Ok(()),
        _ => invalid(
            format!("{pointer}/index"),
            "is required, such as \"0\" for the first button",
        ),
    }
}

fn validate_parameter(parameter: &Map<String, Value>, pointer: &str) -> Result<(), InvalidMessage> {
    let kind = require_text(parameter, "type", &format!("{pointer}/type"))?;
    let value_pointer = format!("{pointer}/{kind}");
    match kind {
        "text" | "payload" | "coupon_code" => {
            require_text(parameter, kind, &value_pointer).map(drop)
        }
        "image" | "video" | "document" => validate_media(
            require_object(parameter, kind, &value_pointer)?,
            &value_pointer,
        ),
        // currency, date_time, location, action and types that Meta adds: an object of that name.
        other => require_object(parameter, other, &value_pointer).map(drop),
    }
}

fn require_object<'m>(
    fields: &'m Map<String, Value>,
    key: &str,
    pointer: &str,
) -> Result<&'m Map<String, Value>, InvalidMessage> {
    match fields.get(key).and_then(Value::as_object) {
        Some(object) => Ok(object),
        None => invalid(pointer, "is required and must be an object"),
    }
}

fn require_list<'m>(
    fields: &'m Map<String, Value>,
    key: &str,
    pointer: &str,
) -> Result<&'m Vec<Value>, InvalidMessage> {
    match fields.get(key).and_then(Value::as_array) {
        Some(items) => Ok(items),
        None => invalid(pointer, "is required and must be a list"),
    }
}

fn require_text<'m>(
    fields: &'m Map<String, Value>,
    key: &str,
    pointer: &str,
) -> Result<&'m str, InvalidMessage> {
    match fields.get(key).and_then(Value::as_str) {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => invalid(pointer, "is required and must be text"),
    }
}

fn require_at_most(text: &str, limit: usize, pointer: &str) -> Result<(), InvalidMessage> {
    if text.chars().count() > limit {
        return invalid(pointer, format!("is longer than {limit} characters"));
    }
    Ok(())
}

/// Whether the link or id of a media file comes from the row.
fn media_varies(message: &Message) -> bool {
    message
        .placeholder_texts()
        .iter()
        .any(|(pointer, _)| pointer.ends_with("/link") || pointer.ends_with("/id"))
}

/// The context of a retry decision, as far as the message determines it. Assumes that the campaign has an acceptance, and
/// adds no jitter.
pub fn retry_context(message: &Message, attempt: u32, now: Millis) -> RetryContext {
    RetryContext {
        attempt,
        now,
        values_vary: !message.columns().is_empty(),
        name_varies: message.varies_at("/template/name") || message.varies_at("/template/language"),
        media_varies: media_varies(message),
        has_acceptance: true,
        jitter: 0.0,
    }
}
