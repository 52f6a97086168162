//! Whether it makes sense to send a message again that WhatsApp refused or did not deliver.

use campaign::delivery::outcome::ErrorClass;

use crate::error_code::{ErrorOrigin, advice, classify_error};

/// The number is not on WhatsApp.
const UNREACHABLE: i64 = 131_026;

/// It expired before it could be delivered, for example because the device was off.
const EXPIRED: i64 = 131_043;

/// A value does not fit the template.
const INVALID_VALUES: [i64; 2] = [132_005, 132_018];

/// Whether another try makes sense after this error, and a sentence that says why, or what to do first.
pub fn retry_advice(code: i64) -> (bool, String) {
    let origin = ErrorOrigin::Callback { was_held: false };
    match classify_error(code, origin) {
        ErrorClass::Retry(_) | ErrorClass::Unconfirmed => {
            (true, "The cause passes by itself: send these again later.".into())
        }
        ErrorClass::Recipient => recipient_advice(code),
        ErrorClass::RowOrCampaign(_) => (
            false,
            format!("The rows' own values may be the cause: download these rows, correct them and upload them as a further file. {}", advice(code).unwrap_or_default())
                .trim()
                .to_owned(),
        ),
        ErrorClass::Campaign
        | ErrorClass::Number
        | ErrorClass::Account
        | ErrorClass::InvalidToken => (
            true,
            format!("{} Then send these again.", advice(code).unwrap_or_default()),
        ),
    }
}

fn recipient_advice(code: i64) -> (bool, String) {
    match code {
        EXPIRED => (
            true,
            "The devices were not reachable in time: another try may reach them.".into(),
        ),
        UNREACHABLE => (
            false,
            "Another try gets the same answer. Correct the numbers and upload them as a further file, or remove them from your list.".into(),
        ),
        code if INVALID_VALUES.contains(&code) => (
            false,
            "Shorten or correct the values and upload these rows as a further file.".into(),
        ),
        _ => (
            false,
            "The recipient or WhatsApp decided this: another try gets the same answer.".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_the_class_of_the_error() {
        for (code, makes_sense) in [
            (131_026, false),
            (131_050, false),
            (131_043, true),
            (131_049, true),
            (130_429, true),
            (131_042, true),
            (132_000, false),
            (132_005, false),
        ] {
            let (found, reason) = retry_advice(code);
            assert_eq!(found, makes_sense, "{code}: {reason}");
            assert!(reason.ends_with('.'), "{reason}");
        }
    }
}
