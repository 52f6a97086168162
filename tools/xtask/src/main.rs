//! `cargo xtask …`: sets up, runs, tests and measures everything on one machine.
//!
//! - [`setup`]: the tools from `PyPI`, in virtual environments under `.dev`
//! - [`build`]: one build for programs and tests; what is deployed
//! - [`paths`], [`process`], [`progress`]: folders; child processes that do not outlive us; what people see
//!   meanwhile
//! - [`console`]: the console's front end, and its tests
//! - [`emulator`], [`simulator`], [`stack`]: what a run consists of
//! - [`client`], [`broadcast`], [`sample`], [`report`]: a campaign through the API, and its outcome
//! - [`demo`], [`up`]: the demonstration, and a stack that stays
//! - [`mod@test`], [`test_run`], [`schemathesis`], [`lint`], [`mod@template`], [`features`]: what CI runs
//! - [`mod@bench`], [`verify`], [`wire`], [`chaos`], [`fuzz`], [`mutants`], [`coverage`]: benchmarks, and checks that
//!   take longer than tests

mod bench;
mod broadcast;
mod browser;
mod budget_change;
mod build;
mod chaos;
mod client;
mod console;
mod coverage;
mod demo;
mod emulator;
mod features;
mod fuzz;
mod lint;
mod mutants;
mod paths;
mod process;
mod progress;
mod report;
mod sample;
mod schemathesis;
mod setup;
mod simulate;
mod simulator;
mod stack;
mod template;
mod test;
mod test_run;
mod up;
mod urgent;
mod verify;
mod wire;

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
    /// Deploys as the demo does and leaves it running; a second run deploys changes
    Up(up::Options),
    /// Stops what `up` started
    Down,
    /// Every test: units, properties, real services, the deployed stack; `--only release` tests what `sam build` makes
    Test(test::Options),
    /// Builds the console's front end, which `functions/console` then contains
    Console,
    /// Formatting, clippy, documentation, links, dependencies, the template
    Lint,
    /// Whole lives of Crier in one process, with faults, from seeds: no promise is broken
    Simulate(simulate::Options),
    /// Feeds arbitrary bytes to the import: no panic, no hang, no growth
    Fuzz(fuzz::Options),
    /// Puts known bugs into the product, one after the other: the simulation must find each of them
    Mutants(mutants::Options),
    /// Longer checks of the guarantees: the ceiling, the protocol, the wire, throttled tables, broadcasts with faults
    Verify(verify::Options),
    /// Benchmarks: import, enqueueing, memory, callbacks, the console, sizes, starts
    Bench(bench::Options),
    /// Writes `crates/workspace-hack`, the one set of dependency features for every build
    Features,
}

fn main() -> ExitCode {
    let result = match Options::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Up(options) => up::run(&options),
        Command::Down => up::down(),
        Command::Test(options) => test::run(&options),
        Command::Console => console::build(),
        Command::Lint => lint::run(),
        Command::Simulate(options) => simulate::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Mutants(options) => mutants::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Features => features::write(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
