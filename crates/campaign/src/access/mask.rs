//! What a viewer sees of phone numbers: of each number the last four digits.
//!
//! The API masks whole answers, so that a new field cannot show a number by mistake: every text is masked unless it is a
//! time, the id of a campaign or a hash.

use std::borrow::Cow;

use serde_json::Value;

/// How many digits of a number are shown.
const SHOWN_DIGITS: usize = 4;

/// The shortest run of digits that may be a number, such as a number of Saint Helena with its country code.
const MIN_DIGITS: usize = 7;

/// Meta's ids of messages contain the recipient's number, as base64.
const MESSAGE_ID_PREFIX: &str = "wamid.";

/// What is shown in place of the id of a message.
const MASKED_MESSAGE_ID: &str = "wamid.•";

/// Masks every phone number in the texts of a JSON value.
pub fn mask_json(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = mask_text(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask_json),
        Value::Object(members) => members.values_mut().for_each(mask_json),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Masks every phone number in a text: of each run of at least seven digits, also with single separators between them, all
/// but the last four become `•`.
pub fn mask_text(text: &str) -> Cow<'_, str> {
    if is_identifier(text) {
        return Cow::Borrowed(text);
    }
    if text.contains(MESSAGE_ID_PREFIX) {
        return Cow::Borrowed(MASKED_MESSAGE_ID);
    }
    let chars: Vec<char> = text.chars().collect();
    let mut masked = chars.clone();
    let mut start = 0;
    while start < chars.len() {
        let end = end_of_run(&chars, start);
        let positions: Vec<usize> = (start..end).filter(|&at| is_digit(chars[at])).collect();
        if positions.len() >= MIN_DIGITS {
            for &at in &positions[..positions.len() - SHOWN_DIGITS] {
                masked[at] = '•';
            }
        }
        start = end.max(start + 1);
    }
    match masked == chars {
        true => Cow::Borrowed(text),
        false => Cow::Owned(masked.into_iter().collect()),
    }
}

/// Where the run of digits and separators ends that begins at `start`.
fn end_of_run(chars: &[char], start: usize) -> usize {
    let mut end = start;
    while end < chars.len() {
        let separators = chars[end..]
            .iter()
            .take_while(|&&c| end > start && is_separator(c))
            .count();
        match chars.get(end + separators) {
            Some(&next) if is_digit(next) && separators <= 2 => end += separators + 1,
            _ => break,
        }
    }
    end
}

/// Digits of any script that WhatsApp shows as a number.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '٠'..='٩' | '۰'..='۹' | '०'..='९')
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '-' | '.' | '(' | ')' | '/')
}

/// Whether the whole text is a time, the id of a campaign, or hexadecimal text such as a hash.
fn is_identifier(text: &str) -> bool {
    is_time(text) || is_campaign_id(text)
}

/// `2026-12-01T08:00:00Z`, with or without fractions of a second.
fn is_time(text: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd";
    let fits = |(c, expected): (char, char)| match expected {
        'd' => c.is_ascii_digit(),
        _ => c == expected,
    };
    let begins = text.len() > pattern.len() && text.chars().zip(pattern.chars()).all(fits);
    begins
        && text[pattern.len()..].ends_with('Z')
        && text[pattern.len()..text.len() - 1]
            .trim_start_matches('.')
            .chars()
            .all(|c| c.is_ascii_digit())
}

/// A UUID, or one with the suffix of a test; a reply's id.
fn is_campaign_id(text: &str) -> bool {
    const UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_uuid = |text: &str| {
        text.len() == UUID.len()
            && text
                .bytes()
                .zip(UUID.bytes())
                .all(|(b, expected)| match expected {
                    b'-' => b == b'-',
                    _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
                })
    };
    let (id, suffix) = text.split_once("-test-").unwrap_or((text, ""));
    if is_uuid(id) && suffix.len() <= 8 && is_hex(suffix) {
        return true;
    }
    let hash = text.strip_prefix("reply-").unwrap_or(text);
    // A phone number has 15 digits at most.
    matches!(hash.len(), 16 | 32 | 64) && is_hex(hash)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keeps_the_last_four_digits_of_a_number() {
        for (text, masked) in [
            ("+5511987654321", "+•••••••••4321"),
            ("call (11) 98765-4321!", "call (••) •••••-4321!"),
            ("or 55 11 98765.4321 now", "or •• •• •••••.4321 now"),
            ("1234567", "•••4567"),
            ("٠١٢٣٤٥٦", "•••٣٤٥٦"),
            ("wamid.HBgNNTUxMTk4NzY1NDMyMRUC", "wamid.•"),
            ("1796112000000.wamid.HBgM", "wamid.•"),
        ] {
            assert_eq!(mask_text(text), masked);
        }
    }

    #[test]
    fn leaves_times_ids_and_short_numbers_as_they_are() {
        for text in [
            "2026-12-01T08:00:00Z",
            "2026-12-01T08:00:00.123Z",
            "0198c0de-0000-7000-8000-000000000001",
            "0198c0de-0000-7000-8000-000000000001-test-0a1b2c3d",
            "reply-0123456789abcdef0123456789abcdef",
            "9f86d081884c7d65",
            "20 € for 3 of 123456",
            "código 131026",
            "",
        ] {
            assert_eq!(mask_text(text), text);
        }
    }

    #[test]
    fn number_is_not_taken_for_an_id_or_a_time() {
        for text in [
            "+551198765432112",
            "551198765432112",
            "2026-12-01T5511987654321Z",
        ] {
            assert_ne!(mask_text(text), text);
        }
    }

    #[test]
    fn masks_every_text_of_a_value_and_no_name_of_a_member() {
        let mut value = json!({"to": "+5511987654321", "list": [{"text": "my number: 5511987654321"}], "row": 5511987, "x": null});
        mask_json(&mut value);
        let masked = json!({"to": "+•••••••••4321", "list": [{"text": "my number: •••••••••4321"}], "row": 5511987, "x": null});
        assert_eq!(value, masked);
    }
}
