//! A send: the request, and the response with the time it takes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::magic_numbers::Behavior;
use crate::validation::ApiError;

/// Longer than any client waits for a response.
const NO_RESPONSE_DELAY: Duration = Duration::from_secs(60);

/// A slow response that clients still wait for.
pub(crate) const SLOW_RESPONSE_DELAY: Duration = Duration::from_secs(10);

/// A send as it arrived.
#[derive(Debug)]
pub struct SendRequest<'a> {
    /// When it arrived, since the simulator's start.
    pub at: Duration,
    /// The phone number id in the path.
    pub phone_number_id: &'a str,
    /// Header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The body. `Null` if it is not JSON.
    pub body: Value,
}

/// The response to a send.
#[derive(Clone, Debug, PartialEq)]
pub struct SendResponse {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: ResponseBody,
    /// How long after the request it comes.
    pub delay: Duration,
}

/// The body of a response.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseBody {
    /// JSON, as the API writes it.
    Json(Value),
    /// Plain text, as a proxy in between writes it.
    Text(&'static str),
    /// The connection breaks within the response.
    Truncated,
    /// No response for longer than any client waits.
    NoResponse,
}

impl SendResponse {
    /// A response that the API did not write. The message was not accepted.
    pub(crate) fn not_from_api(status: u16, body: ResponseBody, latency: Duration) -> Self {
        let delay = match body {
            ResponseBody::NoResponse => NO_RESPONSE_DELAY,
            ResponseBody::Json(_) | ResponseBody::Text(_) | ResponseBody::Truncated => latency,
        };
        Self {
            status,
            body,
            delay,
        }
    }

    /// The response to a message that was accepted. `body` is what the API would answer.
    pub(crate) fn accepted(body: Value, behavior: Option<Behavior>, latency: Duration) -> Self {
        let ok = |body, delay| Self {
            status: 200,
            body,
            delay,
        };
        match behavior {
            Some(Behavior::AcceptThenDrop) => ok(ResponseBody::Truncated, latency),
            Some(Behavior::AcceptThenTimeOut) => ok(ResponseBody::NoResponse, NO_RESPONSE_DELAY),
            Some(Behavior::RespondSlowly) => ok(ResponseBody::Json(body), SLOW_RESPONSE_DELAY),
            Some(Behavior::AcceptWithServerError(code)) => {
                let error = ApiError {
                    code,
                    details: "Something went wrong".into(),
                };
                Self::refused(&error, server_error_status(code), latency)
            }
            _ => ok(ResponseBody::Json(body), latency),
        }
    }

    /// An error of the API.
    pub(crate) fn refused(error: &ApiError, status: u16, latency: Duration) -> Self {
        let mut body = json!({"error": {
            "message": format!("(#{}) {}", error.code, error.details), "type": "OAuthException", "code": error.code,
            "error_data": {"messaging_product": "whatsapp", "details": error.details}, "fbtrace_id": "Asimulated",
        }});
        // As the Graph API says that there is no such object.
        if error.code == NO_SUCH_OBJECT {
            body["error"]["code"] = 100.into();
            body["error"]["error_subcode"] = NO_SUCH_OBJECT.into();
        }
        Self {
            status,
            body: ResponseBody::Json(body),
            delay: latency,
        }
    }
}

/// The subcode of 100 where an object does not exist.
const NO_SUCH_OBJECT: i64 = 33;

/// The HTTP status that Meta documents for a code ("Cloud API error codes" of 2024, "Marketing Messages API for WhatsApp
/// error codes"); 429 for limits, as it has been seen.
pub(crate) fn documented_status(code: i64) -> u16 {
    match code {
        0 | 104 | 190 => 401,
        10 | 200..=299 | 368 | 130497 | 131005 | 131031 => 403,
        132001 | 134011 => 404,
        4 | 80007 | 130429 | 131048 | 131056 => 429,
        3 | 131000 | 131016 | 131045 | 131057 | 134102 => 500,
        2 | 133004 => 503,
        _ => 400,
    }
}

/// The documented status, or 400 if that is 5xx.
pub(crate) fn client_error_status(code: i64) -> u16 {
    let status = documented_status(code);
    if status < 500 { status } else { 400 }
}

/// The documented status, or 500 if that is 4xx.
pub(crate) fn server_error_status(code: i64) -> u16 {
    documented_status(code).max(500)
}
