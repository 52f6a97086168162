//! Messages in request bodies: the Cloud API's message object, checked against what Meta documents.

use campaign::message::Message;
use serde_json::Value;

use crate::problem::Problem;

/// The message at `pointer` of the body, if WhatsApp may accept it.
pub(crate) fn parse_message(body: Option<Value>, pointer: &str) -> Result<Message, Problem> {
    let body = body.ok_or_else(|| {
        let detail = "is required: the Cloud API's message object without `to`";
        Problem::invalid_field(pointer, detail)
    })?;
    whatsapp::message::validate(&body).map_err(|problem| {
        Problem::invalid_field(format!("{pointer}{}", problem.pointer), problem.reason)
    })?;
    Message::new(body).map_err(|empty| {
        Problem::invalid_field(
            format!("{pointer}{}", empty.pointer),
            "contains `{{}}`, which names no column; write `{{column}}`",
        )
    })
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
