//! Serves connections as far-away servers do: TLS with a handshake that takes time, HTTP/2 where the client asks for it,
//! connections that end after some requests, and connections that are reset.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Version;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::arrival::{Arrivals, ArrivedAt, TimedStream};
use crate::http;
use crate::state::State;

/// Between the response and the reset of its connection.
const RESET_DELAY: Duration = Duration::from_millis(20);

/// What the server needs for each connection.
#[derive(Clone)]
pub(crate) struct Server {
    router: Router,
    state: Arc<State>,
    tls: Option<TlsAcceptor>,
}

/// How a connection ends before the client closes it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// After the responses that are due, as the client is told.
    Announced,
    /// Without a word.
    Reset,
}

impl Server {
    pub(crate) fn new(state: &Arc<State>, tls: Option<TlsAcceptor>) -> Self {
        Self {
            router: http::router(Arc::clone(state)),
            state: Arc::clone(state),
            tls,
        }
    }

    /// Accepts connections until the listener fails.
    pub(crate) async fn run(self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _): (_, SocketAddr) = listener.accept().await?;
            let server = self.clone();
            tokio::spawn(async move {
                // A connection that breaks is the client's to notice.
                let _ = server.serve_connection(stream).await;
            });
        }
    }

    async fn serve_connection(self, stream: TcpStream) -> io::Result<()> {
        let socket = stream.as_fd().try_clone_to_owned()?;
        let stream = TimedStream::new(stream);
        let arrivals = stream.arrivals();
        let handshake = self.state.settings().handshake_ms;
        tokio::time::sleep(Duration::from_secs_f64(handshake / 1000.0)).await;
        match self.tls.clone() {
            Some(tls) => {
                let stream = tls.accept(stream).await?;
                self.serve_requests(stream, arrivals, socket).await
            }
            None => self.serve_requests(stream, arrivals, socket).await,
        }
    }

    async fn serve_requests(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        arrivals: Arrivals,
        socket: OwnedFd,
    ) -> io::Result<()> {
        let (end, mut ended) = watch::channel(None);
        let requests = AtomicUsize::new(0);
        let service = service_fn(|request| {
            let count = requests.fetch_add(1, Ordering::Relaxed) + 1;
            self.respond(request, &arrivals, count, &end)
        });
        let builder = Builder::new(TokioExecutor::new());
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let end = tokio::select! {
            result = connection.as_mut() => return result.map_err(io::Error::other),
            end = ended.wait_for(Option::is_some) => end.ok().and_then(|end| *end),
        };
        if end == Some(End::Announced) {
            connection.as_mut().graceful_shutdown();
            return connection.await.map_err(io::Error::other);
        }
        let _ = tokio::time::timeout(RESET_DELAY, connection.as_mut()).await;
        let now = linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&socket, sockopt::Linger, &now).map_err(io::Error::from)
    }

    /// Answers a request. This function is called when the connection has read it, so the arrival is that of this request.
    fn respond(
        &self,
        request: Request<Incoming>,
        arrivals: &Arrivals,
        count: usize,
        end: &watch::Sender<Option<End>>,
    ) -> impl Future<Output = Result<Response, std::convert::Infallible>> + use<> {
        let mut request = request.map(Body::new);
        let arrived_at = match request.version() {
            // Requests overlap, but each is small enough to arrive at once.
            Version::HTTP_2 => arrivals.last(),
            _ => arrivals.first(),
        };
        request.extensions_mut().insert(ArrivedAt(arrived_at));
        let settings = self.state.settings();
        if settings.requests_per_connection == count {
            end.send_replace(Some(End::Announced));
        }
        let resets = rand::random::<f64>() < settings.reset_share;
        let (router, end) = (self.router.clone(), end.clone());
        async move {
            let response = router.oneshot(request).await;
            if resets {
                end.send_replace(Some(End::Reset));
            }
            response
        }
    }
}
