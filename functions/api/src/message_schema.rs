//! The schemas of messages: the Cloud API's message object, as far as it is checked before anything is sent.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// Any message that can be broadcast.
pub enum MessageSchema {}

impl PartialSchema for MessageSchema {
    fn schema() -> RefOr<Schema> {
        let media = ["image", "audio", "video", "document", "sticker"];
        let objects = ["location", "interactive"];
        let mut variants = vec![template_message(), text_message()];
        variants.extend(media.map(|kind| message(kind, &media_object())));
        variants.extend(objects.map(|kind| message(kind, &json!({"type": "object"}))));
        variants.push(message("contacts", &json!({"type": "array"})));
        parse_schema(json!({
            "description": "The Cloud API's message object without `to`. Any string in it may contain `{{column}}`.",
            "oneOf": variants,
            "example": {"type": "text", "text": {"body": "Hello {{name}}"}},
        }))
    }
}

impl ToSchema for MessageSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Message")
    }
}

/// A template message.
pub enum TemplateMessageSchema {}

impl PartialSchema for TemplateMessageSchema {
    fn schema() -> RefOr<Schema> {
        parse_schema(template_message())
    }
}

impl ToSchema for TemplateMessageSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("TemplateMessage")
    }
}

fn template_message() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    let template = json!({
        "type": "object",
        "required": ["name", "language"],
        "properties": {
            "name": text,
            "language": {"type": "object", "required": ["code"], "properties": {"code": text}},
            "components": {"type": "array", "items": {"type": "object"}},
        },
    });
    message("template", &template)
}

fn text_message() -> Value {
    let text = json!({
        "type": "object",
        "required": ["body"],
        "properties": {"body": {"type": "string", "minLength": 1, "maxLength": 4096}},
    });
    message("text", &text)
}

/// Media have either an `id`, of an earlier upload to Meta, or a `link`.
fn media_object() -> Value {
    let with = |key: &str| {
        json!({
            "type": "object",
            "required": [key],
            "properties": {key: {"type": "string", "minLength": 1}},
        })
    };
    json!({"oneOf": [with("id"), with("link")]})
}

fn message(kind: &str, content: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["type", kind],
        "properties": {"type": {"type": "string", "enum": [kind]}, kind: content},
    })
}

/// A schema of this file; one that does not parse fails every test of the description.
fn parse_schema(schema: Value) -> RefOr<Schema> {
    serde_json::from_value(schema).expect("the schema is well-formed")
}
