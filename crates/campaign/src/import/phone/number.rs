//! Valid phone numbers.

use std::fmt;

use rlibphonenumber::PHONE_NUMBER_UTIL;
use serde::{Deserialize, Serialize};

use super::problem::PhoneProblem;

/// A valid number. As text and in JSON: E.164 with the `+`.
///
/// Stored as its digits, which are at most 15 and never begin with 0, so 8 bytes suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(pub(super) u64);

/// A number in a form that is the same for all formats of the number: in Brazil with and without the ninth
/// digit, in Mexico with and without the 1, in Argentina with and without the 9. Serves comparison only; no
/// message can be sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPhone(u64);

/// What kind of line a number is of, judged by its country's numbering plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineType {
    /// A mobile line.
    Mobile,
    /// A fixed line, or a service such as a free number.
    Landline,
    /// The plan does not say, as in the USA.
    Unknown,
}

impl Phone {
    /// The digits of the number, country code included.
    pub fn digits(self) -> u64 {
        self.0
    }

    /// The number with these digits; `None` for 0.
    pub fn from_digits(digits: u64) -> Option<Self> {
        (digits != 0).then_some(Self(digits))
    }

    /// The canonical form. It matters because WhatsApp itself uses both formats in these countries (Meta,
    /// "Phone numbers": numbers of Brazil and Mexico may be rewritten).
    pub fn canonical(self) -> CanonicalPhone {
        const SEVEN_DIGITS: u64 = 10u64.pow(7);
        const EIGHT_DIGITS: u64 = 10u64.pow(8);
        const NINE_DIGITS: u64 = 10u64.pow(9);
        const TEN_DIGITS: u64 = 10u64.pow(10);
        let digits = self.0;
        // Brazil: +55, two digits of the area, then a 9 and eight digits, or those eight alone. Before 1 to 5, the 9 is no
        // addition: without it the number would be somebody's landline.
        let (area, local) = (digits / NINE_DIGITS, digits % NINE_DIGITS);
        let without_9 = local % EIGHT_DIGITS;
        let is_old_mobile = (6..=9).contains(&(without_9 / SEVEN_DIGITS));
        if (5_511..=5_599).contains(&area) && local / EIGHT_DIGITS == 9 && is_old_mobile {
            return CanonicalPhone(area * EIGHT_DIGITS + without_9);
        }
        match digits / TEN_DIGITS {
            // Mexico: +52 1 and ten digits, or +52 and those ten.
            521 => CanonicalPhone(52 * TEN_DIGITS + digits % TEN_DIGITS),
            // Argentina: +54 9 and ten digits, or +54 and those ten.
            549 => CanonicalPhone(54 * TEN_DIGITS + digits % TEN_DIGITS),
            _ => CanonicalPhone(digits),
        }
    }

    /// The region of the number, such as `BR`; `None` for numbers without a country, such as those of
    /// satellite phones.
    pub fn country(self) -> Option<String> {
        let number = PHONE_NUMBER_UTIL.parse(self.to_string(), None).ok()?;
        number.get_region_code().map(|region| region.to_string())
    }
}

impl CanonicalPhone {
    /// The digits, country code included.
    pub fn digits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Phone {
    /// With the `+`: without it, Meta prepends the country code of the business's own number.
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

impl fmt::Display for CanonicalPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(text: &str) -> Phone {
        Phone::try_from(text.to_owned()).expect("a phone")
    }

    #[test]
    fn canonical_phone_ignores_optional_digits() {
        let canonical = |text: &str| phone(text).canonical();
        assert_eq!(canonical("+5511987654321"), canonical("+551187654321"));
        assert_ne!(canonical("+5511987654321"), canonical("+5521987654321"));
        assert_eq!(canonical("+5215512345678"), canonical("+525512345678"));
        assert_eq!(canonical("+5491123456789"), canonical("+541123456789"));
        for other in ["+34612345678", "+551133334444", "+5491", "+33612345678"] {
            assert_eq!(format!("+{}", canonical(other)), other);
        }
    }

    #[test]
    fn brazilian_landline_and_mobile_of_the_same_digits_are_two_people() {
        let canonical = |text: &str| phone(text).canonical();
        // Only mobile numbers got the ninth digit, and those begin with 6 to 9 (Anatel, Resolução 553/2010).
        assert_ne!(canonical("+551133334444"), canonical("+5511933334444"));
        for mobile in ["61234567", "71234567", "81234567", "91234567"] {
            let (old, new) = (format!("+5511{mobile}"), format!("+55119{mobile}"));
            assert_eq!(canonical(&old), canonical(&new), "{mobile}");
        }
    }

    #[test]
    fn country_is_that_of_the_number() {
        for (text, country) in [
            ("+5511987654321", Some("BR")),
            ("+12025550143", Some("US")),
            ("+14165550143", Some("CA")),
        ] {
            assert_eq!(phone(text).country().as_deref(), country);
        }
    }

    #[test]
    fn json_has_the_plus() {
        let phone = phone("+5511987654321");
        let json = serde_json::to_string(&phone).expect("json");
        assert_eq!(json, "\"+5511987654321\"");
        assert_eq!(serde_json::from_str::<Phone>(&json).expect("phone"), phone);
    }
}
