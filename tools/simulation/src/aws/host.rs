//! A process that sends requests to AWS, and its death.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Also across worlds.
static LAST_ID: AtomicU64 = AtomicU64::new(1);

/// A process, such as one execution environment of a function. Clones are the same process.
#[derive(Clone, Debug)]
pub struct Host(Arc<State>);

#[derive(Debug)]
struct State {
    label: String,
    id: u64,
    requests: AtomicU64,
    kill_point: Mutex<Option<KillPoint>>,
    is_dead: AtomicBool,
    death: Notify,
}

/// When a process dies: at one of its requests, because a time would nearly always fall between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillPoint {
    /// The number of the request, from 1.
    pub request: u64,
    /// Whether the service still executes the request.
    pub is_applied: bool,
}

impl Host {
    /// A process that is called `{name}#{number}`.
    pub fn new(name: &str, number: u64) -> Self {
        Self(Arc::new(State {
            label: format!("{name}#{number}"),
            id: LAST_ID.fetch_add(1, Ordering::Relaxed),
            requests: AtomicU64::new(0),
            kill_point: Mutex::new(None),
            is_dead: AtomicBool::new(false),
            death: Notify::new(),
        }))
    }

    /// Its name and number.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// A number that no other process has, in no other world of this program either.
    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    /// How many requests it has sent.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Lets it die at a request. Later requests are never answered either.
    pub fn kill_at(&self, point: KillPoint) {
        *self
            .0
            .kill_point
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(point);
    }

    /// Lets it die now.
    pub fn kill(&self) {
        self.0.is_dead.store(true, Ordering::Relaxed);
        self.0.death.notify_waiters();
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        self.0.is_dead.load(Ordering::Relaxed)
    }

    /// Waits for its death.
    pub async fn died(&self) {
        let death = self.0.death.notified();
        if !self.is_dead() {
            death.await;
        }
    }

    /// Counts a request, to whatever service; returns its number and whether the process dies at it. The simulated
    /// services other than AWS use this too.
    pub fn count_request(&self) -> (u64, Option<KillPoint>) {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let point = *self
            .0
            .kill_point
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (number, point.filter(|point| point.request == number))
    }
}
