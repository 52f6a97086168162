//! What happens to a number on its way through spreadsheets and exports: decoration, which is removed, and
//! damage, which is reported.

use std::borrow::Cow;

use super::problem::PhoneProblem;

/// A cell with fewer digits is not a phone number at all.
pub(super) const MIN_DIGITS: usize = 3;

/// A part of a cell with this many digits is a phone number of its own.
const MIN_DIGITS_OF_NUMBER: usize = 7;

/// A number with a fraction of zero has at least this many digits before it.
const MIN_DIGITS_BEFORE_FRACTION: usize = 8;

/// Removes what surrounds a number: invisible characters, a scheme such as `tel:`, and the marks in
/// which Excel wraps text, such as `'+55…` or `="+55…"`, with straight or curly quotation marks.
pub(super) fn strip_decoration(cell: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| b.is_ascii_digit() || b == b'+' || b == b'-';
    if !cell.is_empty() && cell.bytes().all(is_plain) {
        return Cow::Borrowed(cell);
    }
    let visible: String = cell
        .chars()
        .filter(|&c| !is_invisible(c))
        .map(|c| if is_space(c) { ' ' } else { c })
        .collect();
    let text = visible.trim_matches(is_wrapping);
    Cow::Owned(strip_scheme(text).to_owned())
}

/// Characters that are copied without being seen: zero-width ones, direction marks, soft hyphens, byte order
/// marks.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
    ) || c.is_control() && !c.is_whitespace()
}

/// White space, except line breaks, which can separate two numbers.
fn is_space(c: char) -> bool {
    c.is_whitespace() && c != '\n' && c != '\r'
}

fn is_wrapping(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\'' | '"' | '=' | '`' | '\u{2018}'..='\u{201f}' | '\u{b4}'
        )
}

fn strip_scheme(text: &str) -> &str {
    // Meta's own exports of lead forms write `p:`.
    for scheme in ["tel:", "whatsapp:", "p:"] {
        if let Some((start, number)) = text.split_at_checked(scheme.len())
            && start.eq_ignore_ascii_case(scheme)
        {
            return number.trim();
        }
    }
    text
}

/// What was done to the number before it got here, if its digits can no longer be trusted.
pub(super) fn find_damage(cell: &str) -> Option<PhoneProblem> {
    let is_ordinary = |b: u8| b.is_ascii_digit() || b"+ -.()".contains(&b);
    if cell.bytes().all(is_ordinary) && !cell[1..].contains('+') {
        return None;
    }
    if is_scientific_notation(cell) {
        return Some(PhoneProblem::Scientific);
    }
    if cell.chars().any(char::is_alphabetic) {
        return Some(if count_digits(cell) < MIN_DIGITS {
            PhoneProblem::NotANumber
        } else {
            PhoneProblem::Letters
        });
    }
    let numbers = cell
        .split(is_separator)
        .filter(|part| count_digits(part) >= MIN_DIGITS_OF_NUMBER);
    (numbers.count() > 1).then_some(PhoneProblem::TwoNumbers)
}

/// Digits of any script.
pub(super) fn count_digits(text: &str) -> usize {
    text.chars().filter(|c| c.is_numeric()).count()
}

/// What can stand between two numbers in one cell.
fn is_separator(c: char) -> bool {
    matches!(
        c,
        '/' | ';' | ',' | '|' | '&' | '\\' | '\n' | '\r' | '+' | '＋'
    )
}

/// Whether the cell is like `5.5E+11` or `5,511987E12`: digits, perhaps a point or comma and digits, E, an
/// exponent.
fn is_scientific_notation(cell: &str) -> bool {
    let Some((mantissa, exponent)) = cell.split_once(['e', 'E']) else {
        return false;
    };
    let exponent = exponent.trim_start_matches(['+', '-']);
    let (integer, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    let integer = integer.trim_start_matches('+');
    [integer, fraction, exponent].into_iter().all(is_digits) && exponent.len() <= 3
}

/// Removes the fraction from `5511987654321.0`, as some programs export whole numbers: nothing is lost with it.
pub(super) fn strip_zero_fraction(cell: &str) -> &str {
    match cell.strip_suffix(".0").or_else(|| cell.strip_suffix(",0")) {
        Some(number) if number.len() >= MIN_DIGITS_BEFORE_FRACTION && is_digits(number) => number,
        Some(_) | None => cell,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
