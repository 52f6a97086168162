//! The error codes of the Cloud API in one table. It serves responses to sends and `failed` callbacks alike.
//!
//! Source: Meta, "Cloud API error codes" (September 2026) and "Graph API: handle errors". Decisions follow the code and
//! not the HTTP status, because sources disagree on the status (130429 as 400 and as 429). The status decides in one case
//! only: if it is 500 or more, and the code does not say that nothing was sent.

use BesideServerError::{MaybeSent, NotSent};
use campaign::delivery::outcome::ErrorCause::{Anything, Media, TemplateName, Values};
use campaign::delivery::outcome::ErrorClass::{
    Account, Campaign, InvalidToken, Number, Recipient, Retry, RowOrCampaign, Unconfirmed,
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
    Callback {
        /// Whether the message was accepted as `held_for_quality_assessment`.
        was_held: bool,
    },
}

/// What a code says about the message beside an HTTP status of 500 or more.
///
/// The Cloud API has no idempotency key. A wrong `NotSent` gives a recipient the message twice; a wrong `MaybeSent` leaves
/// a row unconfirmed that could have been sent again. Meta answers some codes with 5xx regularly: 3, 131000, 131016, 131045
/// and 131057 with 500, 2 and 133004 with 503 (Meta, "Cloud API error codes" of 2024, which still had the column "HTTP
/// status code"), 134102 with 500 ("Marketing Messages API for WhatsApp error codes", September 2026). So the status alone
/// says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BesideServerError {
    /// Nothing was sent, whatever the status. The code names a check that comes before the send (token, permission,
    /// account, number, template, parameters, recipient), a limit beyond which requests fail (Meta, "Graph API: rate
    /// limits", and "Throughput" for 130429), maintenance in which the number cannot be used (131057, "Throughput"), or it
    /// says itself that the message was not sent or not delivered.
    NotSent,
    /// Unknown. The code names trouble inside Meta and not where it happened: before or after the message was taken. Meta
    /// recommends to retry 1, 2 and 131000, but retries of posts that were answered with code 2 and HTTP 500 published them
    /// again and again (arsduo/koala on GitHub, issue 699, August 2025). Meta's "Handle errors" says only "possibly a
    /// temporary issue due to downtime".
    MaybeSent,
}

/// What to do about one code, or about a range of codes.
struct ErrorCode {
    first: i64,
    last: i64,
    /// What the error calls for. Names the row's data that may be the cause, where the error is ambiguous.
    class: ErrorClass,
    /// Whether the message may have been sent if the HTTP status is 500 or more; then the class does not apply.
    beside_server_error: BesideServerError,
    /// For the operator of a campaign that pauses or waits: what the error means and what to do.
    advice: &'static str,
    /// For the report: what the error means for one recipient. `None` for errors that are about the campaign.
    meaning: Option<&'static str>,
}

const fn code(
    code: i64,
    class: ErrorClass,
    beside_server_error: BesideServerError,
    advice: &'static str,
    meaning: Option<&'static str>,
) -> ErrorCode {
    ErrorCode {
        first: code,
        last: code,
        class,
        beside_server_error,
        advice,
        meaning,
    }
}

/// A range of codes about permissions or the number, which are checked before a message is sent.
const fn codes(first: i64, last: i64, class: ErrorClass, advice: &'static str) -> ErrorCode {
    ErrorCode {
        first,
        last,
        class,
        beside_server_error: NotSent,
        advice,
        meaning: None,
    }
}

/// Every code that Crier knows, in ascending order.
#[rustfmt::skip]
const ERROR_CODES: &[ErrorCode] = &[
    //   code     class                           beside 5xx  advice            meaning
    code(0,       InvalidToken,                   NotSent,    REPLACE_TOKEN,    None),
    code(1,       Retry(UNKNOWN_ERROR),           MaybeSent,  SERVICE_DOWN,     None),
    code(2,       Retry(OUTAGE),                  MaybeSent,  SERVICE_DOWN,     None),
    code(3,       Account,                        NotSent,    GRANT_PERMISSION, None),
    code(4,       Retry(HOURLY_LIMIT),            NotSent,    CALL_LIMIT,       None),
    code(10,      Account,                        NotSent,    GRANT_PERMISSION, None),
    code(33,      Number,                         NotSent,    NO_SUCH_NUMBER,   None),
    code(100,     RowOrCampaign(Anything),        NotSent,    INVALID_MESSAGE,  None),
    code(104,     InvalidToken,                   NotSent,    REPLACE_TOKEN,    None),
    code(190,     InvalidToken,                   NotSent,    REPLACE_TOKEN,    None),
    codes(200, 299, Account,                                  GRANT_PERMISSION),
    code(368,     Account,                        NotSent,    RESTRICTED,       None),
    code(613,     Retry(HOURLY_LIMIT),            NotSent,    CALL_LIMIT,       None),
    code(80007,   Retry(HOURLY_LIMIT),            NotSent,    CALL_LIMIT,       None),
    code(130403,  Recipient,                      NotSent,    REFUSED,          Some("this business blocked the recipient")),
    code(130429,  Retry(THROUGHPUT),              NotSent,    REFUSED,          None),
    code(130472,  Recipient,                      NotSent,    REFUSED,          Some("WhatsApp did not deliver it because the recipient is part of an experiment")),
    code(130497,  Recipient,                      NotSent,    REFUSED,          Some("this account may not message recipients in this country")),
    code(131000,  Retry(UNEXPLAINED),             MaybeSent,  REFUSED,          Some("WhatsApp failed and gave no reason")),
    code(131005,  Account,                        NotSent,    GRANT_PERMISSION, None),
    code(131008,  RowOrCampaign(Anything),        NotSent,    INVALID_MESSAGE,  None),
    code(131009,  RowOrCampaign(Anything),        NotSent,    INVALID_MESSAGE,  None),
    code(131016,  Retry(OUTAGE),                  MaybeSent,  SERVICE_DOWN,     None),
    code(131021,  Recipient,                      NotSent,    REFUSED,          Some("the number is the sender's own")),
    code(131026,  Recipient,                      NotSent,    REFUSED,          Some("the number is not on WhatsApp, or its app is too old")),
    code(131030,  Recipient,                      NotSent,    REFUSED,          Some("the number is not on the test account's list")),
    code(131031,  Account,                        NotSent,    RESTRICTED,       None),
    code(131037,  Number,                         NotSent,    DISPLAY_NAME,     None),
    code(131042,  Account,                        NotSent,    PAYMENT,          None),
    code(131043,  Recipient,                      NotSent,    REFUSED,          Some("it could not be delivered before it expired")),
    code(131045,  Number,                         NotSent,    REGISTER_NUMBER,  None),
    code(131047,  Recipient,                      NotSent,    REFUSED,          Some("the recipient has not written or called within 24 hours, so only a template may be sent")),
    code(131048,  Number,                         NotSent,    SPAM_LIMIT,       None),
    code(131049,  Retry(MARKETING_LIMIT),         NotSent,    REFUSED,          Some("WhatsApp limits how much marketing one recipient gets; it may be delivered later")),
    code(131050,  Recipient,                      NotSent,    REFUSED,          Some("the recipient stopped marketing messages from this business")),
    code(131051,  Campaign,                       NotSent,    MESSAGE_TYPE,     None),
    code(131053,  Retry(MEDIA),                   NotSent,    CHECK_MEDIA,      Some("WhatsApp could not fetch or use the media file")),
    code(131055,  Campaign,                       NotSent,    OTHER_API,        None),
    code(131056,  Retry(PAIR_LIMIT),              NotSent,    REFUSED,          Some("too many messages to this recipient in a short time")),
    code(131057,  Retry(MAINTENANCE),             NotSent,    SERVICE_DOWN,     None),
    code(131058,  Campaign,                       NotSent,    TEST_TEMPLATE,    None),
    code(131062,  Recipient,                      NotSent,    REFUSED,          Some("it cannot be sent to a recipient known by a user id alone")),
    code(131063,  Campaign,                       NotSent,    MARKETING_OFF,    None),
    code(131064,  Account,                        NotSent,    MISCLASSIFIED,    None),
    code(132000,  RowOrCampaign(Values),          NotSent,    PARAMETERS,       None),
    code(132001,  RowOrCampaign(TemplateName),    NotSent,    NO_SUCH_TEMPLATE, None),
    code(132005,  Recipient,                      NotSent,    REFUSED,          Some(INVALID_VALUE)),
    code(132007,  RowOrCampaign(TemplateName),    NotSent,    TEMPLATE_QUALITY, None),
    code(132008,  RowOrCampaign(Anything),        NotSent,    INVALID_MESSAGE,  None),
    code(132012,  RowOrCampaign(Values),          NotSent,    PARAMETERS,       None),
    code(132015,  Campaign,                       NotSent,    TEMPLATE_QUALITY, None),
    code(132016,  Campaign,                       NotSent,    TEMPLATE_QUALITY, None),
    code(132018,  Recipient,                      NotSent,    REFUSED,          Some(INVALID_VALUE)),
    code(132068,  Campaign,                       NotSent,    REFUSED,          None),
    code(132069,  Retry(FLOW_THROTTLED),          NotSent,    REFUSED,          None),
    code(133004,  Retry(OUTAGE),                  MaybeSent,  SERVICE_DOWN,     None),
    codes(133005, 133016, Number,                             REGISTER_NUMBER),
    code(134011,  Account,                        NotSent,    PAYMENT,          None),
    code(134100,  Campaign,                       NotSent,    OTHER_API,        None),
    code(134101,  Retry(TEMPLATE_SYNCING),        NotSent,    REFUSED,          None),
    code(134102,  Campaign,                       NotSent,    NOT_ONBOARDED,    None),
    code(135000,  Campaign,                       NotSent,    INVALID_MESSAGE,  None),
    code(137000,  Recipient,                      NotSent,    REFUSED,          Some("the recipient's identity changed since it was confirmed")),
];

const REPLACE_TOKEN: &str =
    "The access token is missing, expired or revoked: put a new one into the secret.";
const GRANT_PERMISSION: &str = "The access token may not send for this number: give its system user the permission whatsapp_business_messaging.";
const NO_SUCH_NUMBER: &str = "The phone number does not exist (any more), or the access token may not use it: check the parameter PhoneNumberId of its stack and the token's system user, then resume the number.";
const RESTRICTED: &str =
    "Meta restricted the account: open the Account Quality page in Meta's Business Manager.";
const MISCLASSIFIED: &str = "Meta limits the account because templates are in the wrong category: correct their categories in WhatsApp Manager. The limit ends by itself; resume then.";
const PAYMENT: &str = "The payment method is missing, or its terms are not accepted: open billing in Meta's Business Manager.";
const SPAM_LIMIT: &str = "Too many recipients blocked or reported this number: wait, and review the template and the recipient list before you resume the number.";
const DISPLAY_NAME: &str = "The number's display name is not approved: wait for its approval in WhatsApp Manager, then resume the number.";
const REGISTER_NUMBER: &str = "The phone number is not registered with the Cloud API: register it in WhatsApp Manager, then resume the number.";
const NO_SUCH_TEMPLATE: &str = "The template does not exist in this language, or is not approved: check its name and language in WhatsApp Manager.";
const PARAMETERS: &str = "The parameters do not match the template: compare the message with the template in WhatsApp Manager.";
const TEMPLATE_QUALITY: &str =
    "WhatsApp paused, disabled or refused the template: check its quality in WhatsApp Manager.";
const TEMPLATE_HELD: &str = "WhatsApp had held the messages back to assess their quality, then dropped them because recipients reacted badly to the first ones, and blocks the portfolio's templates: check the template and the Account Quality page in Meta's Business Manager. The dropped rows are not sent again.";
const OTHER_API: &str = "Templates of this category must be sent through another of Meta's APIs.";
const MARKETING_OFF: &str = "The account has switched marketing templates off for the Cloud API: set disable_marketing_messages_on_cloud_api to false on the WhatsApp Business account.";
const TEST_TEMPLATE: &str =
    "hello_world can only be sent from Meta's public test numbers: use a template of your own";
const NOT_ONBOARDED: &str = "The account is not onboarded to the Marketing Messages API, or the template could not be synchronized with it: send through the Cloud API, or complete the onboarding in WhatsApp Manager.";
const CHECK_MEDIA: &str =
    "WhatsApp could not fetch or use the media file: check its link, type and size.";
const SERVICE_DOWN: &str =
    "WhatsApp's service is down. If the campaign or the number is paused, resume it later.";
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

/// Meta asks for 4^x seconds, with x = 0 after the first failure (Meta, "Pair rate limits").
const PAIR_LIMIT: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: 1,
    factor: 4,
    max_seconds: 4096,
    max_attempts: 8,
    give_up: GiveUpRule::Reject,
};

const DAY_SECONDS: u32 = 24 * 3600;

/// After 1, 3 and 7 days. Meta asks for 24 hours at least, and limits accounts that retry too often without saying how
/// often that is (Meta, "Per-user marketing template message limits", 30 April 2026).
const MARKETING_LIMIT: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: DAY_SECONDS,
    factor: 3,
    max_seconds: 7 * DAY_SECONDS,
    max_attempts: 4,
    give_up: GiveUpRule::Reject,
};

const UNEXPLAINED: Backoff = fixed_delay(300, 2, GiveUpRule::Reject);
/// The number cannot be used while Meta upgrades its throughput, for about a minute (Meta, "Throughput").
const MAINTENANCE: Backoff = Backoff {
    scope: ThrottleScope::Number,
    ..campaign_delay(20, 30)
};
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

/// A template is paused, or WhatsApp dropped messages that it had held back (Meta, "Template pacing" and "Business
/// portfolio pacing").
pub const TEMPLATE_PAUSED_CODE: i64 = 132_015;

/// The decision on an error code. A code that is not listed is final for the recipient, unless the API calls it
/// transient, or answers with a server error.
pub fn classify_error(code: i64, origin: ErrorOrigin) -> ErrorClass {
    let entry = find(code);
    if entry.is_none() {
        tracing::warn!(code, "WhatsApp uses an error code that is not in the table");
    }
    let beside_server_error = entry.map_or(MaybeSent, |entry| entry.beside_server_error);
    match (entry, origin) {
        (
            _,
            ErrorOrigin::Response {
                server_error: true, ..
            },
        ) if beside_server_error == MaybeSent => Unconfirmed,
        // The whole portfolio's templates are blocked, not only this one.
        (_, ErrorOrigin::Callback { was_held: true }) if code == TEMPLATE_PAUSED_CODE => Account,
        (Some(entry), _) => entry.class,
        (
            None,
            ErrorOrigin::Response {
                transient: true, ..
            },
        ) => Retry(OUTAGE),
        (None, ErrorOrigin::Response { .. } | ErrorOrigin::Callback { .. }) => Recipient,
    }
}

/// What a code means for one recipient. `None` for codes that are not about a recipient.
pub fn describe_code(code: i64) -> Option<&'static str> {
    find(code)?.meaning
}

/// What the operator can do about the cause of an error, as sentences.
pub fn advice(code: i64) -> Option<&'static str> {
    find(code).map(|entry| entry.advice)
}

/// Why a campaign pauses or waits, and what the operator can do.
pub fn explain_pause(error: &ErrorInfo) -> String {
    let Some(code) = error.code else {
        return format!(
            "WhatsApp could not be reached ({}). Check the parameter GraphApiUrl and Meta's status page.",
            error.title
        );
    };
    explain(
        code,
        error,
        find(code).map_or(REFUSED, |entry| entry.advice),
    )
}

/// Why campaigns pause after WhatsApp dropped a message that it had held back.
pub fn explain_dropped(error: &ErrorInfo) -> String {
    explain(TEMPLATE_PAUSED_CODE, error, TEMPLATE_HELD)
}

fn explain(code: i64, error: &ErrorInfo, advice: &str) -> String {
    let details = error
        .details
        .as_deref()
        .map(|details| format!(": {details}"))
        .unwrap_or_default();
    format!(
        "WhatsApp answered with error {code}, \"{}\"{details}. {advice}",
        error.title
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED_WITH_4XX: ErrorOrigin = ErrorOrigin::Response {
        server_error: false,
        transient: false,
    };
    const REFUSED_WITH_5XX: ErrorOrigin = ErrorOrigin::Response {
        server_error: true,
        transient: true,
    };
    const FAILED: ErrorOrigin = ErrorOrigin::Callback { was_held: false };

    /// What each code of Meta's documentation calls for, unless it comes with 5xx.
    const DOCUMENTED: [(&str, &[i64]); 7] = [
        ("token", &[0, 104, 190]),
        (
            "account",
            &[
                3, 10, 200, 250, 299, 368, 131005, 131031, 131042, 131064, 134011,
            ],
        ),
        (
            "number",
            &[
                33, 131037, 131045, 131048, 133005, 133006, 133007, 133008, 133009, 133010, 133015,
                133016,
            ],
        ),
        (
            "campaign",
            &[
                131051, 131055, 131058, 131063, 134100, 134102, 132015, 132016, 132068, 135000,
            ],
        ),
        (
            "recipient",
            &[
                130403, 130472, 130497, 131021, 131026, 131030, 131043, 131047, 131050, 131062,
                132005, 132018, 137000,
            ],
        ),
        (
            "retry",
            &[
                1, 2, 4, 613, 80007, 130429, 131000, 131016, 131049, 131053, 131056, 131057,
                132069, 133004, 134101,
            ],
        ),
        (
            "row or campaign",
            &[100, 131008, 131009, 132000, 132001, 132007, 132008, 132012],
        ),
    ];

    /// The codes that do not say, like 5xx, whether the message was sent.
    const UNCONFIRMED_BESIDE_5XX: [i64; 5] = [1, 2, 131000, 131016, 133004];

    fn kind(class: ErrorClass) -> &'static str {
        match class {
            InvalidToken => "token",
            Number => "number",
            Account => "account",
            Campaign => "campaign",
            Recipient => "recipient",
            Retry(_) => "retry",
            RowOrCampaign(_) => "row or campaign",
            Unconfirmed => "unconfirmed",
        }
    }

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
    fn every_code_has_a_decision_beside_4xx_and_beside_5xx() {
        for (expected, codes) in DOCUMENTED {
            for &code in codes {
                assert!(find(code).is_some(), "{code} is not in the table");
                assert_eq!(
                    kind(classify_error(code, REFUSED_WITH_4XX)),
                    expected,
                    "{code}"
                );
                assert_eq!(kind(classify_error(code, FAILED)), expected, "{code}");
                let beside_5xx = match UNCONFIRMED_BESIDE_5XX.contains(&code) {
                    true => "unconfirmed",
                    false => expected,
                };
                let with_5xx = classify_error(code, REFUSED_WITH_5XX);
                assert_eq!(kind(with_5xx), beside_5xx, "{code}");
            }
        }
        for entry in ERROR_CODES {
            let is_documented = |(_, codes): &(&str, &[i64])| codes.contains(&entry.first);
            assert!(DOCUMENTED.iter().any(is_documented), "{}", entry.first);
        }
    }

    #[test]
    fn ambiguous_codes_name_the_data_that_may_be_the_cause() {
        for (code, cause) in [
            (100, Anything),
            (131009, Anything),
            (132000, Values),
            (132001, TemplateName),
            (132008, Anything),
        ] {
            let class = classify_error(code, REFUSED_WITH_4XX);
            assert_eq!(class, RowOrCampaign(cause), "{code}");
        }
    }

    fn backoff(code: i64) -> Backoff {
        match classify_error(code, REFUSED_WITH_4XX) {
            Retry(backoff) => backoff,
            other => panic!("{code}: {other:?}"),
        }
    }

    #[test]
    fn only_errors_that_other_rows_meet_slow_those() {
        assert_eq!(backoff(130429).scope, ThrottleScope::Slot);
        assert_eq!(backoff(131056).scope, ThrottleScope::Row);
        assert_eq!(backoff(131057).scope, ThrottleScope::Number);
        for code in [4, 613, 80007, 132069, 134101] {
            assert_eq!(backoff(code).scope, ThrottleScope::Campaign, "{code}");
        }
    }

    #[test]
    fn delays_are_those_that_meta_asks_for() {
        let seconds = |code: i64, attempts: u32| -> Vec<u64> {
            (1..=attempts)
                .map(|attempt| backoff(code).delay_after(attempt).as_secs())
                .collect()
        };
        let days: Vec<u64> = seconds(131049, 3).iter().map(|s| s / 86_400).collect();
        assert_eq!(days, [1, 3, 7]);
        assert_eq!(backoff(131049).max_attempts, 4, "no fourth retry");
        assert_eq!(seconds(131056, 4), [1, 4, 16, 64]);
        assert_eq!(seconds(130429, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds(131057, 2), [20, 20]);
    }

    #[test]
    fn message_that_was_held_and_dropped_concerns_the_account() {
        let dropped = ErrorOrigin::Callback { was_held: true };
        assert_eq!(classify_error(TEMPLATE_PAUSED_CODE, dropped), Account);
        assert_eq!(classify_error(131026, dropped), Recipient);
        let text = explain_dropped(&ErrorInfo::transport("Template is Paused"));
        assert!(
            text.contains("132015") && text.contains("not sent again"),
            "{text}"
        );
    }

    #[test]
    fn unlisted_code_is_final_unless_it_is_transient_or_may_hide_a_send() {
        let transient = ErrorOrigin::Response {
            server_error: false,
            transient: true,
        };
        for (origin, expected) in [
            (REFUSED_WITH_4XX, "recipient"),
            (FAILED, "recipient"),
            (transient, "retry"),
            (REFUSED_WITH_5XX, "unconfirmed"),
        ] {
            assert_eq!(kind(classify_error(999_999, origin)), expected);
        }
    }
}
