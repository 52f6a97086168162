//! One connection: how it is opened, that a send cannot open one, and when a request leaves over it.
//!
//! Each connection is a `reqwest` client of its own, so that a pool can count them and hand them out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use campaign::delivery::outcome::ErrorInfo;
use futures::future::{Either, Ready, ready};
use http_body::{Body, Frame, SizeHint};
use reqwest::Version;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use crate::connection_pool::Opened;

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

/// Opens connections to the API.
pub(crate) struct Connector {
    /// Shared, because it holds the certificates of the system and the sessions that shorten a handshake.
    tls: ClientConfig,
    /// The API's root, to which no message can go.
    root: String,
}

impl Connector {
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
        Ok(Self { tls, root })
    }

    /// Opens a connection and proves it with a request that sends nothing.
    pub(crate) async fn open(&self) -> Result<Opened<reqwest::Client>, ErrorInfo> {
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
            connection,
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
}

// reqwest has no switch for this; a task-local reaches its connector, which runs within the request's own task.
tokio::task_local! {
    static MAY_CONNECT: ();
}

/// Runs a request that may open a connection.
pub(crate) async fn may_connect<F: Future>(request: F) -> F::Output {
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

/// What is called when a request is written.
pub type OnDeparture = Arc<dyn Fn() + Send + Sync>;

/// The body of a request. The connection asks for it when it writes the request; too late, it gets an error, and the
/// request is not complete.
pub(crate) struct DepartureBody {
    bytes: Option<Bytes>,
    leave_by: Instant,
    departed: Arc<AtomicBool>,
    on_departure: OnDeparture,
}

impl DepartureBody {
    pub(crate) fn new(body: String, leave_by: Instant, on_departure: OnDeparture) -> Self {
        Self {
            bytes: Some(body.into()),
            leave_by,
            departed: Arc::default(),
            on_departure,
        }
    }

    /// Becomes true when the request is written.
    pub(crate) fn departed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.departed)
    }
}

impl Body for DepartureBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        if Instant::now() > self.leave_by {
            let late = io::Error::new(io::ErrorKind::TimedOut, "it is too late to send");
            return Poll::Ready(Some(Err(late)));
        }
        self.departed.store(true, Ordering::Release);
        (self.on_departure)();
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Leaves out the URL, because it is configuration and errors are stored in the ledger.
pub(crate) fn transport_error(what: &str, error: &reqwest::Error) -> ErrorInfo {
    let kind = if error.is_timeout() {
        "timed out"
    } else {
        "connection failed"
    };
    tracing::debug!("{what}: {kind}");
    ErrorInfo::transport(format!("{what}: {kind}"))
}
