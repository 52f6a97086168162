//! The network: how a connection is opened, and that a send cannot open one.
//!
//! Each connection is a `reqwest` client of its own, so that a pool can count them and hand them out.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use campaign::delivery::outcome::ErrorInfo;
use futures::future::{Either, Ready, ready};
use reqwest::{Response as HttpResponse, Version, header};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use tower::{BoxError, Layer, Service};

use crate::connection_pool::Opened;
use crate::transport::{
    Connection, GetError, Post, PostError, Response, Transport, TransportFuture,
};

/// Without a connection within this time, the message was certainly not sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The limit of an opening: the connection and the response to the request that proves it.
const OPENING_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the runtime must run its tasks until a connection that has answered is free again.
const YIELDS_UNTIL_FREE: usize = 8;

/// TLS cannot be set up, or the URL of the API is none.
#[derive(Debug, thiserror::Error)]
#[error("no connections to the API can be made: {0}")]
pub struct ConnectError(String);

/// Without a response within this time, the send is unconfirmed. The caller must be able to wait that long.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Responses to sends are a few hundred bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Leaves the API function time to answer within its own 30 seconds.
const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// A page of templates may be large.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Opens connections to the API over the network.
pub(crate) struct Network {
    /// Shared, because it holds the certificates of the system and the sessions that shorten a handshake.
    tls: ClientConfig,
    /// The API's root, to which no message can go.
    root: String,
    /// Gets the pages of one list, and all lists, over the same connections. It sends no messages, so it opens them itself.
    management: OnceCell<reqwest::Client>,
}

impl Network {
    pub(crate) fn new(base: &str) -> Result<Self, ConnectError> {
        let failed = |error: rustls::Error| ConnectError(error.to_string());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(failed)?
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let root = format!("{base}/");
        reqwest::Url::parse(&root).map_err(|error| ConnectError(error.to_string()))?;
        Ok(Self {
            tls,
            root,
            management: OnceCell::new(),
        })
    }

    /// Opens a connection and proves it with a request that sends nothing.
    async fn connect(&self) -> Result<Opened<Arc<dyn Connection>>, ErrorInfo> {
        let failed = |error: reqwest::Error| transport_error("could not connect", &error);
        let connection = self.client().map_err(failed)?;
        let request = connection.head(&self.root).timeout(OPENING_TIMEOUT).send();
        let response = may_connect(request).await.map_err(failed)?;
        let is_multiplexed = response.version() == Version::HTTP_2;
        drop(response);
        for _ in 0..YIELDS_UNTIL_FREE {
            tokio::task::yield_now().await;
        }
        Ok(Opened {
            connection: Arc::new(NetworkConnection(connection)),
            is_multiplexed,
        })
    }

    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .connector_layer(OnlyWhenAllowed)
            .redirect(reqwest::redirect::Policy::none())
            // The API has no idempotency key: only the ledger may decide on another attempt.
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
    }

    fn management_client(&self) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .timeout(GET_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
    }
}

impl Transport for Network {
    fn open(&self) -> TransportFuture<'_, Result<Opened<Arc<dyn Connection>>, ErrorInfo>> {
        Box::pin(self.connect())
    }

    fn get<'a>(
        &'a self,
        url: &'a str,
        token: &'a SecretString,
    ) -> TransportFuture<'a, Result<Response, GetError>> {
        let no_response = |_| GetError("no response");
        Box::pin(async move {
            let client = self
                .management
                .get_or_try_init(async || self.management_client());
            let client = client.await.map_err(no_response)?;
            let request = client.get(url).bearer_auth(token.expose_secret());
            let response = request.send().await.map_err(no_response)?;
            read_response(response, MAX_PAGE_BYTES)
                .await
                .map_err(|error| match error {
                    ReadError::BrokeOff(_) => GetError("the response broke off"),
                    ReadError::TooLarge => GetError("the response is too large"),
                })
        })
    }
}

/// A client with one connection.
struct NetworkConnection(reqwest::Client);

impl Connection for NetworkConnection {
    fn post<'a>(&'a self, request: Post<'a>) -> TransportFuture<'a, Result<Response, PostError>> {
        Box::pin(async move {
            let post = self
                .0
                .post(request.url)
                .bearer_auth(request.token.expose_secret())
                .header(header::CONTENT_TYPE, "application/json")
                .timeout(RESPONSE_TIMEOUT)
                .body(reqwest::Body::wrap(request.body))
                .send();
            let response = match request.may_open {
                true => may_connect(post).await,
                false => post.await,
            };
            let response = response.map_err(|error| match error.is_connect() {
                true => PostError::NotConnected(transport_error("could not connect", &error)),
                false => PostError::Failed(transport_error("no response", &error)),
            })?;
            read_response(response, MAX_RESPONSE_BYTES)
                .await
                .map_err(|error| {
                    PostError::Failed(match error {
                        ReadError::BrokeOff(error) => {
                            transport_error("the response broke off", &error)
                        }
                        ReadError::TooLarge => ErrorInfo::transport("the response is too large"),
                    })
                })
        })
    }
}

/// A response that cannot be read to its end.
enum ReadError {
    BrokeOff(reqwest::Error),
    TooLarge,
}

async fn read_response(mut response: HttpResponse, most: usize) -> Result<Response, ReadError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ReadError::BrokeOff)? {
        if body.len() + chunk.len() > most {
            return Err(ReadError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    tracing::debug!(http.status = response.status().as_u16(), "response");
    let text = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    Ok(Response {
        status: response.status().as_u16(),
        retry_after: text(header::RETRY_AFTER.as_str()),
        usage: text("x-business-use-case-usage"),
        closes: text(header::CONNECTION.as_str()).as_deref() == Some("close"),
        body,
    })
}

// reqwest has no switch for this; a task-local reaches its connector, which runs within the request's own task.
tokio::task_local! {
    static MAY_CONNECT: ();
}

/// Runs a request that may open a connection.
async fn may_connect<F: Future>(request: F) -> F::Output {
    MAY_CONNECT.scope((), request).await
}

/// Refuses to connect, unless within [`may_connect`].
#[derive(Clone, Copy, Debug)]
struct OnlyWhenAllowed;

impl<S> Layer<S> for OnlyWhenAllowed {
    type Service = OnlyWhenAllowedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OnlyWhenAllowedService(inner)
    }
}

#[derive(Clone, Debug)]
struct OnlyWhenAllowedService<S>(S);

impl<S, R> Service<R> for OnlyWhenAllowedService<S>
where
    S: Service<R, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        match MAY_CONNECT.try_with(|()| ()) {
            Ok(()) => Either::Left(self.0.call(request)),
            Err(_) => Either::Right(ready(Err("the connection is closed".into()))),
        }
    }
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
