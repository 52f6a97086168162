//! Phone numbers: what was typed → E.164, or why not.

use std::fmt;

use rlibphonenumber::enums::Region;
use rlibphonenumber::{PHONE_NUMBER_UTIL, ParseError, PhoneNumberFormat};
use serde::{Deserialize, Serialize};

/// A valid number as its E.164 digits: at most 15, so it fits 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(u64);

impl Phone {
    /// The digits as a number: the country code never begins with 0, so nothing is lost.
    pub fn digits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Phone {
    /// `+` and the digits: without the `+`, Meta prepends the business number's own country code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.to_string()
    }
}

impl TryFrom<String> for Phone {
    type Error = PhoneProblem;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text
            .strip_prefix('+')
            .and_then(|digits| digits.parse().ok());
        digits.map(Phone).ok_or(PhoneProblem::NotANumber)
    }
}

/// Why a cell is no phone number we can send to; the text is the `reason` of the rejects file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PhoneProblem {
    /// Nothing there.
    #[error("the phone number is empty")]
    Empty,
    /// Letters, several numbers, anything else.
    #[error("this is not a phone number")]
    NotANumber,
    /// National form, and no region to read it by.
    #[error(
        "the country code is missing or unknown: write the number as +<country><number>, or set options.default_region"
    )]
    NoCountry,
    /// Fewer digits than the country uses.
    #[error("the number is too short for its country")]
    TooShort,
    /// More digits than the country uses.
    #[error("the number is too long for its country")]
    TooLong,
    /// Right length, but no such range.
    #[error("no number of this country looks like this")]
    Invalid,
}

/// The region a campaign reads national numbers by, such as `BR`; ISO 3166-1 alpha-2.
pub fn region(code: &str) -> Option<Region> {
    code.to_ascii_uppercase().parse().ok()
}

/// Reads one cell; `default` is the region of numbers written without a country code.
pub fn read(cell: &str, default: Option<Region>) -> Result<Phone, PhoneProblem> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Err(PhoneProblem::Empty);
    }
    let international = cell.starts_with('+') || cell.starts_with('＋');
    if default.is_none() && !international {
        return bare_digits(cell);
    }
    parse(cell, default)
}

/// Exports often drop the `+`: digits alone are read as international where no region says otherwise.
fn bare_digits(cell: &str) -> Result<Phone, PhoneProblem> {
    let digits = cell.strip_prefix("00").unwrap_or(cell);
    let plausible =
        digits.len() >= 8 && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if plausible {
        return parse(&format!("+{digits}"), None);
    }
    let letters = cell.chars().any(char::is_alphabetic);
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    Err(if letters || digits < 3 {
        PhoneProblem::NotANumber
    } else {
        PhoneProblem::NoCountry
    })
}

fn parse(text: &str, default: Option<Region>) -> Result<Phone, PhoneProblem> {
    // libphonenumber reads vanity letters (`1-800-FLOWERS`) and extensions; in a phone column both are mistakes.
    if text.chars().any(char::is_alphabetic) {
        return Err(PhoneProblem::NotANumber);
    }
    let number = PHONE_NUMBER_UTIL
        .parse(text, default)
        .map_err(|error| match error {
            ParseError::InvalidCountryCode => PhoneProblem::NoCountry,
            ParseError::NotANumber(_) => PhoneProblem::NotANumber,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => PhoneProblem::TooShort,
            ParseError::TooLongNsn => PhoneProblem::TooLong,
        })?;
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return Err(
            match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
                Ok(_) => PhoneProblem::Invalid,
                Err(reason) => length_problem(reason),
            },
        );
    }
    let formatted = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
    let digits = formatted
        .trim_start_matches('+')
        .parse()
        .map_err(|_| PhoneProblem::Invalid)?;
    Ok(Phone(digits))
}

fn length_problem(reason: rlibphonenumber::ValidationError) -> PhoneProblem {
    use rlibphonenumber::ValidationError as Reason;
    match reason {
        Reason::InvalidCountryCode => PhoneProblem::NoCountry,
        Reason::TooShort => PhoneProblem::TooShort,
        Reason::TooLong => PhoneProblem::TooLong,
        Reason::InvalidLength => PhoneProblem::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_numbers_come_out_as_e164() {
        let br = region("br");
        let cases = [
            ("+55 11 98765-4321", None, "+5511987654321"),
            ("5511987654321", None, "+5511987654321"),
            ("005511987654321", None, "+5511987654321"),
            ("(11) 98765-4321", br, "+5511987654321"),
            ("+34 612 34 56 78", br, "+34612345678"),
            (" +1 202-555-0143 ", None, "+12025550143"),
            ("+39 06 1234 5678", None, "+390612345678"),
        ];
        for (typed, default, expected) in cases {
            assert_eq!(read(typed, default).expect(typed).to_string(), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("", PhoneProblem::Empty),
            ("  ", PhoneProblem::Empty),
            ("n/a", PhoneProblem::NotANumber),
            ("call Bob 5511987654321", PhoneProblem::NotANumber),
            ("(11) 98765-4321", PhoneProblem::NoCountry),
            ("+999 1234567", PhoneProblem::NoCountry),
            ("+55 11 9", PhoneProblem::TooShort),
            ("+34 612 34 56 78 99 11", PhoneProblem::TooLong),
            ("+1 000 000 0000", PhoneProblem::Invalid),
            ("+1-800-FLOWERS", PhoneProblem::NotANumber),
        ];
        for (typed, expected) in cases {
            assert_eq!(read(typed, None), Err(expected), "{typed}");
        }
    }

    #[test]
    fn a_phone_keeps_its_plus_in_a_batch() {
        let phone = read("+5511987654321", None).expect("valid");
        let text = serde_json::to_string(&phone).expect("text");
        assert_eq!(text, "\"+5511987654321\"");
        assert_eq!(serde_json::from_str::<Phone>(&text).expect("back"), phone);
    }
}
