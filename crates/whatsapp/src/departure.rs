//! When a request leaves: the moment its body is asked for, which a sender paces by.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// What is called when a request is written.
pub type OnDeparture = Arc<dyn Fn() + Send + Sync>;

/// The body of a request. The connection asks for it when it writes the request; too late, it gets an error, and the
/// request is not complete.
pub struct DepartureBody {
    bytes: Option<Bytes>,
    leave_by: Instant,
    departed: Arc<AtomicBool>,
    on_departure: OnDeparture,
}

impl std::fmt::Debug for DepartureBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The bytes are a message.
        formatter
            .debug_struct("DepartureBody")
            .finish_non_exhaustive()
    }
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

    /// What [`Body::poll_frame`] does, for a transport without HTTP: the request leaves with these bytes. `None` if it is
    /// too late.
    pub fn depart(mut self) -> Option<Bytes> {
        self.take_bytes()?.ok()
    }

    /// The bytes, once; an error if it is too late.
    fn take_bytes(&mut self) -> Option<io::Result<Bytes>> {
        let bytes = self.bytes.take()?;
        if Instant::now() > self.leave_by {
            let late = io::Error::new(io::ErrorKind::TimedOut, "it is too late to send");
            return Some(Err(late));
        }
        self.departed.store(true, Ordering::Release);
        (self.on_departure)();
        Some(Ok(bytes))
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
        Poll::Ready(self.take_bytes().map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
