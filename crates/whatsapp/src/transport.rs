//! How requests reach the Graph API: over the network, as in production, or within one process, as in the simulation.

use std::pin::Pin;
use std::sync::Arc;

use campaign::delivery::outcome::ErrorInfo;
use secrecy::SecretString;

use crate::connection_pool::Opened;
use crate::departure::DepartureBody;

/// A future of a transport.
pub type TransportFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to the Graph API.
pub trait Transport: Send + Sync {
    /// Opens a connection and proves that it works, without sending a message.
    fn open(&self) -> TransportFuture<'_, Result<Opened<Arc<dyn Connection>>, ErrorInfo>>;

    /// Gets a resource of the management API.
    fn get<'a>(
        &'a self,
        url: &'a str,
        token: &'a SecretString,
    ) -> TransportFuture<'a, Result<Response, GetError>>;
}

/// An open connection.
pub trait Connection: Send + Sync {
    /// Posts a message. Asks the body when the request is written.
    fn post<'a>(&'a self, request: Post<'a>) -> TransportFuture<'a, Result<Response, PostError>>;
}

/// A request that sends a message.
#[derive(Debug)]
pub struct Post<'a> {
    /// The URL.
    pub url: &'a str,
    /// The access token.
    pub token: &'a SecretString,
    /// The body, which knows until when it may leave.
    pub body: DepartureBody,
    /// Whether the request may open a connection if this one is closed.
    pub may_open: bool,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header `Retry-After`.
    pub retry_after: Option<String>,
    /// Header `X-Business-Use-Case-Usage`.
    pub usage: Option<String>,
    /// Whether the other end closes the connection after it.
    pub closes: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// A message has no response. Whether it may have been sent depends on whether its body has departed.
#[derive(Debug)]
pub enum PostError {
    /// There is no connection: nothing was sent.
    NotConnected(ErrorInfo),
    /// The connection failed.
    Failed(ErrorInfo),
}

/// Why there is no response from the management API. The text is for the operator.
#[derive(Debug)]
pub struct GetError(pub &'static str);
