//! The demonstration: a whole broadcast on this machine.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::broadcast::{self, Broadcast};
use crate::client::Client;
use crate::paths::dev;
use crate::process::catch_interrupts;
use crate::report::{self, Outcome};
use crate::stack::{API_TOKEN, Stack, StackOptions};
use crate::up;

/// What to broadcast, and how fast.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rows of the sample file
    #[arg(long, default_value_t = 2000)]
    rows: u32,
    /// Messages per second
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(2..=1000))]
    tps: u32,
    /// A CSV of your own instead of the sample
    #[arg(long)]
    csv: Option<PathBuf>,
    /// A message object (JSON file) of your own
    #[arg(long)]
    message: Option<PathBuf>,
    /// Send over TLS, with handshakes that take so many milliseconds
    #[arg(long)]
    tls_handshake_ms: Option<u32>,
    /// Count the requests that cost money on AWS
    #[arg(long)]
    count: bool,
    /// Measure the webhook afterwards: single callbacks through the API, 20 a second for half a minute
    #[arg(long)]
    single: bool,
    /// Keep everything running afterwards, as `up` does
    #[arg(long)]
    keep: bool,
}

/// Runs it; fails where a promise of Crier did not hold.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    let started = Instant::now();
    let stack = Stack::start(&StackOptions {
        tls: options.tls_handshake_ms.is_some(),
        ..StackOptions::new("demo", options.tps)
    })?;
    if let Some(handshake) = options.tls_handshake_ms {
        let settings = json!({"handshake_ms": handshake});
        stack.simulator.change_settings(&settings)?;
    }
    let outcome = broadcast(&stack, options, started)?;
    if options.single {
        // The first hundred warm it up.
        stack.simulator.send_statuses_paced(100, 20)?;
        let times = stack.simulator.send_statuses_paced(600, 20)?;
        eprintln!("  ✓ single callbacks at 20 a second: {times}");
    }
    let rejects = Client::new(&stack.api, API_TOKEN).download_rejects(&outcome.id)?;
    report::print(&outcome, &rejects);
    if options.count {
        let log = std::fs::read_to_string(dev().join("logs/demo/emulator.log"))?;
        report::print_requests(&log, &outcome);
    }
    if options.keep {
        up::leave_running(stack, options.tps)?;
    } else {
        drop(stack);
    }
    let figures = report::figures(&outcome);
    emit(&figures);
    report::check_promises(&figures)
}

/// Sends the operator's file, or the sample.
fn broadcast(stack: &Stack, options: &Options, started: Instant) -> Result<Outcome> {
    let mut broadcast = Broadcast::sample(options.rows);
    if let Some(path) = &options.csv {
        broadcast.file_name = path.display().to_string();
        broadcast.file = read(path)?;
        broadcast.message = json!({"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}});
    }
    if let Some(path) = &options.message {
        broadcast.message = serde_json::from_slice(&read(path)?)
            .with_context(|| format!("{} is not JSON", path.display()))?;
    }
    broadcast::send(stack, &broadcast, started)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

#[expect(clippy::print_stdout, reason = "the one line a script reads")]
fn emit(figures: &Value) {
    println!("{figures}");
}
