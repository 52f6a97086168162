//! Connections that are open before a send needs one.
//!
//! To open a connection takes 100 ms and more (DNS, TCP, TLS). If the send that needs it opened it, its message would
//! leave that much after its tick, and the next one, over a connection that is open by then, on its tick: both within one
//! second. So a send never opens a connection. It takes one that is ready, or it waits for the next tick.
//!
//! The pool knows no protocol: what a connection is, and how it is opened, comes from outside.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use campaign::delivery::outcome::ErrorInfo;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The other end may have closed an older idle connection without notice. A send over it would be unconfirmed.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// How long it takes to open a connection, as long as none was opened.
const ASSUMED_OPENING_TIME: Duration = Duration::from_millis(200);

/// The most connections that are kept ready.
const MAX_READY: usize = 16;

/// Connections with several requests at a time that are kept ready: the second takes over if the first dies.
const READY_MULTIPLEXED: usize = 2;

/// More requests at a time are not put on one connection: beyond the other end's limit, which is often 100, they would wait
/// inside of it.
const MAX_MULTIPLEXED_REQUESTS: usize = 50;

/// How many connections more than needed are kept: overlapping sends come and go.
const SURPLUS: usize = 4;

/// After so many connections that died before their first send, the other end seems to close each connection after one
/// request. Then a send opens its connection itself.
const USELESS_OPENINGS: u32 = 3;

/// An opened connection.
#[derive(Debug)]
pub struct Opened<C> {
    /// The connection.
    pub connection: C,
    /// Whether it carries several requests at a time (HTTP/2).
    pub is_multiplexed: bool,
}

/// The future that opens a connection. Its error becomes the outcome of a send that needed the connection.
pub type Opening<C> = Pin<Box<dyn Future<Output = Result<Opened<C>, ErrorInfo>> + Send>>;

/// Opens connections ahead of need.
pub struct ConnectionPool<C>(Arc<Shared<C>>);

/// Whether a request finds an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// It does, as far as is known.
    Ready,
    /// It opens one itself, because connections that are opened ahead die unused.
    OpenedBySend,
}

/// No connection is ready.
#[derive(Debug)]
pub enum NotReady {
    /// One is being opened, or will be.
    Opening,
    /// The last opening failed.
    Failed(ErrorInfo),
}

struct Shared<C> {
    open: Box<dyn Fn() -> Opening<C> + Send + Sync>,
    sends_per_second: u32,
    state: Mutex<State<C>>,
    /// An opening has ended.
    changed: Notify,
}

struct State<C> {
    connections: Vec<Entry<C>>,
    last_id: u64,
    openings: usize,
    /// Openings of an earlier generation are not counted, and their connections are not kept.
    generation: u32,
    opening_time: Duration,
    failure: Option<ErrorInfo>,
    useless_openings: u32,
}

struct Entry<C> {
    id: u64,
    connection: C,
    is_multiplexed: bool,
    requests: usize,
    was_used: bool,
    last_used: Instant,
}

impl<C> Entry<C> {
    fn is_ready(&self) -> bool {
        self.requests == 0 || self.is_multiplexed && self.requests < MAX_MULTIPLEXED_REQUESTS
    }

    fn is_stale(&self) -> bool {
        self.requests == 0 && self.last_used.elapsed() >= IDLE_LIMIT
    }
}

impl<C> State<C> {
    fn ready(&self) -> usize {
        let ready = |entry: &&Entry<C>| entry.is_ready() && !entry.is_stale();
        self.connections.iter().filter(ready).count()
    }

    /// Whether it is useless to open connections ahead.
    fn is_useless(&self) -> bool {
        self.useless_openings >= USELESS_OPENINGS
    }

    /// How many connections should be ready: one, and those that are taken while one is opened.
    fn target(&self, sends_per_second: u32) -> usize {
        if self.connections.iter().any(|entry| entry.is_multiplexed) {
            return READY_MULTIPLEXED;
        }
        let taken = self.opening_time.as_secs_f64() * f64::from(sends_per_second);
        (1 + taken.ceil() as usize).min(MAX_READY)
    }
}

impl<C: Clone + Send + 'static> ConnectionPool<C> {
    /// A pool without connections.
    pub fn new(
        sends_per_second: u32,
        open: impl Fn() -> Opening<C> + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            connections: Vec::new(),
            last_id: 0,
            openings: 0,
            generation: 0,
            opening_time: ASSUMED_OPENING_TIME,
            failure: None,
            useless_openings: 0,
        };
        Self(Arc::new(Shared {
            open: Box::new(open),
            sends_per_second,
            state: Mutex::new(state),
            changed: Notify::new(),
        }))
    }

    /// Opens connections anew. The old ones may be dead: Lambda freezes a process between two invocations, and a frozen
    /// process does not notice that the other end closes a connection.
    pub fn renew(&self) {
        {
            let mut state = self.0.state();
            state.connections.clear();
            state.openings = 0;
            state.generation += 1;
        }
        self.top_up();
    }

    /// Starts to open what is missing, and waits until a connection is ready or an opening has failed.
    pub async fn wait_until_ready(&self) -> ConnectionState {
        self.top_up();
        loop {
            let changed = self.0.changed.notified();
            {
                let state = self.0.state();
                if state.ready() > 0 || state.openings == 0 {
                    return match state.is_useless() {
                        true => ConnectionState::OpenedBySend,
                        false => ConnectionState::Ready,
                    };
                }
            }
            changed.await;
        }
    }

    /// A connection for one request: the one that was not used for the longest time, so that none becomes stale.
    pub fn take(&self) -> Result<PooledConnection<C>, NotReady> {
        let mut state = self.0.state();
        state.connections.retain(|entry| !entry.is_stale());
        let may_open = state.is_useless();
        let ready = state
            .connections
            .iter_mut()
            .filter(|entry| entry.is_ready());
        let Some(entry) = ready.min_by_key(|entry| entry.last_used) else {
            let failure = state.failure.clone();
            return Err(failure.map_or(NotReady::Opening, NotReady::Failed));
        };
        entry.requests += 1;
        entry.last_used = Instant::now();
        Ok(PooledConnection {
            pool: Arc::clone(&self.0),
            id: entry.id,
            connection: entry.connection.clone(),
            may_open,
        })
    }

    fn top_up(&self) {
        let mut state = self.0.state();
        let missing = state
            .target(self.0.sends_per_second)
            .saturating_sub(state.ready() + state.openings);
        state.openings += missing;
        for _ in 0..missing {
            let shared = Arc::clone(&self.0);
            let generation = state.generation;
            tokio::spawn(async move { shared.open_one(generation).await });
        }
    }
}

impl<C> Shared<C> {
    fn state(&self) -> MutexGuard<'_, State<C>> {
        // Nothing that can panic happens under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open_one(&self, generation: u32) {
        let started = Instant::now();
        let opened = (self.open)().await;
        {
            let mut state = self.state();
            if state.generation != generation {
                return;
            }
            state.openings -= 1;
            match opened {
                Ok(opened) => state.add(opened, started.elapsed()),
                Err(error) => state.failure = Some(error),
            }
        }
        self.changed.notify_waiters();
    }
}

impl<C> State<C> {
    fn add(&mut self, opened: Opened<C>, opening_time: Duration) {
        self.failure = None;
        self.opening_time = opening_time;
        // How many requests a connection carries is known only when the first is open.
        self.connections.retain(|entry| !entry.is_stale());
        let multiplexed = self.connections.iter();
        let multiplexed = multiplexed.filter(|entry| entry.is_multiplexed && entry.is_ready());
        if opened.is_multiplexed && multiplexed.count() >= READY_MULTIPLEXED {
            return;
        }
        self.last_id += 1;
        self.connections.push(Entry {
            id: self.last_id,
            connection: opened.connection,
            is_multiplexed: opened.is_multiplexed,
            requests: 0,
            was_used: false,
            last_used: Instant::now(),
        });
    }

    fn position(&self, id: u64) -> Option<usize> {
        self.connections.iter().position(|entry| entry.id == id)
    }
}

/// A connection that carries a request. Dropped, it is ready for another one.
pub struct PooledConnection<C> {
    pool: Arc<Shared<C>>,
    id: u64,
    /// The connection.
    pub connection: C,
    /// Whether this request may open a connection, because connections that were opened ahead died unused.
    pub may_open: bool,
}

impl<C> PooledConnection<C> {
    /// The connection is dead. Nothing was sent over it if it `died_unused`.
    pub fn discard(self, died_unused: bool) {
        let mut state = self.pool.state();
        if let Some(index) = state.position(self.id) {
            let entry = state.connections.swap_remove(index);
            if died_unused && !entry.was_used {
                state.useless_openings += 1;
            }
        }
    }
}

impl<C> Drop for PooledConnection<C> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        let Some(index) = state.position(self.id) else {
            return;
        };
        state.useless_openings = 0;
        let entry = &mut state.connections[index];
        entry.requests -= 1;
        entry.was_used = true;
        entry.last_used = Instant::now();
        if state.ready() > state.target(self.pool.sends_per_second) + SURPLUS {
            state.connections.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::sleep;

    use super::*;

    const HANDSHAKE: Duration = Duration::from_millis(300);

    /// A pool of numbered connections, each of which takes a handshake to open.
    fn pool(sends_per_second: u32, is_multiplexed: bool) -> ConnectionPool<u32> {
        let opened = Arc::new(AtomicU32::new(0));
        ConnectionPool::new(sends_per_second, move || {
            let connection = opened.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                sleep(HANDSHAKE).await;
                Ok(Opened {
                    connection,
                    is_multiplexed,
                })
            })
        })
    }

    #[tokio::test(start_paused = true)]
    async fn every_send_finds_a_connection_however_much_sends_overlap() {
        let pool = pool(10, false);
        pool.renew();
        pool.wait_until_ready().await;
        let mut connections = Vec::new();
        for _ in 0..50 {
            pool.wait_until_ready().await;
            let connection = pool.take().ok().unwrap();
            assert!(
                connections
                    .iter()
                    .all(|other: &PooledConnection<u32>| other.connection != connection.connection)
            );
            connections.push(connection);
            sleep(Duration::from_millis(100)).await;
        }
        // What overlapping sends needed is closed when they end.
        drop(connections);
        let state = pool.0.state();
        assert!(
            state.ready() <= state.target(10) + SURPLUS + 1,
            "{}",
            state.ready()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_carries_every_request_of_http2_and_a_second_waits() {
        let pool = pool(10, true);
        pool.wait_until_ready().await;
        let connections: Vec<_> = (0..20).filter_map(|_| pool.take().ok()).collect();
        assert_eq!(connections.len(), 20);
        pool.wait_until_ready().await;
        sleep(HANDSHAKE).await;
        assert_eq!(pool.0.state().connections.len(), READY_MULTIPLEXED);
    }

    #[tokio::test(start_paused = true)]
    async fn dead_stale_and_renewed_connections_are_not_handed_out() {
        let pool = pool(1, false);
        pool.wait_until_ready().await;
        let dead = pool.take().ok().unwrap();
        let number = dead.connection;
        dead.discard(true);
        while let Ok(connection) = pool.take() {
            assert_ne!(connection.connection, number);
            connection.discard(false);
        }
        pool.wait_until_ready().await;
        sleep(IDLE_LIMIT).await;
        assert!(pool.take().is_err(), "stale");
        pool.wait_until_ready().await;
        pool.renew();
        assert!(pool.take().is_err(), "renewed");
        pool.wait_until_ready().await;
        assert!(pool.take().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_opening_ends_the_wait_and_is_told() {
        let pool: ConnectionPool<u32> = ConnectionPool::new(1, || {
            Box::pin(async { Err(ErrorInfo::transport("could not connect")) })
        });
        pool.wait_until_ready().await;
        assert!(matches!(pool.take(), Err(NotReady::Failed(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn where_connections_die_unused_a_send_may_open_its_own() {
        let pool = pool(1, false);
        for _ in 0..USELESS_OPENINGS {
            pool.wait_until_ready().await;
            let connection = pool.take().ok().unwrap();
            assert!(!connection.may_open);
            connection.discard(true);
        }
        pool.wait_until_ready().await;
        let connection = pool.take().ok().unwrap();
        assert!(connection.may_open);
        drop(connection);
        assert!(!pool.take().ok().unwrap().may_open, "it works again");
    }
}
