//! An invocation whose process stands still now and then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep_until};

use crate::aws::Host;

/// The future of an invocation. It makes no step while its process stands still; what it waits for happens meanwhile.
pub(super) struct Stalling<F> {
    host: Host,
    future: Pin<Box<F>>,
    end: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Stalling<F> {
    pub(super) fn new(host: Host, future: F) -> Self {
        Self {
            host,
            future: Box::pin(future),
            end: None,
        }
    }
}

impl<F: Future> Future for Stalling<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        while let Some(until) = self.host.stalled_until() {
            let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(until)));
            ready!(end.as_mut().poll(context));
            self.end = None;
        }
        self.future.as_mut().poll(context)
    }
}
