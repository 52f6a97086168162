//! The message of a campaign: a message object of the Cloud API in which any string may contain placeholders.
//!
//! `{{column}}` stands for the row's value in that column, `{{column|fallback}}` for the value or, if it is
//! blank, for the fallback.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message with placeholders, and the columns that they name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Message {
    body: Value,
    columns: Vec<String>,
}

/// A placeholder without a column name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: `{{{{}}}}` names no column; write `{{{{column}}}}`")]
pub struct EmptyPlaceholder {
    /// JSON pointer to the string, such as `/text/body`.
    pub pointer: String,
}

impl Message {
    /// Finds the placeholders in `body`.
    pub fn new(body: Value) -> Result<Self, EmptyPlaceholder> {
        let mut columns: Vec<String> = Vec::new();
        for (pointer, text) in strings(&body) {
            for name in placeholder_names(text) {
                if name.is_empty() {
                    return Err(EmptyPlaceholder { pointer });
                }
                if !columns.iter().any(|known| is_same_column(known, name)) {
                    columns.push(name.to_owned());
                }
            }
        }
        sort_columns(&mut columns);
        Ok(Self { body, columns })
    }

    /// Adds the columns of another message, so that the values of one row serve both messages.
    pub fn merge_columns(mut self, other: &Message) -> Self {
        for column in &other.columns {
            if self.column_index(column).is_none() {
                self.columns.push(column.clone());
            }
        }
        sort_columns(&mut self.columns);
        self
    }

    /// With these columns, which contain its own, in place of its own.
    pub fn with_columns(self, columns: Vec<String>) -> Self {
        Self { columns, ..self }
    }

    /// Whether the message is a template, which may be sent outside the service window.
    pub fn is_template(&self) -> bool {
        self.body["type"] == "template"
    }

    /// The columns that the message uses, each once, sorted. The values of a row are in this order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The message as the operator wrote it.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The message for one row. `values` are in the order of [`Message::columns`]; missing ones count as empty.
    pub fn fill(&self, values: &[String]) -> Value {
        let lookup = |name: &str| {
            self.column_index(name)
                .and_then(|index| values.get(index))
                .map_or("", String::as_str)
        };
        fill_placeholders(&self.body, &lookup)
    }

    /// Every string that contains placeholders, with its JSON pointer.
    pub fn placeholder_texts(&self) -> Vec<(String, Text)> {
        strings(&self.body)
            .into_iter()
            .filter(|(_, text)| has_placeholders(text))
            .map(|(pointer, text)| (pointer, self.resolve(text)))
            .collect()
    }

    fn resolve(&self, text: &str) -> Text {
        let resolve_segment = |segment| match segment {
            Segment::Literal(text) => Part::Literal(text.to_owned()),
            Segment::Placeholder { name, fallback } => Part::Placeholder {
                column: self.column_index(name).unwrap_or_default(),
                fallback: fallback.to_owned(),
            },
        };
        let parts = segments(text).map(resolve_segment).collect();
        Text { parts }
    }

    fn column_index(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| is_same_column(column, name))
    }

    /// Whether any string at or below `pointer`, such as `/template/components`, depends on the row.
    pub fn varies_at(&self, pointer: &str) -> bool {
        self.body.pointer(pointer).is_some_and(|value| {
            strings(value)
                .iter()
                .any(|(_, text)| has_placeholders(text))
        })
    }
}

impl TryFrom<Value> for Message {
    type Error = EmptyPlaceholder;

    fn try_from(body: Value) -> Result<Self, Self::Error> {
        Self::new(body)
    }
}

impl From<Message> for Value {
    fn from(message: Message) -> Self {
        message.body
    }
}

/// A string of a message, split at its placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The parts, in order.
    pub parts: Vec<Part>,
}

/// A part of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that is the same for every row.
    Literal(String),
    /// A value of the row.
    Placeholder {
        /// Index in [`Message::columns`].
        column: usize,
        /// Replaces a blank value.
        fallback: String,
    },
}

impl Text {
    /// Writes the string for one row to `filled`, which is cleared first. Reusing one buffer saves an
    /// allocation a string.
    pub fn fill_into(&self, values: &[String], filled: &mut String) {
        filled.clear();
        for part in &self.parts {
            filled.push_str(match part {
                Part::Literal(text) => text,
                Part::Placeholder { column, fallback } => {
                    let value = values.get(*column).map_or("", String::as_str);
                    value_or_fallback(value, fallback)
                }
            });
        }
    }
}

/// Whether two names mean the same column: case and surrounding spaces do not matter.
pub fn is_same_column(left: &str, right: &str) -> bool {
    left.trim().to_lowercase() == right.trim().to_lowercase()
}

/// Sorts columns by name, so that their order does not depend on that of the fields in the message, which the table that
/// stores messages does not keep.
fn sort_columns(columns: &mut [String]) {
    columns.sort_by_key(|column| column.to_lowercase());
}

fn value_or_fallback<'t>(value: &'t str, fallback: &'t str) -> &'t str {
    if value.trim().is_empty() {
        fallback
    } else {
        value
    }
}

/// All strings in `value`, keys excluded, each with its JSON pointer.
fn strings(value: &Value) -> Vec<(String, &str)> {
    fn collect<'v>(value: &'v Value, pointer: String, found: &mut Vec<(String, &'v str)>) {
        match value {
            Value::String(text) => found.push((pointer, text)),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    collect(item, format!("{pointer}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    collect(field, format!("{pointer}/{key}"), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    collect(value, String::new(), &mut found);
    found
}

fn fill_placeholders<'v>(value: &Value, lookup: &impl Fn(&str) -> &'v str) -> Value {
    match value {
        Value::String(text) => {
            let fill_segment = |segment| match segment {
                Segment::Literal(text) => text,
                Segment::Placeholder { name, fallback } => {
                    value_or_fallback(lookup(name), fallback)
                }
            };
            Value::String(segments(text).map(fill_segment).collect())
        }
        Value::Array(items) => items
            .iter()
            .map(|item| fill_placeholders(item, lookup))
            .collect(),
        Value::Object(fields) => {
            let filled = fields
                .iter()
                .map(|(key, field)| (key.clone(), fill_placeholders(field, lookup)));
            Value::Object(filled.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A part of a string as it is written in the message.
#[derive(Debug, PartialEq)]
enum Segment<'t> {
    Literal(&'t str),
    Placeholder { name: &'t str, fallback: &'t str },
}

/// Splits text at `{{` … `}}`. A `{{` without a `}}` after it is literal text.
fn segments(text: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut remaining = text;
    std::iter::from_fn(move || {
        if remaining.is_empty() {
            return None;
        }
        let Some((before, inside, after)) = find_placeholder(remaining) else {
            return Some(Segment::Literal(std::mem::take(&mut remaining)));
        };
        if !before.is_empty() {
            remaining = &remaining[before.len()..];
            return Some(Segment::Literal(before));
        }
        remaining = after;
        let (name, fallback) = inside.split_once('|').unwrap_or((inside, ""));
        Some(Segment::Placeholder {
            name: name.trim(),
            fallback: fallback.trim(),
        })
    })
}

/// The first placeholder: the text before it, its inside, and the text after it.
fn find_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, opened) = text.split_once("{{")?;
    let (inside, after) = opened.split_once("}}")?;
    Some((before, inside, after))
}

fn placeholder_names(text: &str) -> impl Iterator<Item = &str> {
    segments(text).filter_map(|segment| match segment {
        Segment::Literal(_) => None,
        Segment::Placeholder { name, .. } => Some(name),
    })
}

fn has_placeholders(text: &str) -> bool {
    placeholder_names(text).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn finds_each_column_once_and_fills_every_placeholder() {
        let message = Message::new(json!({
            "type": "template",
            "template": {"name": "order_{{Plan}}", "components": [
                {"type": "body", "parameters": [
                    {"type": "text", "text": "{{ name }}"},
                    {"type": "text", "text": "{{Name}} owes {{amount}}"}]},
            ]}
        }))
        .expect("valid");
        assert_eq!(message.columns(), ["amount", "name", "Plan"]);
        let filled = message.fill(&["3".into(), "Ana".into(), "x".into()]);
        assert_eq!(filled["template"]["name"], "order_x");
        assert_eq!(
            filled["template"]["components"][0]["parameters"][1]["text"],
            "Ana owes 3"
        );
        assert!(message.varies_at("/template/components"));
        assert!(!message.varies_at("/type"));
    }

    #[test]
    fn fallback_replaces_a_blank_value() {
        let message = Message::new(json!({"text": {"body": "Hi {{name | there}}, {{name}}!"}}))
            .expect("valid");
        assert_eq!(message.columns(), ["name"]);
        let body = |value: &str| message.fill(&[value.to_owned()])["text"]["body"].clone();
        assert_eq!(body("Ana"), "Hi Ana, Ana!");
        assert_eq!(body(" "), "Hi there, !");
        let [(pointer, text)] = &message.placeholder_texts()[..] else {
            panic!("one text")
        };
        let mut filled = String::new();
        text.fill_into(&["Bo".into()], &mut filled);
        assert_eq!(
            (pointer.as_str(), filled.as_str()),
            ("/text/body", "Hi Bo, Bo!")
        );
    }

    #[test]
    fn order_of_columns_does_not_depend_on_order_of_fields() {
        let one =
            json!({"text": {"body": "{{b}}"}, "type": "{{c}}", "context": {"message_id": "{{A}}"}});
        let two =
            json!({"context": {"message_id": "{{A}}"}, "type": "{{c}}", "text": {"body": "{{b}}"}});
        for body in [one, two] {
            assert_eq!(
                Message::new(body).expect("valid").columns(),
                ["A", "b", "c"]
            );
        }
    }

    #[test]
    fn rejects_empty_placeholder_with_its_pointer() {
        let error = Message::new(json!({"text": {"body": "hi {{ }}"}})).expect_err("empty");
        assert_eq!(error.pointer, "/text/body");
    }

    #[test]
    fn value_that_looks_like_a_placeholder_is_not_filled() {
        let message = Message::new(json!({"text": {"body": "{{a}}{{b}}"}})).expect("valid");
        let filled = message.fill(&["{{b}}".into(), "x".into()]);
        assert_eq!(filled["text"]["body"], "{{b}}x");
    }

    proptest! {
        #[test]
        fn text_without_placeholders_stays_unchanged(body in "[^{}]{0,40}\\{?[^{}]{0,40}\\}{0,2}") {
            let message = Message::new(json!({"text": {"body": body}})).expect("no placeholders");
            prop_assert_eq!(message.fill(&[]), json!({"text": {"body": body}}));
        }
    }
}
