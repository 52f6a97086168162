//! Phone numbers: what was typed → E.164, or why not.

use std::borrow::Cow;
use std::fmt;

pub use rlibphonenumber::enums::Region;
use rlibphonenumber::{PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat};
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

/// One person's number whatever its spelling: Brazil with and without the ninth digit, Mexico with and without the 1,
/// Argentina with and without the 9 are the same. For comparing only; it may be no number that can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPhone(u64);

impl fmt::Display for CanonicalPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Phone {
    /// The same for every spelling of this person's number. WhatsApp itself writes both forms of these countries
    /// (Meta, "Phone numbers": Brazil and Mexico numbers may be rewritten).
    pub fn canonical(self) -> CanonicalPhone {
        // Country code, what may be there or not, and how many digits follow it.
        const BRAZIL: u64 = 100_000_000;
        const TEN: u64 = 10_000_000_000;
        let digits = self.0;
        let (area, local) = (digits / (10 * BRAZIL), digits % (10 * BRAZIL));
        if (5_511..=5_599).contains(&area) && local / BRAZIL == 9 {
            return CanonicalPhone(area * BRAZIL + local % BRAZIL);
        }
        match digits / TEN {
            521 => CanonicalPhone(52 * TEN + digits % TEN),
            549 => CanonicalPhone(54 * TEN + digits % TEN),
            _ => CanonicalPhone(digits),
        }
    }

    /// The region it belongs to, such as `BR`; `None` for numbers of no country, such as satellite phones.
    pub fn country(self) -> Option<String> {
        let number = PHONE_NUMBER_UTIL.parse(self.to_string(), None).ok()?;
        number.get_region_code().map(|region| region.to_string())
    }
}

/// Why a cell is no phone number we can send to; the text is the `problem` of the rejects file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum PhoneProblem {
    /// Nothing there.
    #[error("the phone number is empty")]
    Empty,
    /// No digits to speak of.
    #[error("this is not a phone number")]
    NotANumber,
    /// Letters among the digits: a name, an extension, a vanity number.
    #[error("there are letters in the phone number")]
    Letters,
    /// `5.5E+11`.
    #[error("a spreadsheet rounded the number to powers of ten: its last digits are lost")]
    Scientific,
    /// More than one number.
    #[error("there is more than one number in this cell")]
    TwoNumbers,
    /// It would be valid with a zero before it.
    #[error("the number lacks a digit in front: a leading zero was probably lost in a spreadsheet")]
    LostZero,
    /// National form, and no region to read it by.
    #[error("the country code is missing or unknown")]
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

impl PhoneProblem {
    /// What to do about it; the `fix` of the rejects file.
    pub fn fix(self) -> &'static str {
        match self {
            PhoneProblem::Empty => "write the number as +<country><number>",
            PhoneProblem::NotANumber | PhoneProblem::Letters => {
                "leave nothing but the number, as +<country><number>"
            }
            PhoneProblem::Scientific => {
                "take the number from where it came from; format the column as text before it is pasted or opened"
            }
            PhoneProblem::TwoNumbers => "keep one number; put the other into a row of its own",
            PhoneProblem::LostZero => {
                "put the zero back, or write the number as +<country><number>; format the column as text"
            }
            PhoneProblem::NoCountry => {
                "write the number as +<country><number>, or set options.default_region for numbers of one country"
            }
            PhoneProblem::TooShort | PhoneProblem::TooLong | PhoneProblem::Invalid => {
                "check the number where it came from; write it as +<country><number>"
            }
        }
    }
}

/// The region a campaign reads national numbers by, such as `BR`; ISO 3166-1 alpha-2.
pub fn parse_region(code: &str) -> Option<Region> {
    code.to_ascii_uppercase().parse().ok()
}

/// Reads one cell; `default` is the region of numbers written without a country code. Damage is named, never mended by
/// guessing; what spreadsheets put around a whole number is taken away.
pub fn parse(cell: &str, default: Option<Region>) -> Result<Phone, PhoneProblem> {
    let tidied = strip_decoration(cell);
    let cell = tidied.as_ref();
    if cell.is_empty() {
        return Err(PhoneProblem::Empty);
    }
    if let Some(damage) = find_damage(cell) {
        return Err(damage);
    }
    let cell = strip_zero_fraction(cell);
    let international = cell.starts_with('+') || cell.starts_with('＋');
    if international {
        return parse_by_numbering_plan(cell, default);
    }
    // The usual prefix for abroad, also where the region's own is another.
    if let Some(abroad) = cell.strip_prefix("00")
        && let Ok(phone) = parse_by_numbering_plan(&format!("+{abroad}"), None)
    {
        return Ok(phone);
    }
    match default {
        Some(_) => parse_by_numbering_plan(cell, default),
        None => parse_bare_digits(cell),
    }
}

/// Without invisible characters, and without what Excel wraps text in: `'+55…`, `="+55…"`, curly or not.
fn strip_decoration(cell: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_digit() || b == b'+' || b == b'-';
    if !cell.is_empty() && cell.bytes().all(plain) {
        return Cow::Borrowed(cell);
    }
    let visible: String = cell
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| {
            if c.is_whitespace() && c != '\n' && c != '\r' {
                ' '
            } else {
                c
            }
        })
        .collect();
    let wrapping = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '\'' | '"' | '=' | '`' | '\u{2018}'..='\u{201f}' | '\u{b4}'
            )
    };
    let text = visible.trim_matches(wrapping);
    let scheme = ["tel:", "whatsapp:"].into_iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| text[scheme.len()..].trim())
    });
    Cow::Owned(scheme.unwrap_or(text).to_owned())
}

/// Characters that are copied along unseen: zero width, direction marks, soft hyphens, byte order marks.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
        || c.is_control() && !c.is_whitespace()
}

/// What went wrong before the number got here.
fn find_damage(cell: &str) -> Option<PhoneProblem> {
    if cell
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+ -.()".contains(&b))
        && !cell[1..].contains('+')
    {
        return None;
    }
    if is_scientific_notation(cell) {
        return Some(PhoneProblem::Scientific);
    }
    let digits = |text: &str| text.chars().filter(|c| c.is_numeric()).count();
    if cell.chars().any(char::is_alphabetic) {
        let some = digits(cell) >= 3;
        return Some(if some {
            PhoneProblem::Letters
        } else {
            PhoneProblem::NotANumber
        });
    }
    let apart = |c: char| {
        matches!(
            c,
            '/' | ';' | ',' | '|' | '&' | '\\' | '\n' | '\r' | '+' | '＋'
        )
    };
    let numbers = cell.split(apart).filter(|part| digits(part) >= 7).count();
    (numbers > 1).then_some(PhoneProblem::TwoNumbers)
}

/// `5.5E+11`, `5,511987E12`: digits, a point or comma, digits, E, an exponent.
fn is_scientific_notation(cell: &str) -> bool {
    let Some((mantissa, exponent)) = cell.split_once(['e', 'E']) else {
        return false;
    };
    let exponent = exponent.trim_start_matches(['+', '-']);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    number(whole.trim_start_matches('+')) && number(part) && number(exponent) && exponent.len() <= 3
}

/// Some programs export whole numbers as `5511987654321.0`: nothing is lost.
fn strip_zero_fraction(cell: &str) -> &str {
    match cell.strip_suffix(".0").or_else(|| cell.strip_suffix(",0")) {
        Some(number) if number.len() >= 8 && number.bytes().all(|b| b.is_ascii_digit()) => number,
        Some(_) | None => cell,
    }
}

/// Exports often drop the `+`: digits alone are read as international where no region says otherwise.
fn parse_bare_digits(cell: &str) -> Result<Phone, PhoneProblem> {
    let digits = cell.strip_prefix("00").unwrap_or(cell);
    let plausible =
        digits.len() >= 8 && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if plausible {
        return parse_by_numbering_plan(&format!("+{digits}"), None);
    }
    let digits = cell.chars().filter(|c| c.is_numeric()).count();
    Err(if digits < 3 {
        PhoneProblem::NotANumber
    } else {
        PhoneProblem::NoCountry
    })
}

fn parse_by_numbering_plan(text: &str, default: Option<Region>) -> Result<Phone, PhoneProblem> {
    let number = PHONE_NUMBER_UTIL
        .parse(text, default)
        .map_err(|error| match error {
            ParseError::InvalidCountryCode => PhoneProblem::NoCountry,
            ParseError::NotANumber(_) => PhoneProblem::NotANumber,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => PhoneProblem::TooShort,
            ParseError::TooLongNsn => PhoneProblem::TooLong,
        })?;
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return parse_former_format(&number).ok_or_else(|| explain_invalid(&number));
    }
    to_e164(&number)
}

fn to_e164(number: &PhoneNumber) -> Result<Phone, PhoneProblem> {
    let formatted = PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::E164);
    let digits = formatted
        .trim_start_matches('+')
        .parse()
        .map_err(|_| PhoneProblem::Invalid)?;
    Ok(Phone(digits))
}

/// Spellings that numbering plans gave up and WhatsApp's own ids still use: `+52 1 …` in Mexico, mobile numbers without
/// the ninth digit in Brazil. Each has exactly one valid form.
fn parse_former_format(number: &PhoneNumber) -> Option<Phone> {
    let national = number.get_national_significant_number();
    let today = match (number.country_code, national.as_bytes()) {
        (52, [b'1', ..]) if national.len() == 11 => format!("+52{}", &national[1..]),
        (55, [_, _, b'6'..=b'9', ..]) if national.len() == 10 => {
            format!("+55{}9{}", &national[..2], &national[2..])
        }
        _ => return None,
    };
    let number = PHONE_NUMBER_UTIL.parse(today, None).ok()?;
    if PHONE_NUMBER_UTIL.is_valid_number(&number) {
        to_e164(&number).ok()
    } else {
        None
    }
}

fn explain_invalid(number: &PhoneNumber) -> PhoneProblem {
    use rlibphonenumber::ValidationError as Reason;
    let with_zero = format!(
        "+{}0{}",
        number.country_code,
        number.get_national_significant_number()
    );
    if PHONE_NUMBER_UTIL
        .parse(with_zero, None)
        .is_ok_and(|number| PHONE_NUMBER_UTIL.is_valid_number(&number))
    {
        return PhoneProblem::LostZero;
    }
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(number) {
        Ok(_) | Err(Reason::InvalidLength) => PhoneProblem::Invalid,
        Err(Reason::InvalidCountryCode) => PhoneProblem::NoCountry,
        Err(Reason::TooShort) => PhoneProblem::TooShort,
        Err(Reason::TooLong) => PhoneProblem::TooLong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_numbers_come_out_as_e164() {
        let br = parse_region("br");
        let cases = [
            ("+55 11 98765-4321", None, "+5511987654321"),
            ("5511987654321", None, "+5511987654321"),
            ("005511987654321", None, "+5511987654321"),
            ("(11) 98765-4321", br, "+5511987654321"),
            ("+34 612 34 56 78", br, "+34612345678"),
            (" +1 202-555-0143 ", None, "+12025550143"),
            ("'+55 11 98765-4321", None, "+5511987654321"),
            ("=\"+5511987654321\"", None, "+5511987654321"),
            ("=“+5511987654321”", None, "+5511987654321"),
            (
                "\u{202a}+55\u{a0}11\u{200b} 98765-4321\u{202c}",
                None,
                "+5511987654321",
            ),
            ("+55.11.98765.4321", None, "+5511987654321"),
            ("5511987654321.0", None, "+5511987654321"),
            ("0033 6 12 34 56 78", br, "+33612345678"),
            ("tel:+33-6-12-34-56-78", None, "+33612345678"),
            ("whatsapp:+33612345678", None, "+33612345678"),
            ("٠٠٣٣٦١٢٣٤٥٦٧٨", parse_region("eg"), "+33612345678"),
            ("＋３３６１２３４５６７８", None, "+33612345678"),
            ("06 12 34 56 78", parse_region("fr"), "+33612345678"),
            ("612345678", parse_region("fr"), "+33612345678"),
            ("+44 (0)20 7946 0018", None, "+442079460018"),
            ("+39 06 1234 5678", None, "+390612345678"),
        ];
        for (typed, default, expected) in cases {
            assert_eq!(parse(typed, default).expect(typed).to_string(), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("", PhoneProblem::Empty),
            ("  ", PhoneProblem::Empty),
            ("n/a", PhoneProblem::NotANumber),
            ("call Bob 5511987654321", PhoneProblem::Letters),
            ("5.5E+11", PhoneProblem::Scientific),
            ("5,51199E12", PhoneProblem::Scientific),
            ("+5511987654321 / +5511987654322", PhoneProblem::TwoNumbers),
            ("+5511987654321; 11987654322", PhoneProblem::TwoNumbers),
            ("+5511987654321 +5511987654322", PhoneProblem::TwoNumbers),
            ("+39 6 1234 5678", PhoneProblem::LostZero),
            ("+55 11 98765-4321 ext. 12", PhoneProblem::Letters),
            ("-", PhoneProblem::NotANumber),
            ("#N/A", PhoneProblem::NotANumber),
            ("+", PhoneProblem::NotANumber),
            ("(11) 98765-4321", PhoneProblem::NoCountry),
            ("+999 1234567", PhoneProblem::NoCountry),
            ("+55 11 9", PhoneProblem::TooShort),
            ("+34 612 34 56 78 99 11", PhoneProblem::TooLong),
            ("+1 000 000 0000", PhoneProblem::Invalid),
            ("+1-800-FLOWERS", PhoneProblem::Letters),
        ];
        for (typed, expected) in cases {
            assert_eq!(parse(typed, None), Err(expected), "{typed}");
        }
    }

    #[test]
    fn one_person_has_one_key_whatever_the_spelling() {
        let key = |text: &str| {
            Phone::try_from(text.to_owned())
                .expect("a phone")
                .canonical()
        };
        assert_eq!(key("+5511987654321"), key("+551187654321"));
        assert_ne!(key("+5511987654321"), key("+5521987654321"));
        assert_eq!(key("+5215512345678"), key("+525512345678"));
        assert_eq!(key("+5491123456789"), key("+541123456789"));
        for other in ["+34612345678", "+551133334444", "+5491", "+33612345678"] {
            assert_eq!(format!("+{}", key(other)), other);
        }
    }

    #[test]
    fn spellings_of_one_number_are_one_number() {
        let cases = [
            ("+52 1 55 1234 5678", "+52 55 1234 5678", None),
            ("11 2345-6789", "011 15-2345-6789", parse_region("ar")),
            ("+55 11 98765-4321", "55 11 8765-4321", parse_region("br")),
        ];
        for (one, other, region) in cases {
            let read = |text| parse(text, region).map(Phone::canonical);
            assert_eq!(read(one), read(other), "{one} {other}");
            assert!(read(one).is_ok(), "{one}");
        }
    }

    #[test]
    fn the_country_is_told() {
        for (text, country) in [
            ("+5511987654321", Some("BR")),
            ("+12025550143", Some("US")),
            ("+14165550143", Some("CA")),
        ] {
            assert_eq!(parse(text, None).expect(text).country().as_deref(), country);
        }
    }

    #[test]
    fn a_phone_keeps_its_plus_in_a_batch() {
        let phone = parse("+5511987654321", None).expect("valid");
        let text = serde_json::to_string(&phone).expect("text");
        assert_eq!(text, "\"+5511987654321\"");
        assert_eq!(serde_json::from_str::<Phone>(&text).expect("back"), phone);
    }
}
