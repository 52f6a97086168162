//! Sends one message: one POST, never repeated by itself, over a connection that was open before.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use campaign::delivery::outcome::Outcome;
use campaign::id::CorrelationId;
use reqwest::{Body, Response, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use tracing::field::Empty;

use crate::connection::{
    ConnectError, Connector, DepartureBody, OnDeparture, may_connect, transport_error,
};
use crate::connection_pool::{ConnectionPool, ConnectionState, NotReady, PooledConnection};
use crate::response::{ApiResponse, parse_response};

/// Without a response within this time, the send is unconfirmed. The caller must be able to wait that long.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Responses of the API are a few hundred bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Sends messages from one phone number.
pub struct Client {
    connections: ConnectionPool<reqwest::Client>,
    url: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").finish_non_exhaustive()
    }
}

/// No connection is ready. Nothing was sent.
#[derive(Debug)]
pub struct NoConnection;

impl Client {
    /// `base` such as `https://graph.facebook.com`, `version` such as `v25.0`. Connections are kept ready for so many
    /// sends per second.
    pub fn new(
        base: &str,
        version: &str,
        phone_number_id: &str,
        sends_per_second: u32,
    ) -> Result<Self, ConnectError> {
        let base = base.trim_end_matches('/');
        let connector = Arc::new(Connector::new(base)?);
        let open = move || {
            let connector = Arc::clone(&connector);
            Box::pin(async move { connector.open().await }) as _
        };
        Ok(Self {
            connections: ConnectionPool::new(sends_per_second, open),
            url: format!("{base}/{version}/{phone_number_id}/messages"),
        })
    }

    /// Opens connections anew; for the start of an invocation.
    pub fn renew_connections(&self) {
        self.connections.renew();
    }

    /// Waits until a connection is ready or could not be opened.
    pub async fn wait_until_ready(&self) -> ConnectionState {
        self.connections.wait_until_ready().await
    }

    /// Sends one message and returns what is known afterwards. Calls `on_departure` when the request is written; it is not
    /// written after `leave_by`.
    #[tracing::instrument(
        name = "send_message",
        skip_all,
        fields(campaign.id = Empty, row = Empty, attempt = Empty)
    )]
    pub async fn send(
        &self,
        token: &SecretString,
        request: &Value,
        leave_by: Instant,
        on_departure: OnDeparture,
    ) -> Result<Outcome, NoConnection> {
        record_attempt(request);
        let body = request.to_string();
        loop {
            let connection = match self.connections.take() {
                Ok(connection) => connection,
                Err(NotReady::Opening) => return Err(NoConnection),
                Err(NotReady::Failed(error)) => return Ok(Outcome::NotSent(error)),
            };
            let body = DepartureBody::new(body.clone(), leave_by, Arc::clone(&on_departure));
            if let Some(outcome) = self.post(connection, token, body).await {
                return Ok(outcome);
            }
        }
    }

    /// Sends one request over a connection. `None` if the connection was dead before anything was sent.
    async fn post(
        &self,
        pooled: PooledConnection<reqwest::Client>,
        token: &SecretString,
        body: DepartureBody,
    ) -> Option<Outcome> {
        let departed = body.departed();
        let post = pooled
            .connection
            .post(&self.url)
            .bearer_auth(token.expose_secret())
            .header(header::CONTENT_TYPE, "application/json")
            .timeout(RESPONSE_TIMEOUT)
            .body(Body::wrap(body))
            .send();
        let response = match pooled.may_open {
            true => may_connect(post).await,
            false => post.await,
        };
        match response {
            Ok(response) => {
                let closes = header_text(&response, header::CONNECTION.as_str()) == Some("close");
                let outcome = read_response(response).await;
                if closes || matches!(outcome, Outcome::Unconfirmed(_)) {
                    pooled.discard(false);
                }
                Some(outcome)
            }
            Err(error) if error.is_connect() && pooled.may_open => {
                pooled.discard(false);
                Some(Outcome::NotSent(transport_error(
                    "could not connect",
                    &error,
                )))
            }
            Err(error) if error.is_connect() => {
                pooled.discard(true);
                None
            }
            // The request was never written, or not in time: what the other end may have of it is not complete.
            Err(error) if !departed.load(Ordering::Acquire) => {
                pooled.discard(false);
                Some(Outcome::NotSent(transport_error("not sent", &error)))
            }
            Err(error) => {
                pooled.discard(false);
                Some(Outcome::Unconfirmed(transport_error("no response", &error)))
            }
        }
    }
}

fn header_text<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Records the attempt in the span: its campaign, its row and its number, from 1.
fn record_attempt(request: &Value) {
    let callback_data = request["biz_opaque_callback_data"].as_str();
    let Some(Ok(id)) = callback_data.map(str::parse::<CorrelationId>) else {
        return;
    };
    tracing::Span::current()
        .record("campaign.id", tracing::field::display(&id.campaign))
        .record("row", id.row)
        .record("attempt", id.attempt);
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
    tracing::debug!(http.status = response.status().as_u16(), "response");
    parse_response(ApiResponse {
        status: response.status().as_u16(),
        retry_after: header_text(&response, header::RETRY_AFTER.as_str()),
        usage: header_text(&response, "x-business-use-case-usage"),
        body: &body,
    })
}
