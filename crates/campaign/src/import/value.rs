//! Checks the values of a row before anything is sent: what WhatsApp would refuse is cleaned or rejected.
//!
//! `whatsapp::limits` knows what WhatsApp accepts in which string of a message; this module applies those limits.

use serde::{Deserialize, Serialize};

use crate::message::{Message, Part, Text};

/// What happens to white space that WhatsApp refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBadValue {
    /// Line breaks, tabs and long runs of spaces become one space.
    #[default]
    Clean,
    /// The row is rejected.
    Reject,
}

/// What WhatsApp accepts in one string of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// JSON pointer to the string.
    pub pointer: String,
    /// The most characters of the string, placeholders filled.
    pub max_chars: usize,
    /// Whether line breaks, tabs and more than four spaces in a row are refused.
    pub single_line: bool,
    /// Whether the string may be empty.
    pub may_be_empty: bool,
    /// A limit on several strings together, if this is one of them. The body of a template has one.
    pub shared: Option<SharedLimit>,
}

/// A limit on several strings together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedLimit {
    /// The same for all strings of the group.
    pub group: &'static str,
    /// Characters that count in addition to the strings, the same for every row.
    pub fixed_chars: usize,
    /// The most characters of the group, `fixed_chars` included.
    pub max_chars: usize,
}

/// Why a row's values cannot be sent. The text is the `problem` in the rejects file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum ValueProblem {
    /// A required value is empty.
    #[error("the cell is empty, and the message needs a value here")]
    Empty,
    /// The value has a line break or tab, and the string must be a single line.
    #[error("there is a line break or a tab in this cell, which WhatsApp refuses here")]
    LineBreak,
    /// The value has more than four spaces in a row, and the string must be a single line.
    #[error("there are more than four spaces in a row in this cell, which WhatsApp refuses here")]
    TooManySpaces,
    /// The string is too long with this value; the most characters.
    #[error("the message becomes too long with this cell: WhatsApp takes {0} characters here")]
    TooLong(usize),
}

impl ValueProblem {
    /// What the operator can do. The text is the `fix` in the rejects file.
    pub fn fix(self) -> &'static str {
        match self {
            ValueProblem::Empty => {
                "fill the cell in, or write {{column|text}} in the message for empty ones"
            }
            ValueProblem::LineBreak | ValueProblem::TooManySpaces => {
                "take it out, or set options.on_bad_value to clean"
            }
            ValueProblem::TooLong(_) => "shorten the cell",
        }
    }
}

/// Checks the values of row after row against the limits of one or two messages.
#[derive(Debug)]
pub struct ValueValidator {
    /// The strings of the messages that have limits and depend on the row.
    texts: Vec<(Text, Limit)>,
    /// For each column, whether any string that uses it must be a single line.
    single_line_columns: Vec<bool>,
    on_bad_value: OnBadValue,
    /// Reused for every string, to save allocations.
    filled: String,
}

impl ValueValidator {
    /// Validates values of `message`. Strings without a limit accept anything.
    pub fn new(message: &Message, limits: &[Limit], on_bad_value: OnBadValue) -> Self {
        let validator = Self {
            texts: Vec::new(),
            single_line_columns: vec![false; message.columns().len()],
            on_bad_value,
            filled: String::new(),
        };
        validator.with_message(message, limits)
    }

    /// Validates values of another message as well. It must have the same columns.
    pub fn with_message(mut self, message: &Message, limits: &[Limit]) -> Self {
        for (pointer, text) in message.placeholder_texts() {
            let Some(limit) = limits.iter().find(|limit| limit.pointer == pointer) else {
                continue;
            };
            for column in columns_of(&text) {
                self.single_line_columns[column] |= limit.single_line;
            }
            self.texts.push((text, limit.clone()));
        }
        self
    }

    /// Cleans `values` if that is requested, and checks them. An error has the index of the column at fault.
    pub fn validate(&mut self, values: &mut [String]) -> Result<(), (usize, ValueProblem)> {
        for (column, value) in values.iter_mut().enumerate() {
            if !self.single_line_columns[column] {
                continue;
            }
            if let Some(problem) = find_bad_whitespace(value) {
                match self.on_bad_value {
                    OnBadValue::Clean => *value = clean_whitespace(value),
                    OnBadValue::Reject => return Err((column, problem)),
                }
            }
        }
        let mut group_chars: Vec<(&str, usize)> = Vec::new();
        for (text, limit) in &self.texts {
            text.fill_into(values, &mut self.filled);
            let problem = check_text(&self.filled, limit).or_else(|| {
                let shared = limit.shared.as_ref()?;
                add_to_group(&self.filled, shared, &mut group_chars)
            });
            if let Some(problem) = problem {
                return Err((longest_column(text, values), problem));
            }
        }
        Ok(())
    }
}

/// Checks one string against its own limit.
fn check_text(filled: &str, limit: &Limit) -> Option<ValueProblem> {
    if !limit.may_be_empty && filled.trim().is_empty() {
        Some(ValueProblem::Empty)
    } else if filled.chars().count() > limit.max_chars {
        Some(ValueProblem::TooLong(limit.max_chars))
    } else if limit.single_line {
        find_bad_whitespace(filled)
    } else {
        None
    }
}

/// Adds a string to the characters of its group, and checks the group's limit.
fn add_to_group(
    filled: &str,
    limit: &SharedLimit,
    groups: &mut Vec<(&'static str, usize)>,
) -> Option<ValueProblem> {
    let known = groups.iter().position(|(group, _)| *group == limit.group);
    let index = known.unwrap_or_else(|| {
        groups.push((limit.group, limit.fixed_chars));
        groups.len() - 1
    });
    let (_, chars) = &mut groups[index];
    *chars += filled.chars().count();
    (*chars > limit.max_chars).then_some(ValueProblem::TooLong(limit.max_chars))
}

/// The column that contributes most to a string; the first one if all are empty.
fn longest_column(text: &Text, values: &[String]) -> usize {
    let length = |column: &usize| values.get(*column).map_or(0, String::len);
    // Of equal elements, `max_by_key` returns the last one, hence the reverse order.
    columns_of(text)
        .rev()
        .max_by_key(length)
        .unwrap_or_default()
}

/// The columns of a string's placeholders, in order.
fn columns_of(text: &Text) -> impl DoubleEndedIterator<Item = usize> + '_ {
    text.parts.iter().filter_map(|part| match part {
        Part::Placeholder { column, .. } => Some(*column),
        Part::Literal(_) => None,
    })
}

/// What WhatsApp refuses in strings of a single line (error 132018).
fn find_bad_whitespace(value: &str) -> Option<ValueProblem> {
    const FIVE_SPACES: &str = "     ";
    if value.contains(['\n', '\r', '\t']) {
        Some(ValueProblem::LineBreak)
    } else if value.contains(FIVE_SPACES) {
        Some(ValueProblem::TooManySpaces)
    } else {
        None
    }
}

/// Replaces each run of white space that WhatsApp refuses by one space, and removes white space at the ends.
fn clean_whitespace(value: &str) -> String {
    let mut cleaned = String::with_capacity(value.len());
    let mut remaining = value.trim();
    while let Some(start) = remaining.find(char::is_whitespace) {
        let (word, rest) = remaining.split_at(start);
        // White space at the ends is gone, so a word follows each run.
        let end = rest
            .find(|c: char| !c.is_whitespace())
            .unwrap_or(rest.len());
        let (run, rest) = rest.split_at(end);
        cleaned.push_str(word);
        cleaned.push_str(if find_bad_whitespace(run).is_some() {
            " "
        } else {
            run
        });
        remaining = rest;
    }
    cleaned.push_str(remaining);
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn validator(on_bad_value: OnBadValue) -> ValueValidator {
        let message = Message::new(
            json!({"a": "{{name}}", "b": "Dear {{name|friend}} {{note}}", "c": "{{note}}"}),
        )
        .expect("message");
        let limit = |pointer: &str, max_chars, single_line, may_be_empty| Limit {
            pointer: pointer.into(),
            max_chars,
            single_line,
            may_be_empty,
            shared: Some(SharedLimit {
                group: "body",
                fixed_chars: 10,
                max_chars: 62,
            }),
        };
        let limits = [limit("/a", 20, true, false), limit("/b", 40, false, false)];
        ValueValidator::new(&message, &limits, on_bad_value)
    }

    fn validate(
        on_bad_value: OnBadValue,
        name: &str,
        note: &str,
    ) -> Result<Vec<String>, (usize, ValueProblem)> {
        let mut values = vec![name.to_owned(), note.to_owned()];
        validator(on_bad_value)
            .validate(&mut values)
            .map(|()| values)
    }

    #[test]
    fn cleans_or_rejects_white_space_in_single_line_strings() {
        let messy = " Ana\tMaria \r\n  da      Silva ";
        assert_eq!(
            validate(OnBadValue::Clean, messy, "two\nlines").expect("cleaned"),
            ["Ana Maria da Silva", "two\nlines"]
        );
        assert_eq!(
            validate(OnBadValue::Reject, messy, ""),
            Err((0, ValueProblem::LineBreak))
        );
        assert_eq!(
            validate(OnBadValue::Reject, "a     b", ""),
            Err((0, ValueProblem::TooManySpaces))
        );
        assert_eq!(
            validate(OnBadValue::Reject, "a    b", "").expect("four are accepted")[0],
            "a    b"
        );
    }

    #[test]
    fn rejects_empty_and_long_values_with_their_column() {
        assert_eq!(
            validate(OnBadValue::Clean, " \n", ""),
            Err((0, ValueProblem::Empty))
        );
        assert_eq!(
            validate(OnBadValue::Clean, &"x".repeat(21), ""),
            Err((0, ValueProblem::TooLong(20)))
        );
        assert_eq!(
            validate(OnBadValue::Clean, "Ana", &"y".repeat(40)),
            Err((1, ValueProblem::TooLong(40)))
        );
        // 10 + 19 + 36 characters: each string is within its own limit, but not both together.
        assert_eq!(
            validate(OnBadValue::Clean, &"x".repeat(19), &"y".repeat(11)),
            Err((0, ValueProblem::TooLong(62)))
        );
    }

    proptest! {
        #[test]
        fn cleaned_value_is_clean_and_keeps_its_words(value in "[a-c \t\n\r]{0,60}") {
            let cleaned = clean_whitespace(&value);
            prop_assert_eq!(find_bad_whitespace(&cleaned), None);
            prop_assert_eq!(cleaned.split_whitespace().collect::<Vec<_>>(), value.split_whitespace().collect::<Vec<_>>());
            prop_assert_eq!(clean_whitespace(&cleaned), cleaned.clone());
        }
    }
}
