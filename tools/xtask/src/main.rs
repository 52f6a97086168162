//! `cargo xtask …`: sets up, runs, tests and measures everything on one machine.
//!
//! - [`setup`]: the tools from `PyPI`, in virtual environments under `.dev`
//! - [`process`]: child processes that do not outlive us
//! - [`emulator`], [`simulator`], [`stack`]: what a run consists of
//! - [`client`]: our own API, as an operator would call it
//! - [`demo`], [`sample`], [`report`]: the demonstration
//! - [`test`], [`lint`], [`bench`], [`fuzz`]: what CI runs, the figures, and what takes long
//! - [`proof`], [`live`]: the proofs of what Crier promises, and the broadcast under fire

mod bench;
mod client;
mod demo;
mod emulator;
mod fuzz;
mod lint;
mod live;
mod process;
mod proof;
mod report;
mod sample;
mod setup;
mod simulator;
mod stack;
mod test;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, runs, tests and measures Crier on one machine
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A whole broadcast on this machine: builds, deploys, uploads, watches, reports, stops
    Demo(demo::Options),
    /// Deploys as the demo does and keeps everything running for play
    Up(up::Options),
    /// Stops what `up` started
    Down,
    /// Every test: units, properties, real services, the deployed whole
    Test(test::Options),
    /// Formatting, clippy, dependencies' licences, the template
    Lint,
    /// Any bytes into the import: no panic, no hang, no growth
    Fuzz(fuzz::Options),
    /// What Crier promises, proven: the ceiling, the protocol, a broadcast under fire
    Proof(proof::Options),
    /// The figures: import, continuation, memory, callbacks, sizes, starts
    Bench,
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Up(options) => up::run(&options),
        Command::Down => up::down(),
        Command::Test(options) => test::run(&options),
        Command::Lint => lint::run(),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Proof(options) => proof::run(&options),
        Command::Bench => bench::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .map_or_else(|| here.clone(), PathBuf::from)
}

/// The one git-ignored folder for whatever a run needs.
fn dev() -> PathBuf {
    root().join(".dev")
}
