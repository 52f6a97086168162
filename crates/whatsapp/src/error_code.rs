//! The error codes of the Cloud API in one table. It serves responses to sends and `failed` callbacks alike.
//!
//! Source: Meta, "Cloud API error codes" (September 2026) and "Graph API: handle errors". Decisions follow the code and
//! not the HTTP status, because sources disagree on the status (130429 as 400 and as 429).

use campaign::delivery::outcome::ErrorCause::{Anything, Media, TemplateName, Values};
use campaign::delivery::outcome::ErrorClass::{
    Account, Campaign, InvalidToken, Recipient, Retry, RowOrCampaign, Unconfirmed,
};
use campaign::delivery::outcome::{Backoff, ErrorClass, ErrorInfo, GiveUpRule, ThrottleScope};

/// Where an error code was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOrigin {
    /// In the response to a send.
    Response {
        /// Whether the HTTP status was 500 or more.
        server_error: bool,
        /// The error's `is_transient`.
        transient: bool,
    },
    /// In a `failed` status callback.
    Callback,
}

/// What to do about one code, or about a range of codes.
struct ErrorCode {
    first: i64,
    last: i64,
    /// What the error calls for. Names the row's data that may be the cause, where the error is ambiguous.
    class: ErrorClass,
    /// For the operator of a campaign that pauses or waits: what the error means and what to do.
    advice: &'static str,
    /// For the report: what the error means for one recipient. `None` for errors that are about the campaign.
    meaning: Option<&'static str>,
}

const fn code(
    code: i64,
    class: ErrorClass,
    advice: &'static str,
    meaning: Option<&'static str>,
) -> ErrorCode {
    ErrorCode {
        first: code,
        last: code,
        class,
        advice,
        meaning,
    }
}

const fn codes(first: i64, last: i64, class: ErrorClass, advice: &'static str) -> ErrorCode {
    ErrorCode {
        first,
        last,
        class,
        advice,
        meaning: None,
    }
}

/// Every code that Crier knows, in ascending order.
#[rustfmt::skip]
const ERROR_CODES: &[ErrorCode] = &[
    //   code     class                           advice            meaning
    code(0,       InvalidToken,                   REPLACE_TOKEN,    None),
    code(1,       Retry(UNKNOWN_ERROR),           SERVICE_DOWN,     None),
    code(2,       Retry(OUTAGE),                  SERVICE_DOWN,     None),
    code(3,       Account,                        GRANT_PERMISSION, None),
    code(4,       Retry(HOURLY_LIMIT),            CALL_LIMIT,       None),
    code(10,      Account,                        GRANT_PERMISSION, None),
    code(33,      Account,                        NO_SUCH_NUMBER,   None),
    code(100,     RowOrCampaign(Anything),        INVALID_MESSAGE,  None),
    code(104,     InvalidToken,                   REPLACE_TOKEN,    None),
    code(190,     InvalidToken,                   REPLACE_TOKEN,    None),
    codes(200, 299, Account,                      GRANT_PERMISSION),
    code(368,     Account,                        RESTRICTED,       None),
    code(613,     Retry(HOURLY_LIMIT),            CALL_LIMIT,       None),
    code(80007,   Retry(HOURLY_LIMIT),            CALL_LIMIT,       None),
    code(130403,  Recipient,                      REFUSED,          Some("this business blocked the recipient")),
    code(130429,  Retry(THROUGHPUT),              REFUSED,          None),
    code(130472,  Recipient,                      REFUSED,          Some("WhatsApp did not deliver it because the recipient is part of an experiment")),
    code(130497,  Recipient,                      REFUSED,          Some("this account may not message recipients in this country")),
    code(131000,  Retry(UNEXPLAINED),             REFUSED,          Some("WhatsApp failed and gave no reason")),
    code(131005,  Account,                        GRANT_PERMISSION, None),
    code(131008,  RowOrCampaign(Anything),        INVALID_MESSAGE,  None),
    code(131009,  RowOrCampaign(Anything),        INVALID_MESSAGE,  None),
    code(131016,  Retry(OUTAGE),                  SERVICE_DOWN,     None),
    code(131021,  Recipient,                      REFUSED,          Some("the number is the sender's own")),
    code(131026,  Recipient,                      REFUSED,          Some("the number is not on WhatsApp, or its app is too old")),
    code(131030,  Recipient,                      REFUSED,          Some("the number is not on the test account's list")),
    code(131031,  Account,                        RESTRICTED,       None),
    code(131037,  Account,                        DISPLAY_NAME,     None),
    code(131042,  Account,                        PAYMENT,          None),
    code(131043,  Recipient,                      REFUSED,          Some("it could not be delivered before it expired")),
    code(131045,  Account,                        REGISTER_NUMBER,  None),
    code(131047,  Recipient,                      REFUSED,          Some("the recipient has not written within 24 hours, so only a template may be sent")),
    code(131048,  Account,                        SPAM_LIMIT,       None),
    code(131049,  Retry(MARKETING_LIMIT),         REFUSED,          Some("WhatsApp limits how much marketing one recipient gets; it may be delivered later")),
    code(131050,  Recipient,                      REFUSED,          Some("the recipient stopped marketing messages from this business")),
    code(131051,  Campaign,                       MESSAGE_TYPE,     None),
    code(131053,  Retry(MEDIA),                   CHECK_MEDIA,      Some("WhatsApp could not fetch or use the media file")),
    code(131055,  Campaign,                       OTHER_API,        None),
    code(131056,  Retry(PAIR_LIMIT),              REFUSED,          Some("too many messages to this recipient in a short time")),
    code(131057,  Retry(MAINTENANCE),             SERVICE_DOWN,     None),
    code(131062,  Recipient,                      REFUSED,          Some("it cannot be sent to a recipient known by a user id alone")),
    code(131063,  Campaign,                       OTHER_API,        None),
    code(131064,  Account,                        RESTRICTED,       None),
    code(132000,  RowOrCampaign(Values),          PARAMETERS,       None),
    code(132001,  RowOrCampaign(TemplateName),    NO_SUCH_TEMPLATE, None),
    code(132005,  Recipient,                      REFUSED,          Some(INVALID_VALUE)),
    code(132007,  RowOrCampaign(TemplateName),    TEMPLATE_QUALITY, None),
    code(132012,  RowOrCampaign(Values),          PARAMETERS,       None),
    code(132015,  Campaign,                       TEMPLATE_QUALITY, None),
    code(132016,  Campaign,                       TEMPLATE_QUALITY, None),
    code(132018,  Recipient,                      REFUSED,          Some(INVALID_VALUE)),
    code(132068,  Campaign,                       REFUSED,          None),
    code(132069,  Retry(FLOW_THROTTLED),          REFUSED,          None),
    code(133004,  Retry(OUTAGE),                  SERVICE_DOWN,     None),
    code(133005,  Account,                        REGISTER_NUMBER,  None),
    code(133006,  Account,                        REGISTER_NUMBER,  None),
    code(133008,  Account,                        REGISTER_NUMBER,  None),
    code(133009,  Account,                        REGISTER_NUMBER,  None),
    code(133010,  Account,                        REGISTER_NUMBER,  None),
    code(133015,  Account,                        REGISTER_NUMBER,  None),
    code(133016,  Account,                        REGISTER_NUMBER,  None),
    code(134011,  Account,                        PAYMENT,          None),
    code(134100,  Campaign,                       OTHER_API,        None),
    code(134101,  Retry(TEMPLATE_SYNCING),        REFUSED,          None),
    code(135000,  Campaign,                       INVALID_MESSAGE,  None),
    code(137000,  Recipient,                      REFUSED,          Some("the recipient's identity changed since it was confirmed")),
];

const REPLACE_TOKEN: &str =
    "The access token is missing, expired or revoked: put a new one into the secret.";
const GRANT_PERMISSION: &str = "The access token may not send for this number: give its system user the permission whatsapp_business_messaging.";
const NO_SUCH_NUMBER: &str =
    "The phone number id does not exist (any more): check the parameter PhoneNumberId.";
const RESTRICTED: &str =
    "Meta restricted the account: open the Account Quality page in Meta's Business Manager.";
const PAYMENT: &str = "The payment method is missing, or its terms are not accepted: open billing in Meta's Business Manager.";
const SPAM_LIMIT: &str = "Too many recipients blocked or reported this number: wait, and review the template and the recipient list before you resume.";
const DISPLAY_NAME: &str =
    "The display name is not approved: wait for its approval in WhatsApp Manager.";
const REGISTER_NUMBER: &str =
    "The phone number is not registered with the Cloud API: register it in WhatsApp Manager.";
const NO_SUCH_TEMPLATE: &str = "The template does not exist in this language, or is not approved: check its name and language in WhatsApp Manager.";
const PARAMETERS: &str = "The parameters do not match the template: compare the message with the template in WhatsApp Manager.";
const TEMPLATE_QUALITY: &str =
    "WhatsApp paused, disabled or refused the template: check its quality in WhatsApp Manager.";
const OTHER_API: &str = "Templates of this category must be sent through another of Meta's APIs.";
const CHECK_MEDIA: &str =
    "WhatsApp could not fetch or use the media file: check its link, type and size.";
const SERVICE_DOWN: &str =
    "WhatsApp's service is down. If the campaign is paused, resume it later.";
const CALL_LIMIT: &str = "The account's hourly limit of API calls is used up. If the campaign is paused, resume it in an hour.";
const INVALID_MESSAGE: &str =
    "WhatsApp refuses the message itself: compare it with the API reference.";
const MESSAGE_TYPE: &str = "WhatsApp does not support this type of message.";
const REFUSED: &str = "WhatsApp refused the message in a way that would affect every row.";
const INVALID_VALUE: &str =
    "a value of this row is too long for the template, or contains characters that are not allowed";

/// The service recovers by itself: 1, 2, 4 … 60 s.
const OUTAGE: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: 1,
    factor: 2,
    max_seconds: 60,
    max_attempts: 12,
    give_up: GiveUpRule::Pause,
};

const UNKNOWN_ERROR: Backoff = Backoff {
    max_attempts: 3,
    ..OUTAGE
};

/// Never gives up, because the cause is the sender's own speed and not the row.
const THROUGHPUT: Backoff = Backoff {
    scope: ThrottleScope::Slot,
    max_attempts: u32::MAX,
    ..OUTAGE
};

/// Meta counts these limits by the hour. The delays apply where the response does not say how long to wait.
const HOURLY_LIMIT: Backoff = Backoff {
    scope: ThrottleScope::Campaign,
    first_seconds: 300,
    factor: 2,
    max_seconds: 3600,
    max_attempts: 24,
    give_up: GiveUpRule::Pause,
};

const MEDIA: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: 5,
    factor: 2,
    max_seconds: 60,
    max_attempts: 3,
    give_up: GiveUpRule::PauseUnless(Media),
};

/// Meta asks for 4^x seconds (Meta, "Pair rate limits").
const PAIR_LIMIT: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: 4,
    factor: 4,
    max_seconds: 4096,
    max_attempts: 8,
    give_up: GiveUpRule::Reject,
};

const UNEXPLAINED: Backoff = fixed_delay(300, 2, GiveUpRule::Reject);
const MARKETING_LIMIT: Backoff = fixed_delay(24 * 3600, 3, GiveUpRule::Reject);
const MAINTENANCE: Backoff = campaign_delay(20, 30);
const TEMPLATE_SYNCING: Backoff = campaign_delay(600, 12);
const FLOW_THROTTLED: Backoff = campaign_delay(3600, 6);

const fn fixed_delay(seconds: u32, max_attempts: u32, give_up: GiveUpRule) -> Backoff {
    Backoff {
        scope: ThrottleScope::Row,
        first_seconds: seconds,
        factor: 1,
        max_seconds: seconds,
        max_attempts,
        give_up,
    }
}

/// For errors that would meet every row of the campaign.
const fn campaign_delay(seconds: u32, max_attempts: u32) -> Backoff {
    Backoff {
        scope: ThrottleScope::Campaign,
        ..fixed_delay(seconds, max_attempts, GiveUpRule::Pause)
    }
}

fn find(code: i64) -> Option<&'static ErrorCode> {
    ERROR_CODES
        .iter()
        .find(|entry| (entry.first..=entry.last).contains(&code))
}

/// The decision on an error code. A code that is not listed is final for the recipient, unless the API calls it
/// transient.
pub fn classify_error(code: i64, origin: ErrorOrigin) -> ErrorClass {
    match (find(code), origin) {
        // The message may have been sent despite the error.
        (
            Some(_),
            ErrorOrigin::Response {
                server_error: true, ..
            },
        ) if code == 131000 => Unconfirmed,
        (Some(entry), _) => entry.class,
        (
            None,
            ErrorOrigin::Response {
                transient: true, ..
            },
        ) => Retry(OUTAGE),
        (
            None,
            ErrorOrigin::Response {
                transient: false, ..
            }
            | ErrorOrigin::Callback,
        ) => Recipient,
    }
}

/// What a code means for one recipient. `None` for codes that are not about a recipient.
pub fn describe_code(code: i64) -> Option<&'static str> {
    find(code)?.meaning
}

/// Why a campaign pauses or waits, and what the operator can do.
pub fn explain_pause(error: &ErrorInfo) -> String {
    let details = error
        .details
        .as_deref()
        .map(|details| format!(": {details}"))
        .unwrap_or_default();
    match error.code {
        Some(code) => format!(
            "WhatsApp answered with error {code}, \"{}\"{details}. {}",
            error.title,
            find(code).map_or(REFUSED, |entry| entry.advice)
        ),
        None => format!(
            "WhatsApp could not be reached ({}). Check the parameter GraphApiUrl and Meta's status page.",
            error.title
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: ErrorOrigin = ErrorOrigin::Response {
        server_error: false,
        transient: false,
    };

    #[test]
    fn table_lists_no_code_twice() {
        for pair in ERROR_CODES.windows(2) {
            let (previous, next) = (&pair[0], &pair[1]);
            assert!(
                previous.first <= previous.last && previous.last < next.first,
                "{} is listed twice or out of order",
                next.first
            );
        }
    }

    #[test]
    fn each_code_has_the_class_of_metas_documentation() {
        for code in [0, 190, 104] {
            assert_eq!(classify_error(code, RESPONSE), InvalidToken);
        }
        for code in [
            3, 10, 200, 299, 33, 368, 131005, 131031, 131037, 131042, 131045, 131048, 131064,
            133005, 133016, 134011,
        ] {
            assert_eq!(classify_error(code, RESPONSE), Account, "{code}");
        }
        for code in [
            131051, 131055, 131063, 134100, 132015, 132016, 132068, 135000,
        ] {
            assert_eq!(classify_error(code, RESPONSE), Campaign, "{code}");
        }
        for code in [
            130403, 130472, 130497, 131021, 131026, 131030, 131043, 131047, 131050, 131062, 132005,
            132018, 137000,
        ] {
            assert_eq!(classify_error(code, RESPONSE), Recipient, "{code}");
        }
        for code in [
            1, 2, 4, 613, 80007, 130429, 131016, 131049, 131053, 131056, 131057, 132069, 133004,
            134101,
        ] {
            assert!(matches!(classify_error(code, RESPONSE), Retry(_)), "{code}");
        }
        for (code, cause) in [
            (100, Anything),
            (131009, Anything),
            (132000, Values),
            (132001, TemplateName),
        ] {
            assert_eq!(
                classify_error(code, RESPONSE),
                RowOrCampaign(cause),
                "{code}"
            );
        }
    }

    #[test]
    fn only_errors_that_every_row_meets_slow_every_row() {
        let scope = |code| match classify_error(code, RESPONSE) {
            Retry(backoff) => backoff.scope,
            other => panic!("{code}: {other:?}"),
        };
        assert_eq!(scope(130429), ThrottleScope::Slot);
        assert_eq!(scope(131056), ThrottleScope::Row);
        for code in [4, 613, 80007, 131057, 132069, 134101] {
            assert_eq!(scope(code), ThrottleScope::Campaign, "{code}");
        }
    }

    #[test]
    fn server_error_that_may_hide_a_send_is_unconfirmed() {
        let server_error = ErrorOrigin::Response {
            server_error: true,
            transient: true,
        };
        assert_eq!(classify_error(131000, server_error), Unconfirmed);
        for origin in [RESPONSE, ErrorOrigin::Callback] {
            assert!(matches!(classify_error(131000, origin), Retry(_)));
        }
    }

    #[test]
    fn unlisted_code_is_final_unless_transient() {
        assert_eq!(classify_error(999_999, RESPONSE), Recipient);
        let transient = ErrorOrigin::Response {
            server_error: false,
            transient: true,
        };
        assert!(matches!(classify_error(999_999, transient), Retry(_)));
    }
}
