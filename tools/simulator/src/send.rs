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
            Some(Behavior::AcceptWithServerError) => {
                let error = ApiError {
                    code: 131000,
                    details: "Something went wrong".into(),
                };
                Self {
                    status: 500,
                    ..Self::refused(&error, latency)
                }
            }
            _ => ok(ResponseBody::Json(body), latency),
        }
    }

    /// An error of the API.
    pub(crate) fn refused(error: &ApiError, latency: Duration) -> Self {
        let status = match error.code {
            190 => 401,
            10 | 131005 | 368 | 131031 => 403,
            1 | 2 | 131000 | 131016 | 131057 | 133004 => 500,
            4 | 80007 | 130429 | 131048 | 131056 => 429,
            _ => 400,
        };
        let body = json!({"error": {
            "message": format!("(#{}) {}", error.code, error.details), "type": "OAuthException", "code": error.code,
            "error_data": {"messaging_product": "whatsapp", "details": error.details}, "fbtrace_id": "Asimulated",
        }});
        Self {
            status,
            body: ResponseBody::Json(body),
            delay: latency,
        }
    }
}
