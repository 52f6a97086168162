//! Values on their way into a message: what WhatsApp refuses is cleaned or rejected before anything is sent.
//! What it refuses where is said by `whatsapp::limits`; this applies it.

use serde::{Deserialize, Serialize};

use crate::message::{Message, Part, Text};

/// What is done about white space that WhatsApp refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBadValue {
    /// Line breaks, tabs and long runs of spaces become one space.
    #[default]
    Clean,
    /// The row is rejected.
    Reject,
}

/// What WhatsApp takes in one string of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// JSON pointer to the string.
    pub pointer: String,
    /// Its most characters, filled in.
    pub max_chars: usize,
    /// Whether line breaks, tabs and more than four spaces in a row are refused.
    pub single_line: bool,
    /// Whether it may be empty.
    pub may_be_empty: bool,
    /// The strings that share `max_chars` with this one, and how many characters are fixed: a template's body.
    pub shared: Option<SharedLimit>,
}

/// Strings that count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedLimit {
    /// Equal for those that do.
    pub group: &'static str,
    /// Characters that are there whatever the row.
    pub fixed_chars: usize,
    /// The most, all together.
    pub max_chars: usize,
}

/// Why a row's values make no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum ValueProblem {
    /// Where one is needed.
    #[error("the cell is empty, and the message needs a value here")]
    Empty,
    /// In one line's place.
    #[error("there is a line break or a tab in this cell, which WhatsApp refuses here")]
    LineBreak,
    /// More than four in a row.
    #[error("there are more than four spaces in a row in this cell, which WhatsApp refuses here")]
    TooManySpaces,
    /// Filled in, the string is too long.
    #[error("the message becomes too long with this cell: WhatsApp takes {0} characters here")]
    TooLong(usize),
}

impl ValueProblem {
    /// What to do about it.
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

/// Checks the values of one row after the other.
#[derive(Debug)]
pub struct ValueValidator {
    texts: Vec<(Text, Limit)>,
    /// Whether a column stands where one line is wanted.
    one_line: Vec<bool>,
    on_bad: OnBadValue,
    filled: String,
}

impl ValueValidator {
    /// For this message; strings without a limit take anything.
    pub fn new(message: &Message, limits: &[Limit], on_bad: OnBadValue) -> Self {
        let checker = Self {
            texts: Vec::new(),
            one_line: vec![false; message.columns().len()],
            on_bad,
            filled: String::new(),
        };
        checker.with_message(message, limits)
    }

    /// For this message, too, which has the same columns.
    pub fn with_message(mut self, message: &Message, limits: &[Limit]) -> Self {
        let limit = |pointer: &str| {
            limits
                .iter()
                .find(|limit| limit.pointer == pointer)
                .cloned()
        };
        let texts: Vec<(Text, Limit)> = message
            .placeholder_texts()
            .into_iter()
            .filter_map(|(pointer, text)| Some((text, limit(&pointer)?)))
            .collect();
        for (text, limit) in &texts {
            for part in &text.parts {
                if let Part::Placeholder { column, .. } = part {
                    self.one_line[*column] |= limit.single_line;
                }
            }
        }
        self.texts.extend(texts);
        self
    }

    /// Cleans `values` where that is asked for; names the column at fault otherwise.
    pub fn validate(&mut self, values: &mut [String]) -> Result<(), (usize, ValueProblem)> {
        for (column, value) in values.iter_mut().enumerate() {
            if !self.one_line[column] {
                continue;
            }
            if let Some(problem) = find_bad_whitespace(value) {
                match self.on_bad {
                    OnBadValue::Clean => *value = clean_whitespace(value),
                    OnBadValue::Reject => return Err((column, problem)),
                }
            }
        }
        let mut shared: Vec<(&str, usize)> = Vec::new();
        for (text, limit) in &self.texts {
            text.fill_into(values, &mut self.filled);
            let chars = self.filled.chars().count();
            let problem = match () {
                () if !limit.may_be_empty && self.filled.trim().is_empty() => {
                    Some(ValueProblem::Empty)
                }
                () if chars > limit.max_chars => Some(ValueProblem::TooLong(limit.max_chars)),
                () if limit.single_line => find_bad_whitespace(&self.filled),
                () => None,
            };
            let problem = problem.or_else(|| add_to_shared_limit(limit, chars, &mut shared));
            if let Some(problem) = problem {
                return Err((longest_column(text, values), problem));
            }
        }
        Ok(())
    }
}

/// Adds up strings that count together.
fn add_to_shared_limit<'l>(
    limit: &'l Limit,
    chars: usize,
    shared: &mut Vec<(&'l str, usize)>,
) -> Option<ValueProblem> {
    let SharedLimit {
        group,
        fixed_chars,
        max_chars,
    } = limit.shared.as_ref()?;
    let sum = match shared.iter_mut().find(|(known, _)| known == group) {
        Some((_, sum)) => sum,
        None => {
            shared.push((group, *fixed_chars));
            &mut shared.last_mut()?.1
        }
    };
    *sum += chars;
    (*sum > *max_chars).then_some(ValueProblem::TooLong(*max_chars))
}

/// The column that a string owes most of its length to; the first where all are empty.
fn longest_column(text: &Text, values: &[String]) -> usize {
    let columns = text.parts.iter().filter_map(|part| match part {
        Part::Placeholder { column, .. } => Some(*column),
        Part::Literal(_) => None,
    });
    let length = |column: &usize| values.get(*column).map_or(0, String::len);
    columns.rev().max_by_key(length).unwrap_or_default()
}

/// What WhatsApp refuses in one line (error 132018).
fn find_bad_whitespace(value: &str) -> Option<ValueProblem> {
    let bytes = value.as_bytes();
    if bytes.iter().any(|b| matches!(b, b'\n' | b'\r' | b'\t')) {
        return Some(ValueProblem::LineBreak);
    }
    value
        .contains("     ")
        .then_some(ValueProblem::TooManySpaces)
}

/// Each run of white space that may not be there becomes one space; none is left at the ends.
fn clean_whitespace(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut run = String::new();
    for c in value.trim().chars().chain(['x']) {
        if c.is_whitespace() {
            run.push(c);
            continue;
        }
        match find_bad_whitespace(&run) {
            Some(_) => text.push(' '),
            None => text.push_str(&run),
        }
        run.clear();
        text.push(c);
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn checker(on_bad: OnBadValue) -> ValueValidator {
        let message = Message::new(
            json!({"a": "{{name}}", "b": "Dear {{name|friend}} {{note}}", "c": "{{note}}"}),
        )
        .expect("message");
        let limit = |pointer: &str, max_chars, one_line, may_be_empty| Limit {
            pointer: pointer.into(),
            max_chars,
            single_line: one_line,
            may_be_empty,
            shared: Some(SharedLimit {
                group: "body",
                fixed_chars: 10,
                max_chars: 62,
            }),
        };
        let limits = [limit("/a", 20, true, false), limit("/b", 40, false, false)];
        ValueValidator::new(&message, &limits, on_bad)
    }

    fn check(
        on_bad: OnBadValue,
        name: &str,
        note: &str,
    ) -> Result<Vec<String>, (usize, ValueProblem)> {
        let mut values = vec![name.to_owned(), note.to_owned()];
        checker(on_bad).validate(&mut values).map(|()| values)
    }

    #[test]
    fn white_space_is_cleaned_or_rejected_where_one_line_is_wanted() {
        let messy = " Ana\tMaria \r\n  da      Silva ";
        assert_eq!(
            check(OnBadValue::Clean, messy, "two\nlines").expect("cleaned"),
            ["Ana Maria da Silva", "two\nlines"]
        );
        assert_eq!(
            check(OnBadValue::Reject, messy, ""),
            Err((0, ValueProblem::LineBreak))
        );
        assert_eq!(
            check(OnBadValue::Reject, "a     b", ""),
            Err((0, ValueProblem::TooManySpaces))
        );
        assert_eq!(
            check(OnBadValue::Reject, "a    b", "").expect("four are fine")[0],
            "a    b"
        );
    }

    #[test]
    fn what_is_empty_or_too_long_is_rejected_with_its_column() {
        assert_eq!(
            check(OnBadValue::Clean, " \n", ""),
            Err((0, ValueProblem::Empty))
        );
        assert_eq!(
            check(OnBadValue::Clean, &"x".repeat(21), ""),
            Err((0, ValueProblem::TooLong(20)))
        );
        assert_eq!(
            check(OnBadValue::Clean, "Ana", &"y".repeat(40)),
            Err((1, ValueProblem::TooLong(40)))
        );
        // 10 + 19 + 36: each within its own limit, not together.
        assert_eq!(
            check(OnBadValue::Clean, &"x".repeat(19), &"y".repeat(11)),
            Err((0, ValueProblem::TooLong(62)))
        );
    }

    proptest! {
        #[test]
        fn what_was_cleaned_is_clean_and_says_the_same(value in "[a-c \t\n\r]{0,60}") {
            let clean = clean_whitespace(&value);
            prop_assert_eq!(find_bad_whitespace(&clean), None);
            prop_assert_eq!(clean.split_whitespace().collect::<Vec<_>>(), value.split_whitespace().collect::<Vec<_>>());
            prop_assert_eq!(clean_whitespace(&clean), clean.clone());
        }
    }
}
