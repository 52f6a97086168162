//! What a response of the Cloud API means.

use std::time::Duration;

use campaign::delivery::outcome::{Acceptance, ErrorInfo, Outcome, Refusal};
use serde::Deserialize;
use serde_json::Value;

use crate::error_code::{ErrorOrigin, classify_error};

/// The parts of an HTTP response that matter.
#[derive(Clone, Copy, Debug)]
pub struct ApiResponse<'a> {
    /// HTTP status.
    pub status: u16,
    /// Header `Retry-After`, in seconds.
    pub retry_after: Option<&'a str>,
    /// Header `X-Business-Use-Case-Usage`: JSON with `estimated_time_to_regain_access` in minutes
    /// (Meta, "Graph API rate limits").
    pub usage: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

#[derive(Deserialize)]
struct Success {
    #[serde(default)]
    contacts: Vec<Contact>,
    messages: Vec<MessageId>,
}

#[derive(Deserialize)]
struct Contact {
    wa_id: Option<String>,
    user_id: Option<String>,
}

#[derive(Deserialize)]
struct MessageId {
    id: String,
    message_status: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    error: GraphError,
}

/// The Graph API's error object.
#[derive(Deserialize)]
struct GraphError {
    code: i64,
    error_subcode: Option<i64>,
    #[serde(default)]
    message: String,
    /// An object or a string.
    error_data: Option<Value>,
    fbtrace_id: Option<String>,
    #[serde(default)]
    is_transient: bool,
}

/// Parses a response. The send is unconfirmed unless the response is a well-formed one of the Graph API, and, if it comes
/// with 5xx, its code says that nothing was sent.
pub fn parse_response(response: ApiResponse<'_>) -> Outcome {
    if (200..300).contains(&response.status) {
        return parse_success(response.body)
            .unwrap_or_else(|| unconfirmed(response.status, "a response without a message id"));
    }
    match serde_json::from_slice::<Failure>(response.body) {
        Ok(failure) => refusal(failure.error, response),
        Err(_) => unconfirmed(response.status, "a response that is not the API's"),
    }
}

fn parse_success(body: &[u8]) -> Option<Outcome> {
    let success: Success = serde_json::from_slice(body).ok()?;
    let message = success
        .messages
        .into_iter()
        .next()
        .filter(|message| !message.id.is_empty())?;
    let (wa_id, user_id) = match success.contacts.into_iter().next() {
        Some(contact) => (contact.wa_id, contact.user_id),
        None => (None, None),
    };
    Some(Outcome::Accepted(Acceptance {
        wamid: message.id,
        wa_id,
        user_id,
        message_status: message.message_status,
    }))
}

/// The Graph API has no such object, or the token may not see it; for us that is the number of the URL. Its code is 100, as of
/// an invalid message, and tells nothing (Meta, "Graph API: handle errors").
const NO_SUCH_OBJECT: (i64, Option<i64>) = (100, Some(33));

impl GraphError {
    /// The code that says what is wrong.
    fn telling_code(&self) -> i64 {
        match (self.code, self.error_subcode) {
            NO_SUCH_OBJECT => 33,
            (code, _) => code,
        }
    }
}

fn refusal(error: GraphError, response: ApiResponse<'_>) -> Outcome {
    let origin = ErrorOrigin::Response {
        server_error: response.status >= 500,
        transient: error.is_transient,
    };
    let retry_after = response
        .retry_after
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    Outcome::Refused(Refusal {
        class: classify_error(error.telling_code(), origin),
        error: ErrorInfo {
            code: Some(error.telling_code()),
            title: error.message,
            details: error.error_data.and_then(error_details),
            fbtrace_id: error.fbtrace_id,
        },
        retry_after: retry_after.max(response.usage.and_then(time_to_regain_access)),
    })
}

fn error_details(data: Value) -> Option<String> {
    match data {
        Value::String(text) => Some(text),
        Value::Object(fields) => fields
            .get("details")
            .and_then(Value::as_str)
            .map(str::to_owned),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// The longest wait of any use case in `{"<id>": [{"estimated_time_to_regain_access": <minutes>}]}`.
fn time_to_regain_access(usage: &str) -> Option<Duration> {
    let usage: Value = serde_json::from_str(usage).ok()?;
    let cases = usage
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .flatten();
    let minutes = cases.filter_map(|case| case.get("estimated_time_to_regain_access")?.as_u64());
    minutes
        .max()
        .filter(|&minutes| minutes > 0)
        .map(|minutes| Duration::from_secs(minutes * 60))
}

fn unconfirmed(status: u16, what: &str) -> Outcome {
    Outcome::Unconfirmed(ErrorInfo::transport(format!("{what} (HTTP {status})")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::delivery::outcome::ErrorClass;
    use proptest::prelude::*;

    fn outcome_of(status: u16, body: &str) -> Outcome {
        parse_response(ApiResponse {
            status,
            retry_after: None,
            usage: None,
            body: body.as_bytes(),
        })
    }

    #[test]
    fn response_with_message_id_is_accepted() {
        let outcome = outcome_of(
            200,
            r#"{"messaging_product":"whatsapp","contacts":[{"input":"+5511987654321","wa_id":"551187654321"}],
            "messages":[{"id":"wamid.1","message_status":"accepted"}]}"#,
        );
        let Outcome::Accepted(acceptance) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            (acceptance.wamid.as_str(), acceptance.wa_id.as_deref()),
            ("wamid.1", Some("551187654321"))
        );
        // Since 2026 the contact may be absent.
        assert!(matches!(
            outcome_of(200, r#"{"messages":[{"id":"wamid.2"}]}"#),
            Outcome::Accepted(_)
        ));
    }

    #[test]
    fn response_that_is_not_the_apis_is_unconfirmed() {
        for (status, body) in [
            (200, "{}"),
            (200, r#"{"messages":[]}"#),
            (200, r#"{"messages":[{"id":""}]}"#),
            (502, "Bad Gateway"),
            (500, ""),
            (400, "<html>"),
            (302, ""),
        ] {
            assert!(
                matches!(outcome_of(status, body), Outcome::Unconfirmed(_)),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn error_keeps_details_and_trace_id() {
        let body = r#"{"error":{"message":"(#131009) Parameter value is not valid","type":"OAuthException","code":131009,
            "error_data":{"details":"param text"},"fbtrace_id":"A1"}}"#;
        let Outcome::Refused(refusal) = outcome_of(400, body) else {
            panic!("refused")
        };
        assert_eq!(refusal.error.details.as_deref(), Some("param text"));
        assert_eq!(refusal.error.fbtrace_id.as_deref(), Some("A1"));
        let Outcome::Refused(refusal) =
            outcome_of(400, r#"{"error":{"code":100,"error_data":"text"}}"#)
        else {
            panic!("refused")
        };
        assert_eq!(refusal.error.details.as_deref(), Some("text"));
    }

    #[test]
    fn number_that_does_not_exist_is_told_from_an_invalid_message() {
        let class_and_code = |body| match outcome_of(400, body) {
            Outcome::Refused(refusal) => (refusal.class, refusal.error.code),
            other => panic!("{other:?}"),
        };
        let missing = r#"{"error":{"message":"Unsupported post request. Object with ID '1' does not exist","type":"GraphMethodException","code":100,"error_subcode":33,"fbtrace_id":"A1"}}"#;
        assert_eq!(class_and_code(missing), (ErrorClass::Number, Some(33)));
        let invalid =
            r#"{"error":{"message":"Invalid parameter","code":100,"error_subcode":2494010}}"#;
        assert_eq!(class_and_code(invalid).1, Some(100));
    }

    #[test]
    fn server_error_is_unconfirmed_unless_its_code_says_that_nothing_was_sent() {
        let class = |status, code: i64| {
            let body = format!(r#"{{"error":{{"code":{code},"is_transient":true}}}}"#);
            match outcome_of(status, &body) {
                Outcome::Refused(refusal) => refusal.class,
                other => panic!("{other:?}"),
            }
        };
        for code in [1, 2, 131000, 131016, 999_999] {
            assert_eq!(class(500, code), ErrorClass::Unconfirmed, "{code}");
            assert_eq!(class(503, code), ErrorClass::Unconfirmed, "{code}");
            assert!(matches!(class(400, code), ErrorClass::Retry(_)), "{code}");
        }
        for code in [4, 80007, 130429, 131056, 131057] {
            assert!(matches!(class(503, code), ErrorClass::Retry(_)), "{code}");
        }
        assert_eq!(class(500, 134102), ErrorClass::Campaign);
        assert_eq!(class(500, 131026), ErrorClass::Recipient);
    }

    #[test]
    fn longest_requested_wait_counts() {
        let usage = r#"{"123":[{"type":"whatsapp","estimated_time_to_regain_access":0}],"456":[{"estimated_time_to_regain_access":19}]}"#;
        let body = br#"{"error":{"code":80007}}"#;
        let outcome = parse_response(ApiResponse {
            status: 400,
            retry_after: Some("60"),
            usage: Some(usage),
            body,
        });
        let Outcome::Refused(refusal) = outcome else {
            panic!("refused")
        };
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(19 * 60)));
        assert!(matches!(refusal.class, ErrorClass::Retry(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_without_message_id_are_not_accepted(status in 100u16..600, body in prop::collection::vec(any::<u8>(), 0..60)) {
            let outcome = parse_response(ApiResponse { status, retry_after: None, usage: None, body: &body });
            prop_assert!(!matches!(outcome, Outcome::Accepted(_)));
        }
    }
}
