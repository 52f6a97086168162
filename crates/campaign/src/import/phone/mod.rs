//! Phone numbers: from the text of a cell to a number in E.164, or to the reason why there is none.
//!
//! - [`Phone`] is a valid number; [`CanonicalPhone`] compares numbers whatever their format
//! - [`parse`] reads a cell: `cell` removes what spreadsheets add and recognizes damage, then
//!   `numbering_plan` asks libphonenumber
//! - [`TimeZones`] are those of a number
//! - [`PhoneProblem`] says what is wrong with a cell, and what to do about it
//!
//! Damage is reported, never repaired by guessing: a guessed number may belong to someone else.

mod cell;
mod number;
mod numbering_plan;
mod problem;
mod time_zones;

pub use number::{CanonicalPhone, LineType, Phone};
pub use problem::PhoneProblem;
pub use rlibphonenumber::enums::Region;
pub use time_zones::TimeZones;

/// The least number of digits that is taken for an international number without a `+`.
const MIN_BARE_DIGITS: usize = 8;

/// The region with this ISO 3166-1 alpha-2 code, such as `BR`. Codes without phone numbers, such as `ZZ` for an unknown
/// region, are none.
pub fn parse_region(code: &str) -> Option<Region> {
    let region = code.to_ascii_uppercase().parse().ok();
    region.filter(|region| numbering_plan::has_numbers(*region))
}

/// What kind of line the number is of.
pub fn line_type(phone: Phone) -> LineType {
    numbering_plan::line_type(phone)
}

/// Reads the number in a cell. `region` is the region of numbers without a country code.
pub fn parse(cell: &str, region: Option<Region>) -> Result<Phone, PhoneProblem> {
    let text = cell::strip_decoration(cell);
    if text.is_empty() {
        return Err(PhoneProblem::Empty);
    }
    if let Some(damage) = cell::find_damage(&text) {
        return Err(damage);
    }
    let number = cell::strip_zero_fraction(&text);
    if number.starts_with(['+', '＋']) {
        return numbering_plan::parse(number, region);
    }
    // `00` is the most common international prefix; it is accepted in regions that use another one, too.
    if let Some(international) = number.strip_prefix("00")
        && let Ok(phone) = numbering_plan::parse(&format!("+{international}"), None)
    {
        return Ok(phone);
    }
    match region {
        Some(_) => numbering_plan::parse(number, region),
        None => parse_bare_digits(number),
    }
}

/// Reads digits without a `+` as an international number, because exports often drop the `+`.
fn parse_bare_digits(number: &str) -> Result<Phone, PhoneProblem> {
    let digits = number.strip_prefix("00").unwrap_or(number);
    let is_plausible = digits.len() >= MIN_BARE_DIGITS
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    if is_plausible {
        numbering_plan::parse(&format!("+{digits}"), None)
    } else if cell::count_digits(number) < cell::MIN_DIGITS {
        Err(PhoneProblem::NotANumber)
    } else {
        Err(PhoneProblem::NoCountry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_two_letters_and_numbers() {
        assert!(parse_region("br").is_some());
        for code in ["", "ZZ", "XX", "B", "BRA", "001"] {
            assert!(parse_region(code).is_none(), "{code}");
        }
    }

    #[test]
    fn usable_numbers_become_e164() {
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
            ("p:+33612345678", None, "+33612345678"),
            ("٠٠٣٣٦١٢٣٤٥٦٧٨", parse_region("eg"), "+33612345678"),
            ("＋３３６１２３４５６７８", None, "+33612345678"),
            ("06 12 34 56 78", parse_region("fr"), "+33612345678"),
            ("612345678", parse_region("fr"), "+33612345678"),
            ("+44 (0)20 7946 0018", None, "+442079460018"),
            ("+39 06 1234 5678", None, "+390612345678"),
        ];
        for (cell, region, expected) in cases {
            assert_eq!(parse(cell, region).expect(cell).to_string(), expected);
        }
    }

    #[test]
    fn unusable_cells_have_a_problem() {
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
        for (cell, expected) in cases {
            assert_eq!(parse(cell, None), Err(expected), "{cell}");
        }
    }

    #[test]
    fn formats_of_one_number_have_one_canonical_phone() {
        let cases = [
            ("+52 1 55 1234 5678", "+52 55 1234 5678", None),
            ("11 2345-6789", "011 15-2345-6789", parse_region("ar")),
            ("+55 11 98765-4321", "55 11 8765-4321", parse_region("br")),
        ];
        for (one, other, region) in cases {
            let canonical = |cell| parse(cell, region).map(Phone::canonical);
            assert_eq!(canonical(one), canonical(other), "{one} {other}");
            assert!(canonical(one).is_ok(), "{one}");
        }
    }
}
