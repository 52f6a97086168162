//! When a request reached this machine. On Linux the kernel's timestamp counts, because the simulator itself may be
//! waiting for a processor at that moment, which must not show in the call log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// When a request arrived, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct ArrivedAt(pub u64);

/// When bytes arrived on a connection, in microseconds since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    first: AtomicU64,
    last: AtomicU64,
    /// Whether something was written since the last bytes arrived.
    has_written: AtomicBool,
}

impl Arrivals {
    /// When the first bytes since the last response arrived: the arrival of the request, if a connection carries one
    /// request at a time (HTTP/1.1).
    pub fn first(&self) -> u64 {
        self.0.first.load(Ordering::Relaxed)
    }

    /// When the last bytes arrived.
    pub fn last(&self) -> u64 {
        self.0.last.load(Ordering::Relaxed)
    }

    fn record_read(&self, at_us: u64) {
        self.0.last.store(at_us, Ordering::Relaxed);
        if self.0.has_written.swap(false, Ordering::Relaxed) || self.first() == 0 {
            self.0.first.store(at_us, Ordering::Relaxed);
        }
    }

    fn record_write(&self) {
        self.0.has_written.store(true, Ordering::Relaxed);
    }
}

/// A connection that records when bytes arrive.
#[derive(Debug)]
pub(crate) struct TimedStream {
    stream: TcpStream,
    arrivals: Arrivals,
}

impl TimedStream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        kernel::enable_timestamps(&stream);
        Self {
            stream,
            arrivals: Arrivals::default(),
        }
    }

    pub(crate) fn arrivals(&self) -> Arrivals {
        self.arrivals.clone()
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.stream.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            match kernel::read_with_timestamp(&self.stream, buffer.initialize_unfilled()) {
                Ok((read, at_us)) => {
                    buffer.advance(read);
                    self.arrivals.record_read(at_us);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.arrivals.record_write();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Microseconds since the Unix epoch.
pub fn now_us() -> u64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_micros() as u64
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io::{self, IoSliceMut};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
    use nix::sys::time::TimeSpec;
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    pub(super) fn enable_timestamps(stream: &TcpStream) {
        let _ = setsockopt(stream, sockopt::ReceiveTimestampns, &true);
    }

    pub(super) fn read_with_timestamp(
        stream: &TcpStream,
        buffer: &mut [u8],
    ) -> io::Result<(usize, u64)> {
        stream.try_io(Interest::READABLE, || {
            let mut space = nix::cmsg_space!(TimeSpec);
            let mut slices = [IoSliceMut::new(buffer)];
            let message = recvmsg::<()>(
                stream.as_raw_fd(),
                &mut slices,
                Some(&mut space),
                MsgFlags::empty(),
            )?;
            let kernel_time = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(at) => {
                    Some(at.tv_sec() as u64 * 1_000_000 + at.tv_nsec() as u64 / 1000)
                }
                _ => None,
            });
            Ok((message.bytes, kernel_time.unwrap_or_else(super::now_us)))
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;

    use tokio::net::TcpStream;

    pub(super) fn enable_timestamps(_: &TcpStream) {}

    pub(super) fn read_with_timestamp(
        stream: &TcpStream,
        buffer: &mut [u8],
    ) -> io::Result<(usize, u64)> {
        Ok((stream.try_read(buffer)?, super::now_us()))
    }
}
