//! Every error code of the Cloud API and the decision on it, for answers and `failed` callbacks alike.
//!
//! Source: Meta, "Cloud API error codes" (September 2026) and "Graph API: handle errors". Decisions go by the code,
//! not by the HTTP status: sources disagree on the latter (130429 as 400 and as 429).

use campaign::delivery::outcome::{
    Backoff, ErrorCause, ErrorClass, ErrorInfo, GiveUpRule, ThrottleScope,
};

/// Where a code was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOrigin {
    /// In the answer to a send.
    Response {
        /// Whether the HTTP status was 500 or more.
        server_error: bool,
        /// The answer's `is_transient`.
        transient: bool,
    },
    /// In a `failed` status callback.
    Callback,
}

/// 1, 2, 4 … 60 s: the service recovers by itself.
const SOON: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: 1,
    factor: 2,
    max_seconds: 60,
    max_attempts: 12,
    give_up: GiveUpRule::Pause,
};

/// The same without an end: our own speed is at fault, not the row.
const THROUGHPUT: Backoff = Backoff {
    scope: ThrottleScope::Slot,
    max_attempts: u32::MAX,
    ..SOON
};

/// Limits counted by the hour; used where the API does not say how long.
const HOURLY: Backoff = Backoff {
    scope: ThrottleScope::Campaign,
    first_seconds: 300,
    factor: 2,
    max_seconds: 3600,
    max_attempts: 24,
    give_up: GiveUpRule::Pause,
};

/// A wait of fixed length, in seconds.
const fn every(seconds: u32, tries: u32, then: GiveUpRule) -> Backoff {
    Backoff {
        scope: ThrottleScope::Row,
        first_seconds: seconds,
        factor: 1,
        max_seconds: seconds,
        max_attempts: tries,
        give_up: then,
    }
}

/// The same for every row of the campaign: whatever is wrong is not the row's.
const fn everybody(seconds: u32, tries: u32) -> Backoff {
    Backoff {
        scope: ThrottleScope::Campaign,
        ..every(seconds, tries, GiveUpRule::Pause)
    }
}

/// The decision on an error code.
pub fn classify_error(code: i64, seen: ErrorOrigin) -> ErrorClass {
    match code {
        0 | 104 | 190 => ErrorClass::InvalidToken,
        1 => ErrorClass::Retry(Backoff {
            max_attempts: 3,
            ..SOON
        }),
        2 | 131016 | 133004 => ErrorClass::Retry(SOON),
        3 | 10 | 200..=299 | 33 | 368 => ErrorClass::Account,
        4 | 613 | 80007 => ErrorClass::Retry(HOURLY),
        100 | 131008 | 131009 => ErrorClass::RowOrCampaign(ErrorCause::Anything),
        130429 => ErrorClass::Retry(THROUGHPUT),
        130403 | 130472 | 130497 => ErrorClass::Recipient,
        131000 => unknown_failure(seen),
        131005 | 131031 | 131037 | 131042 | 131045 | 131048 | 131064 => ErrorClass::Account,
        131021 | 131026 | 131030 | 131043 | 131047 | 131050 | 131062 | 137000 => {
            ErrorClass::Recipient
        }
        131049 => ErrorClass::Retry(every(24 * 3600, 3, GiveUpRule::Reject)),
        131051 | 131055 | 131063 | 134100 | 135000 => ErrorClass::Campaign,
        131053 => ErrorClass::Retry(Backoff {
            scope: ThrottleScope::Row,
            first_seconds: 5,
            factor: 2,
            max_seconds: 60,
            max_attempts: 3,
            give_up: GiveUpRule::PauseUnless(ErrorCause::Media),
        }),
        131056 => ErrorClass::Retry(Backoff {
            scope: ThrottleScope::Row,
            first_seconds: 4,
            factor: 4,
            max_seconds: 4096,
            max_attempts: 8,
            give_up: GiveUpRule::Reject,
        }),
        131057 => ErrorClass::Retry(everybody(20, 30)),
        132000 | 132012 => ErrorClass::RowOrCampaign(ErrorCause::Values),
        132001 | 132007 => ErrorClass::RowOrCampaign(ErrorCause::TemplateName),
        132005 | 132018 => ErrorClass::Recipient,
        132015 | 132016 | 132068 => ErrorClass::Campaign,
        132069 => ErrorClass::Retry(everybody(3600, 6)),
        133005 | 133006 | 133008..=133010 | 133015 | 133016 | 134011 => ErrorClass::Account,
        134101 => ErrorClass::Retry(everybody(600, 12)),
        _ => unlisted(seen),
    }
}

/// 131000 beside a server error may hide a send; else it is worth one more try.
fn unknown_failure(seen: ErrorOrigin) -> ErrorClass {
    match seen {
        ErrorOrigin::Response {
            server_error: true, ..
        } => ErrorClass::Unconfirmed,
        ErrorOrigin::Response {
            server_error: false,
            ..
        }
        | ErrorOrigin::Callback => ErrorClass::Retry(every(300, 2, GiveUpRule::Reject)),
    }
}

/// A code that Meta's list does not have: final, unless the API calls it transient.
fn unlisted(seen: ErrorOrigin) -> ErrorClass {
    match seen {
        ErrorOrigin::Response {
            transient: true, ..
        } => ErrorClass::Retry(SOON),
        ErrorOrigin::Response {
            transient: false, ..
        }
        | ErrorOrigin::Callback => ErrorClass::Recipient,
    }
}

/// What a code means and what to do, where a campaign stops for it; one sentence for people.
fn advice(code: i64) -> &'static str {
    match code {
        0 | 104 | 190 => {
            "The access token is missing, expired or revoked: put a new one into the secret."
        }
        3 | 10 | 131005 | 200..=299 => {
            "The access token may not send for this number: give its system user the permission whatsapp_business_messaging."
        }
        33 => "The phone number id does not exist (any more): check the parameter PhoneNumberId.",
        368 | 131031 | 131064 => {
            "Meta restricted the account: open the Account Quality page in Meta's Business Manager."
        }
        131042 | 134011 => {
            "Payment is missing or its terms are not accepted: open billing in Meta's Business Manager."
        }
        131048 => {
            "Too many people blocked or reported this number: wait, and look at the template and the list before going on."
        }
        131037 => "The display name is not approved: wait for its approval in WhatsApp Manager.",
        131045 | 133005..=133016 => {
            "The phone number is not registered with the Cloud API: register it in WhatsApp Manager."
        }
        132001 => {
            "The template does not exist in this language, or is not approved: check its name and language in WhatsApp Manager."
        }
        132000 | 132012 => {
            "The parameters do not match the template: compare the message with the template in WhatsApp Manager."
        }
        132007 | 132015 | 132016 => {
            "WhatsApp paused, disabled or refused the template: look at its quality in WhatsApp Manager."
        }
        131055 | 131063 | 134100 => "This template's category goes through another of Meta's APIs.",
        131053 => "WhatsApp could not fetch or use the media file: check its link, type and size.",
        1 | 2 | 131016 | 131057 | 133004 => {
            "WhatsApp's service is down for longer than a retry bridges."
        }
        4 | 613 | 80007 => "The account's hourly limit of API calls is used up.",
        100 | 131008 | 131009 | 135000 => {
            "WhatsApp refuses the message as such: compare it with the API's reference."
        }
        131051 => "WhatsApp does not support this type of message.",
        _ => "WhatsApp refused the message in a way that would meet every row.",
    }
}

/// What a code means for the person it was met with, in words of our own; for those that are about one person.
pub fn describe_code(code: i64) -> Option<&'static str> {
    Some(match code {
        130403 => "the person blocked this business",
        130472 => "WhatsApp did not deliver it because the person is part of an experiment",
        130497 => "this account may not message people of this country",
        131000 => "WhatsApp failed for a reason it does not tell",
        131021 => "the number is the sender's own",
        131026 => "the number is not on WhatsApp, or its app is too old",
        131030 => "the number is not on the test account's list",
        131043 => "it could not be delivered before it expired",
        131047 => "the person has not written within 24 hours, so only a template may be sent",
        131049 => "WhatsApp limits how much marketing one person gets; later it may be delivered",
        131050 => "the person stopped marketing messages of this business",
        131053 => "WhatsApp could not fetch or use the media file",
        131056 => "too many messages to this person in a short time",
        131062 => "it cannot be sent to somebody known by an id alone",
        132005 | 132018 => {
            "a value of this row is too long for the template, or has characters it may not have"
        }
        137000 => "the person's identity changed since it was confirmed",
        _ => return None,
    })
}

/// Why a campaign stops or rests, and what to do: the sentence people read.
pub fn explain_pause(fault: &ErrorInfo) -> String {
    let details = fault
        .details
        .as_deref()
        .map(|details| format!(": {details}"))
        .unwrap_or_default();
    match fault.code {
        Some(code) => format!(
            "WhatsApp answered error {code}, \"{}\"{details}. {}",
            fault.title,
            advice(code)
        ),
        None => format!(
            "WhatsApp could not be reached ({}). Check the parameter GraphApiUrl and Meta's status page.",
            fault.title
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: ErrorOrigin = ErrorOrigin::Response {
        server_error: false,
        transient: false,
    };

    /// One code of each line of the table in the design: what must be true of it.
    #[test]
    fn each_code_has_the_class_of_metas_table() {
        for code in [0, 190, 104] {
            assert_eq!(classify_error(code, ANSWER), ErrorClass::InvalidToken);
        }
        for code in [
            3, 10, 200, 299, 33, 368, 131005, 131031, 131037, 131042, 131045, 131048, 131064,
            133005, 133016, 134011,
        ] {
            assert_eq!(classify_error(code, ANSWER), ErrorClass::Account, "{code}");
        }
        for code in [
            131051, 131055, 131063, 134100, 132015, 132016, 132068, 135000,
        ] {
            assert_eq!(classify_error(code, ANSWER), ErrorClass::Campaign, "{code}");
        }
        for code in [
            130403, 130472, 130497, 131021, 131026, 131030, 131043, 131047, 131050, 131062, 132005,
            132018, 137000,
        ] {
            assert_eq!(
                classify_error(code, ANSWER),
                ErrorClass::Recipient,
                "{code}"
            );
        }
        for code in [
            1, 2, 4, 613, 80007, 130429, 131016, 131049, 131053, 131056, 131057, 132069, 133004,
            134101,
        ] {
            assert!(
                matches!(classify_error(code, ANSWER), ErrorClass::Retry(_)),
                "{code}"
            );
        }
        for (code, blame) in [
            (100, ErrorCause::Anything),
            (131009, ErrorCause::Anything),
            (132000, ErrorCause::Values),
            (132001, ErrorCause::TemplateName),
        ] {
            assert_eq!(
                classify_error(code, ANSWER),
                ErrorClass::RowOrCampaign(blame),
                "{code}"
            );
        }
    }

    #[test]
    fn only_what_everybody_meets_slows_everybody() {
        let slows = |code| match classify_error(code, ANSWER) {
            ErrorClass::Retry(backoff) => backoff.scope,
            other => panic!("{code}: {other:?}"),
        };
        assert_eq!(slows(130429), ThrottleScope::Slot);
        assert_eq!(slows(131056), ThrottleScope::Row);
        for code in [4, 613, 80007, 131057, 132069, 134101] {
            assert_eq!(slows(code), ThrottleScope::Campaign, "{code}");
        }
    }

    #[test]
    fn a_server_error_that_may_hide_a_send_is_a_doubt() {
        assert_eq!(
            classify_error(
                131000,
                ErrorOrigin::Response {
                    server_error: true,
                    transient: true
                }
            ),
            ErrorClass::Unconfirmed
        );
        assert!(matches!(
            classify_error(131000, ANSWER),
            ErrorClass::Retry(_)
        ));
        assert!(matches!(
            classify_error(131000, ErrorOrigin::Callback),
            ErrorClass::Retry(_)
        ));
    }

    #[test]
    fn an_unlisted_code_is_final_unless_transient() {
        assert_eq!(classify_error(999_999, ANSWER), ErrorClass::Recipient);
        let transient = ErrorOrigin::Response {
            server_error: false,
            transient: true,
        };
        assert!(matches!(
            classify_error(999_999, transient),
            ErrorClass::Retry(_)
        ));
    }
}
