//! Sends one message: one POST, never repeated by itself, over a connection that was open before.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use campaign::delivery::outcome::{ErrorInfo, Outcome};
use campaign::id::CorrelationId;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;
use tracing::field::Empty;

pub use crate::connection::RESPONSE_TIMEOUT;
use crate::connection::{ConnectError, Network};
use crate::connection_pool::{ConnectionPool, ConnectionState, NotReady, PooledConnection};
use crate::departure::{DepartureBody, OnDeparture};
use crate::response::{ApiResponse, parse_response};
use crate::transport::{Connection, Post, PostError, Response, Transport};

/// Sends messages from one phone number.
pub struct Client {
    connections: ConnectionPool<Arc<dyn Connection>>,
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
        let network = Arc::new(Network::new(base)?);
        let url = format!("{base}/{version}/{phone_number_id}/messages");
        Ok(Self::over(network, url, sends_per_second))
    }

    /// A client that posts to `url` over another transport.
    pub fn over(transport: Arc<dyn Transport>, url: String, sends_per_second: u32) -> Self {
        let open = move || {
            let transport = Arc::clone(&transport);
            Box::pin(async move { transport.open().await }) as _
        };
        Self {
            connections: ConnectionPool::new(sends_per_second, open),
            url,
        }
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
        pooled: PooledConnection<Arc<dyn Connection>>,
        token: &SecretString,
        body: DepartureBody,
    ) -> Option<Outcome> {
        let departed = body.departed();
        let post = Post {
            url: &self.url,
            token,
            body,
            may_open: pooled.may_open,
        };
        match pooled.connection.post(post).await {
            Ok(response) => {
                let outcome = parse(&response);
                if response.closes || matches!(outcome, Outcome::Unconfirmed(_)) {
                    pooled.discard(false);
                }
                Some(outcome)
            }
            Err(PostError::NotConnected(error)) if pooled.may_open => {
                pooled.discard(false);
                Some(Outcome::NotSent(error))
            }
            Err(PostError::NotConnected(_)) => {
                pooled.discard(true);
                None
            }
            // The request was never written, or not in time: what the other end may have of it is not complete.
            Err(PostError::Failed(_)) if !departed.load(Ordering::Acquire) => {
                pooled.discard(false);
                Some(Outcome::NotSent(ErrorInfo::transport("not sent")))
            }
            Err(PostError::Failed(error)) => {
                pooled.discard(false);
                Some(Outcome::Unconfirmed(error))
            }
        }
    }
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

fn parse(response: &Response) -> Outcome {
    parse_response(ApiResponse {
        status: response.status,
        retry_after: response.retry_after.as_deref(),
        usage: response.usage.as_deref(),
        body: &response.body,
    })
}
