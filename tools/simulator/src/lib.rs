//! A WhatsApp Cloud API for one machine: a state model with a thin HTTP around it, and books of its own that tests
//! hold against Crier's. What it believes about Meta is in its README.
//!
//! - [`settings`]: what may be set, at start and while it runs
//! - [`state`]: what happens to a call
//! - [`account`]: templates and the phone number
//! - [`validation`]: requests that Meta would refuse
//! - [`magic_numbers`]: numbers that meet each error
//! - [`limits`]: throughput and pair limit
//! - [`arrival`]: when a request reached this machine
//! - [`call_log`]: every call, and what was accepted
//! - [`callbacks`]: signed status callbacks
//! - [`http`]: the routes

pub mod account;
pub mod arrival;
pub mod call_log;
pub mod callbacks;
pub mod http;
pub mod limits;
pub mod magic_numbers;
pub mod settings;
pub mod state;
pub mod validation;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::arrival::{LastArrival, TimedListener};
use crate::settings::Settings;
use crate::state::State;

/// A simulator that runs; it stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it knows.
    pub state: Arc<State>,
    server: JoinHandle<io::Result<()>>,
    callback_task: JoinHandle<()>,
}

impl Simulator {
    /// Listens on a port of this machine, 0 for any free one.
    pub async fn start(port: u16, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(settings));
        let reporter = tokio::spawn(callbacks::run_callback_loop(Arc::clone(&state)));
        let service =
            http::router(Arc::clone(&state)).into_make_service_with_connect_info::<LastArrival>();
        let server =
            tokio::spawn(async move { axum::serve(TimedListener(listener), service).await });
        Ok(Self {
            address,
            state,
            server,
            callback_task: reporter,
        })
    }

    /// The base URL, as `GRAPH_API_URL` wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs until the server fails.
    pub async fn wait(mut self) -> io::Result<()> {
        (&mut self.server).await.map_err(io::Error::other)?
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
        self.callback_task.abort();
    }
}
