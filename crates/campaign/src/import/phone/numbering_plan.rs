//! Numbering plans of all countries, by libphonenumber.

use rlibphonenumber::enums::Region;
use rlibphonenumber::{
    PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberType, ValidationError,
};

use super::number::{LineType, Phone};
use super::problem::PhoneProblem;

/// Parses a number and checks that its country has such numbers. `region` is the region of numbers without a
/// country code.
pub(super) fn parse(text: &str, region: Option<Region>) -> Result<Phone, PhoneProblem> {
    let number = PHONE_NUMBER_UTIL
        .parse(text, region)
        .map_err(|error| match error {
            ParseError::InvalidCountryCode => PhoneProblem::NoCountry,
            ParseError::NotANumber(_) => PhoneProblem::NotANumber,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => PhoneProblem::TooShort,
            ParseError::TooLongNsn => PhoneProblem::TooLong,
        })?;
    if PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return to_e164(&number);
    }
    parse_former_format(&number).ok_or_else(|| explain_invalid(&number))
}

/// Whether a region has a country code of its own or shares one.
pub(super) fn has_numbers(region: Region) -> bool {
    PHONE_NUMBER_UTIL
        .get_country_code_for_region(region)
        .is_some()
}

/// What kind of line the number is of.
pub(super) fn line_type(phone: Phone) -> LineType {
    let number = PHONE_NUMBER_UTIL.parse(phone.to_string(), None);
    let line_type = number.map(|number| PHONE_NUMBER_UTIL.get_number_type(&number));
    match line_type {
        Ok(PhoneNumberType::Mobile) => LineType::Mobile,
        Ok(PhoneNumberType::FixedLineOrMobile | PhoneNumberType::PersonalNumber) | Err(_) => {
            LineType::Unknown
        }
        Ok(_) => LineType::Landline,
    }
}

fn to_e164(number: &PhoneNumber) -> Result<Phone, PhoneProblem> {
    // The zeros of a national number, as in Italy, are part of its text.
    let national = number.get_national_significant_number();
    let shifted = 10u64.checked_pow(national.len() as u32);
    let country = u64::try_from(number.country_code).ok();
    let digits = shifted
        .zip(country)
        .and_then(|(shifted, country)| shifted.checked_mul(country))
        .zip(national.parse::<u64>().ok())
        .and_then(|(country, national)| country.checked_add(national));
    digits.map(Phone).ok_or(PhoneProblem::Invalid)
}

/// Converts formats that numbering plans have given up but WhatsApp still uses in its ids: `+52 1 …` in
/// Mexico, and mobile numbers without the ninth digit in Brazil. Each has exactly one valid equivalent.
fn parse_former_format(number: &PhoneNumber) -> Option<Phone> {
    let national = number.get_national_significant_number();
    let current = match (number.country_code, national.as_bytes()) {
        (52, [b'1', ..]) if national.len() == 11 => format!("+52{}", &national[1..]),
        (55, [_, _, b'6'..=b'9', ..]) if national.len() == 10 => {
            format!("+55{}9{}", &national[..2], &national[2..])
        }
        _ => return None,
    };
    let number = PHONE_NUMBER_UTIL.parse(current, None).ok()?;
    if PHONE_NUMBER_UTIL.is_valid_number(&number) {
        to_e164(&number).ok()
    } else {
        None
    }
}

/// Why a number that can be parsed is not valid.
fn explain_invalid(number: &PhoneNumber) -> PhoneProblem {
    let with_zero = format!(
        "+{}0{}",
        number.country_code,
        number.get_national_significant_number()
    );
    let is_valid_with_zero = PHONE_NUMBER_UTIL
        .parse(with_zero, None)
        .is_ok_and(|number| PHONE_NUMBER_UTIL.is_valid_number(&number));
    if is_valid_with_zero {
        return PhoneProblem::LostZero;
    }
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(number) {
        Ok(_) | Err(ValidationError::InvalidLength) => PhoneProblem::Invalid,
        Err(ValidationError::InvalidCountryCode) => PhoneProblem::NoCountry,
        Err(ValidationError::TooShort) => PhoneProblem::TooShort,
        Err(ValidationError::TooLong) => PhoneProblem::TooLong,
    }
}
