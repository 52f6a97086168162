//! A process that sends requests to AWS, and its death.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

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
    stall: Mutex<Stall>,
    invocation: Mutex<String>,
    is_dead: AtomicBool,
    death: Notify,
}

/// When a process stands still, and until when it does.
#[derive(Clone, Copy, Debug, Default)]
struct Stall {
    point: Option<StallPoint>,
    until: Option<Instant>,
}

/// When a process stands still: once one of its requests has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallPoint {
    /// The number of the request, from 1.
    pub request: u64,
    /// How long.
    pub duration: Duration,
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
            stall: Mutex::default(),
            invocation: Mutex::default(),
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
        *lock(&self.0.kill_point) = Some(point);
    }

    /// Lets it stand still from a request on.
    pub fn stall_at(&self, point: StallPoint) {
        lock(&self.0.stall).point = Some(point);
    }

    /// Until when it stands still, if it does.
    pub fn stalled_until(&self) -> Option<Instant> {
        let until = lock(&self.0.stall).until;
        until.filter(|until| *until > Instant::now())
    }

    /// Whether it stood still at any time.
    pub fn has_stalled(&self) -> bool {
        lock(&self.0.stall).until.is_some()
    }

    /// Waits until it goes on, if it stands still.
    pub async fn goes_on(&self) {
        while let Some(until) = self.stalled_until() {
            sleep_until(until).await;
        }
    }

    /// Notes which invocation it works on.
    pub fn begin_invocation(&self, id: &str) {
        lock(&self.0.stall).until = self.stalled_until();
        id.clone_into(&mut lock(&self.0.invocation));
    }

    /// The invocation that it works on.
    pub fn invocation(&self) -> String {
        lock(&self.0.invocation).clone()
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
        let stall = &mut *lock(&self.0.stall);
        if let Some(point) = stall.point.filter(|point| point.request == number) {
            stall.until = Some(Instant::now() + point.duration);
        }
        let point = *lock(&self.0.kill_point);
        (number, point.filter(|point| point.request == number))
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
