//! Sends one message: one POST, never repeated by itself.

use std::time::Duration;

use campaign::delivery::outcome::{ErrorInfo, Outcome};
use campaign::id::CorrelationId;
use reqwest::{Response, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tracing::field::Empty;

use crate::response::{ApiResponse, parse_response};

/// Without a connection within this time, the message was certainly not sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Without a response within this time, the send is unconfirmed. The caller must be able to wait that long.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// The other end may have closed an older idle connection without notice. A send over it would be unconfirmed.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Responses of the API are a few hundred bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Sends messages from one phone number.
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
            // The API has no idempotency key: only the ledger may decide on another attempt.
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()?;
        let base = base.trim_end_matches('/');
        Ok(Self {
            http,
            url: format!("{base}/{version}/{phone_number_id}/messages"),
        })
    }

    /// Sends one message and returns what is known afterwards.
    #[tracing::instrument(
        name = "send_message",
        skip_all,
        fields(campaign.id = Empty, row = Empty, number = Empty)
    )]
    pub async fn send(&self, token: &SecretString, request: &Value) -> Outcome {
        record_attempt(request);
        let post = self
            .http
            .post(&self.url)
            .bearer_auth(token.expose_secret())
            .json(request);
        match post.send().await {
            Ok(response) => read_response(response).await,
            Err(error) if error.is_connect() || error.is_builder() => {
                Outcome::NotSent(transport_error("could not connect", &error))
            }
            Err(error) => Outcome::Unconfirmed(transport_error("no response", &error)),
        }
    }
}

/// Names the attempt in the span: its campaign, its row, and its number from 1.
fn record_attempt(request: &Value) {
    let callback_data = request["biz_opaque_callback_data"].as_str();
    let Some(Ok(attempt)) = callback_data.map(str::parse::<CorrelationId>) else {
        return;
    };
    tracing::Span::current()
        .record("campaign.id", tracing::field::display(&attempt.campaign))
        .record("row", attempt.row)
        .record("number", attempt.attempt);
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
                return Outcome::Unconfirmed(transport_error("the response broke off", &error));
            }
        }
    }
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    tracing::debug!(http.status = response.status().as_u16(), "response");
    parse_response(ApiResponse {
        status: response.status().as_u16(),
        retry_after: header(header::RETRY_AFTER.as_str()),
        usage: header("x-business-use-case-usage"),
        body: &body,
    })
}

/// Leaves out the URL, because it is configuration and errors are stored in the ledger.
fn transport_error(what: &str, error: &reqwest::Error) -> ErrorInfo {
    let kind = if error.is_timeout() {
        "timed out"
    } else {
        "connection failed"
    };
    tracing::debug!("{what}: {kind}");
    ErrorInfo::transport(format!("{what}: {kind}"))
}
