//! The call: one POST, never repeated by itself.

use std::time::Duration;

use campaign::delivery::outcome::{ErrorInfo, Outcome};
use reqwest::{Response, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::response::{self, ApiResponse};

/// No connection within this time: certainly not sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// No answer within this time: in doubt. The invocation that called must be able to wait for it.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// An idle connection older than this may be gone without a word, and a send into it would be in doubt.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Answers are a few hundred bytes; more is not the API's.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Calls one phone number's `messages` endpoint.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// `base` such as `https://graph.facebook.com`, `version` such as `v25.0`.
    pub fn new(base: &str, version: &str, phone_number_id: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(RESPONSE_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // There is no idempotency key: only the ledger may decide on another attempt.
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()?;
        let base = base.trim_end_matches('/');
        Ok(Self {
            http,
            url: format!("{base}/{version}/{phone_number_id}/messages"),
        })
    }

    /// Sends one message and tells what is known afterwards.
    pub async fn send(&self, token: &SecretString, request: &Value) -> Outcome {
        let call = self
            .http
            .post(&self.url)
            .bearer_auth(token.expose_secret())
            .json(request);
        match call.send().await {
            Ok(response) => read_response(response).await,
            Err(error) if error.is_connect() || error.is_builder() => {
                Outcome::NotSent(transport_error("could not connect", &error))
            }
            Err(error) => Outcome::Unconfirmed(transport_error("no answer", &error)),
        }
    }
}

async fn read_response(mut response: Response) -> Outcome {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_RESPONSE_BYTES => {
                body.extend_from_slice(&chunk)
            }
            Ok(Some(_) | None) => break,
            Err(error) => {
                return Outcome::Unconfirmed(transport_error("the answer broke off", &error));
            }
        }
    }
    let text = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    response::parse_response(ApiResponse {
        status: response.status().as_u16(),
        retry_after: text(header::RETRY_AFTER.as_str()),
        usage: text("x-business-use-case-usage"),
        body: &body,
    })
}

/// The URL is left out: it is configuration, and errors end up in the ledger.
fn transport_error(what: &str, error: &reqwest::Error) -> ErrorInfo {
    let kind = if error.is_timeout() {
        "timed out"
    } else {
        "connection failed"
    };
    ErrorInfo::transport(format!("{what}: {kind}"))
}
