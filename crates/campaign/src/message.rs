//! The campaign's message: a Cloud API message object in which any string may hold `{{column}}`, or
//! `{{column|text}}` with what stands there where the cell is empty.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message with places to fill in, and the columns those places name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Message {
    body: Value,
    columns: Vec<String>,
}

/// A place in a message that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: `{{{{}}}}` names no column; write `{{{{column}}}}`")]
pub struct EmptyPlaceholder {
    /// JSON pointer to the string, such as `/text/body`.
    pub pointer: String,
}

impl Message {
    /// Finds the places of `body`.
    pub fn new(body: Value) -> Result<Self, EmptyPlaceholder> {
        let mut columns = Vec::new();
        collect_columns(&body, "", &mut columns)?;
        // Splitter and sender each read the message from the table, which keeps no order of fields: the order of the
        // columns must not depend on it, or values would end up in each other's places.
        columns.sort_by_key(|column| column.to_lowercase());
        Ok(Self { body, columns })
    }

    /// The message with these columns beside its own, so that the values of one row serve both it and another.
    pub fn merge_columns(mut self, other: &Message) -> Self {
        for column in &other.columns {
            if self.column_index(column).is_none() {
                self.columns.push(column.clone());
            }
        }
        self.columns.sort_by_key(|column| column.to_lowercase());
        self
    }

    /// Whether it is a template, which may be sent at any time.
    pub fn is_template(&self) -> bool {
        self.body["type"] == "template"
    }

    /// The columns the message names, each once, sorted; a batch's values are in this order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The message as the operator gave it.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The message for one row; `values` are in the order of [`Message::columns`], absent ones empty.
    pub fn fill(&self, values: &[String]) -> Value {
        let lookup = |name: &str| {
            self.column_index(name)
                .and_then(|at| values.get(at))
                .map_or("", String::as_str)
        };
        fill_placeholders(&self.body, &lookup)
    }

    /// Every string with places in it, by its JSON pointer.
    pub fn placeholder_texts(&self) -> Vec<(String, Text)> {
        let mut texts = Vec::new();
        self.collect_texts(&self.body, "", &mut texts);
        texts
    }

    fn collect_texts(&self, value: &Value, pointer: &str, texts: &mut Vec<(String, Text)>) {
        match value {
            Value::String(text) => {
                let parts: Vec<Part> = segments(text)
                    .map(|piece| self.resolve_segment(piece))
                    .collect();
                if parts
                    .iter()
                    .any(|part| matches!(part, Part::Placeholder { .. }))
                {
                    texts.push((pointer.to_owned(), Text { parts }));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect_texts(item, &format!("{pointer}/{index}"), texts);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    self.collect_texts(field, &format!("{pointer}/{key}"), texts);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn resolve_segment(&self, piece: Segment<'_>) -> Part {
        match piece {
            Segment::Text(text) => Part::Literal(text.to_owned()),
            Segment::Placeholder { name, fallback } => Part::Placeholder {
                column: self.column_index(name).unwrap_or_default(),
                fallback: fallback.unwrap_or_default().to_owned(),
            },
        }
    }

    fn column_index(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| is_same_column(column, name))
    }

    /// Whether any string below `pointer` (such as `/template/components`) depends on the row.
    pub fn varies_at(&self, pointer: &str) -> bool {
        let mut columns = Vec::new();
        let below = self.body.pointer(pointer);
        below.is_some_and(|value| {
            collect_columns(value, "", &mut columns).is_ok() && !columns.is_empty()
        })
    }
}

/// A string of a message, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// In their order.
    pub parts: Vec<Part>,
}

/// A part of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As the operator wrote it.
    Literal(String),
    /// A value of the row.
    Placeholder {
        /// Index in [`Message::columns`].
        column: usize,
        /// What stands there where the value is empty.
        fallback: String,
    },
}

impl Text {
    /// The string for one row, written over `filled`.
    pub fn fill_into(&self, values: &[String], filled: &mut String) {
        filled.clear();
        for part in &self.parts {
            filled.push_str(match part {
                Part::Literal(text) => text,
                Part::Placeholder { column, fallback } => {
                    value_or_fallback(values.get(*column).map_or("", String::as_str), fallback)
                }
            });
        }
    }
}

/// A value, or its fallback where there is nothing to see in it.
fn value_or_fallback<'t>(value: &'t str, fallback: &'t str) -> &'t str {
    if value.trim().is_empty() {
        fallback
    } else {
        value
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

/// Column names match whatever their case and surrounding spaces.
pub fn is_same_column(left: &str, right: &str) -> bool {
    left.trim().to_lowercase() == right.trim().to_lowercase()
}

fn collect_columns(
    value: &Value,
    pointer: &str,
    columns: &mut Vec<String>,
) -> Result<(), EmptyPlaceholder> {
    match value {
        Value::String(text) => {
            for piece in segments(text) {
                let Segment::Placeholder { name, .. } = piece else {
                    continue;
                };
                if name.is_empty() {
                    return Err(EmptyPlaceholder {
                        pointer: pointer.to_owned(),
                    });
                }
                if !columns.iter().any(|known| is_same_column(known, name)) {
                    columns.push(name.to_owned());
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_columns(item, &format!("{pointer}/{index}"), columns)?;
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                collect_columns(field, &format!("{pointer}/{key}"), columns)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn fill_placeholders<'v>(value: &Value, lookup: &impl Fn(&str) -> &'v str) -> Value {
    match value {
        Value::String(text) => {
            let fill_piece = |piece| match piece {
                Segment::Text(text) => text,
                Segment::Placeholder { name, fallback } => {
                    value_or_fallback(lookup(name), fallback.unwrap_or_default())
                }
            };
            Value::String(segments(text).map(fill_piece).collect())
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

#[derive(Debug, PartialEq)]
enum Segment<'t> {
    Text(&'t str),
    Placeholder {
        name: &'t str,
        fallback: Option<&'t str>,
    },
}

/// Splits at `{{` … `}}`; an opening without its closing is text.
fn segments(text: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let opened = rest.find("{{");
        let place =
            opened.and_then(|open| rest[open..].find("}}").map(|close| (open, open + close)));
        let piece = match place {
            Some((0, close)) => {
                let (name, fallback) = match rest[2..close].split_once('|') {
                    Some((name, fallback)) => (name.trim(), Some(fallback.trim())),
                    None => (rest[2..close].trim(), None),
                };
                rest = &rest[close + 2..];
                Segment::Placeholder { name, fallback }
            }
            Some((open, _)) => {
                let before = &rest[..open];
                rest = &rest[open..];
                Segment::Text(before)
            }
            None => Segment::Text(std::mem::take(&mut rest)),
        };
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn places_are_found_once_and_filled_everywhere() {
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
    fn a_fallback_stands_where_a_cell_is_empty() {
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
    fn the_order_of_columns_is_not_that_of_the_fields() {
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
    fn an_empty_place_is_refused_with_its_pointer() {
        let refused = Message::new(json!({"text": {"body": "hi {{ }}"}})).expect_err("empty place");
        assert_eq!(refused.pointer, "/text/body");
    }

    #[test]
    fn a_value_that_looks_like_a_place_is_not_filled_again() {
        let message = Message::new(json!({"text": {"body": "{{a}}{{b}}"}})).expect("valid");
        let filled = message.fill(&["{{b}}".into(), "x".into()]);
        assert_eq!(filled["text"]["body"], "{{b}}x");
    }

    proptest! {
        #[test]
        fn text_without_places_is_left_alone(body in "[^{}]{0,40}\\{?[^{}]{0,40}\\}{0,2}") {
            let message = Message::new(json!({"text": {"body": body}})).expect("no places");
            prop_assert_eq!(message.fill(&[]), json!({"text": {"body": body}}));
        }
    }
}
