//! A WhatsApp Cloud API for one machine: a state model behind a thin HTTP layer, with a call log of its own that tests
//! compare with Crier's counters. The README lists what it assumes about Meta.
//!
//! - [`settings`]: what can be set, at start and at run time
//! - [`http`]: the routes
//! - [`state`]: everything the simulator knows, behind one lock
//! - `model`: what happens to a send
//! - [`send`]: a send and its response
//! - [`validation`]: requests that Meta would refuse
//! - [`magic_numbers`]: phone numbers that trigger each error
//! - [`limits`]: throughput and pair limit
//! - [`account`]: templates and the phone number
//! - `serve`: connections, with TLS or without
//! - `tls`: the certificate
//! - [`arrival`]: when a request reached this machine
//! - [`call_log`]: every call, and what was accepted
//! - [`callback_queue`]: statuses that are due later
//! - [`callbacks`]: signs and posts callbacks
//! - [`post_stats`]: what became of the posts

pub mod account;
pub mod arrival;
pub mod call_log;
pub mod callback_queue;
pub mod callbacks;
pub mod http;
pub mod limits;
pub mod magic_numbers;
mod model;
pub mod post_stats;
pub mod send;
mod serve;
pub mod settings;
pub mod state;
mod tls;
pub mod validation;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::serve::Server;
use crate::settings::Settings;
use crate::state::State;

/// A running simulator. It stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it knows.
    pub state: Arc<State>,
    server: JoinHandle<io::Result<()>>,
    tls_server: Option<JoinHandle<io::Result<()>>>,
    callback_task: JoinHandle<()>,
}

impl Simulator {
    /// Listens on a port of this machine. 0 stands for any free port.
    pub async fn start(port: u16, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(settings));
        let callback_task = tokio::spawn(callbacks::run_callback_loop(Arc::clone(&state)));
        let server = tokio::spawn(Server::new(&state, None).run(listener));
        Ok(Self {
            address,
            state,
            server,
            tls_server: None,
            callback_task,
        })
    }

    /// Listens with TLS, too, on a port of its own, and writes the certificate of its authority to a file (PEM). Returns
    /// the URL.
    pub async fn start_tls(&mut self, port: u16, authority_file: &Path) -> io::Result<String> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let acceptor = tls::make_acceptor(authority_file)?;
        let server = Server::new(&self.state, Some(acceptor));
        self.tls_server = Some(tokio::spawn(server.run(listener)));
        Ok(format!("https://{address}"))
    }

    /// The base URL, for `GRAPH_API_URL`.
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
        if let Some(tls_server) = &self.tls_server {
            tls_server.abort();
        }
        self.callback_task.abort();
    }
}
