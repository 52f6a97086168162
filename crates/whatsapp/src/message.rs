//! What may be sent: the message object checked against what Meta documents, and the request for one row.

use campaign::delivery::outcome::{Millis, RetryContext};
use campaign::id::CorrelationId;
use campaign::import::phone::Phone;
use campaign::message::Message;
use serde_json::{Map, Value, json};

/// Text bodies and captions, in characters (Meta, "Text messages", "Image messages").
const MAX_BODY: usize = 4096;
const MAX_CAPTION: usize = 1024;

/// A message that WhatsApp would refuse, with the place at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct InvalidMessage {
    /// JSON pointer within the message, such as `/template/components/0/type`.
    pub pointer: String,
    /// What is wrong and what is expected.
    pub reason: String,
}

fn invalid<T>(pointer: impl Into<String>, problem: impl Into<String>) -> Result<T, InvalidMessage> {
    Err(InvalidMessage {
        pointer: pointer.into(),
        reason: problem.into(),
    })
}

/// The request for one row.
pub fn build_request(mut filled: Value, to: Phone, tracker: &CorrelationId) -> Value {
    if let Some(fields) = filled.as_object_mut() {
        fields.insert("messaging_product".into(), json!("whatsapp"));
        fields.insert("recipient_type".into(), json!("individual"));
        fields.insert("to".into(), json!(to));
        fields.insert(
            "biz_opaque_callback_data".into(),
            json!(tracker.to_string()),
        );
    }
    filled
}

/// Checks a campaign's message object: the Cloud API's, without `to`.
pub fn validate(message: &Value) -> Result<(), InvalidMessage> {
    let Some(fields) = message.as_object() else {
        return invalid(
            "",
            "must be an object, such as {\"type\": \"template\", \"template\": {…}}",
        );
    };
    for ours in [
        "to",
        "recipient",
        "recipient_type",
        "biz_opaque_callback_data",
    ] {
        if fields.contains_key(ours) {
            return invalid(
                format!("/{ours}"),
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
        "template" => template(object(fields, kind, &pointer)?),
        "text" => text(object(fields, kind, &pointer)?),
        "image" | "audio" | "video" | "document" | "sticker" => {
            media(object(fields, kind, &pointer)?, &pointer)
        }
        "location" | "interactive" => object(fields, kind, &pointer).map(drop),
        "contacts" => array(fields, kind, &pointer).map(drop),
        other => invalid(
            "/type",
            format!(
                "`{other}` cannot be broadcast; use template, text, image, audio, video, document, sticker, location, contacts or interactive"
            ),
        ),
    }
}

fn text(text: &Map<String, Value>) -> Result<(), InvalidMessage> {
    let body = string(text, "body", "/text/body")?;
    at_most(body, MAX_BODY, "/text/body")
}

/// Media come by `id` (uploaded before) or by `link`, never both.
fn media(media: &Map<String, Value>, pointer: &str) -> Result<(), InvalidMessage> {
    match (media.contains_key("id"), media.contains_key("link")) {
        (true, false) => string(media, "id", &format!("{pointer}/id"))?,
        (false, true) => string(media, "link", &format!("{pointer}/link"))?,
        _ => return invalid(pointer, "needs either `id` or `link`"),
    };
    let caption = media
        .get("caption")
        .and_then(Value::as_str)
        .unwrap_or_default();
    at_most(caption, MAX_CAPTION, &format!("{pointer}/caption"))
}

fn template(template: &Map<String, Value>) -> Result<(), InvalidMessage> {
    string(template, "name", "/template/name")?;
    let language = object(template, "language", "/template/language")?;
    string(language, "code", "/template/language/code")?;
    if !template.contains_key("components") {
        return Ok(());
    }
    for (index, value) in array(template, "components", "/template/components")?
        .iter()
        .enumerate()
    {
        let pointer = format!("/template/components/{index}");
        let Some(fields) = value.as_object() else {
            return invalid(pointer, "must be an object");
        };
        component(fields, &pointer)?;
    }
    Ok(())
}

fn component(component: &Map<String, Value>, pointer: &str) -> Result<(), InvalidMessage> {
    match string(component, "type", &format!("{pointer}/type"))? {
        "header" | "body" => {}
        "button" => button(component, pointer)?,
        // Carousels and limited-time offers nest components of their own; Meta checks those.
        "carousel" | "limited_time_offer" => return Ok(()),
        other => {
            return invalid(
                format!("{pointer}/type"),
                format!("`{other}` is none of header, body, button, carousel, limited_time_offer"),
            );
        }
    }
    let pointer = format!("{pointer}/parameters");
    let parameters = array(component, "parameters", &pointer)?;
    for (index, value) in parameters.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let Some(fields) = value.as_object() else {
            return invalid(pointer, "must be an object");
        };
        parameter(fields, &pointer)?;
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

fn button(button: &Map<String, Value>, pointer: &str) -> Result<(), InvalidMessage> {
    string(button, "sub_type", &format!("{pointer}/sub_type"))?;
    match button.get("index") {
        Some(Value::String(_) | Value::Number(_)) => Ok(()),
        _ => invalid(
            format!("{pointer}/index"),
            "is required, such as \"0\" for the first button",
        ),
    }
}

fn parameter(parameter: &Map<String, Value>, pointer: &str) -> Result<(), InvalidMessage> {
    let kind = string(parameter, "type", &format!("{pointer}/type"))?;
    let below = format!("{pointer}/{kind}");
    match kind {
        "text" | "payload" | "coupon_code" => string(parameter, kind, &below).map(drop),
        "image" | "video" | "document" => media(object(parameter, kind, &below)?, &below),
        // currency, date_time, location, action and whatever Meta adds: an object of that name.
        other => object(parameter, other, &below).map(drop),
    }
}

fn object<'m>(
    fields: &'m Map<String, Value>,
    key: &str,
    pointer: &str,
) -> Result<&'m Map<String, Value>, InvalidMessage> {
    match fields.get(key).and_then(Value::as_object) {
        Some(object) => Ok(object),
        None => invalid(pointer, "is required and must be an object"),
    }
}

fn array<'m>(
    fields: &'m Map<String, Value>,
    key: &str,
    pointer: &str,
) -> Result<&'m Vec<Value>, InvalidMessage> {
    match fields.get(key).and_then(Value::as_array) {
        Some(items) => Ok(items),
        None => invalid(pointer, "is required and must be a list"),
    }
}

fn string<'m>(
    fields: &'m Map<String, Value>,
    key: &str,
    pointer: &str,
) -> Result<&'m str, InvalidMessage> {
    match fields.get(key).and_then(Value::as_str) {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => invalid(pointer, "is required and must be text"),
    }
}

fn at_most(text: &str, limit: usize, pointer: &str) -> Result<(), InvalidMessage> {
    if text.chars().count() > limit {
        return invalid(pointer, format!("is longer than {limit} characters"));
    }
    Ok(())
}

/// Whether the link or id of a media file comes from the row.
fn media_varies(message: &Message) -> bool {
    let texts = message.placeholder_texts();
    texts
        .iter()
        .any(|(pointer, _)| pointer.ends_with("/link") || pointer.ends_with("/id"))
}

/// What a decision about an attempt depends on, as far as the message tells; of a campaign that was proven, without jitter.
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
