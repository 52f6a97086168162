//! Checks of Crier's guarantees that take longer than tests: a million sends below the ceiling, every state of the
//! protocol, and broadcasts on a deployed stack: over slow and dying connections, in chaos, and with throttled tables.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::chaos;
use crate::process::{cargo, catch_interrupts, run_shown};
use crate::wire;

/// What to verify.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One part only
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A million sends in virtual time, many times
    Ceiling,
    /// Every state of the protocol with any three faults
    Ledger,
    /// Broadcasts over TLS, with connections that take time and die
    Wire,
    /// Broadcasts while senders are killed and responses are lost
    Chaos,
    /// A broadcast while DynamoDB refuses writes
    Throttling,
}

/// Runs them, the quick ones first.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    let wanted = |part| options.only.is_none_or(|only| only == part);
    if wanted(Part::Ledger) {
        run_shown(
            cargo()
                .args(["test", "--package", "campaign", "--test", "protocol"])
                .args(IGNORED),
        )?;
    }
    if wanted(Part::Ceiling) {
        let mut ceiling = cargo();
        ceiling
            .envs([
                ("CARGO_PROFILE_RELEASE_LTO", "off"),
                ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ])
            .args([
                "test",
                "--release",
                "--package",
                "sender",
                "--test",
                "ceiling",
            ])
            .args(IGNORED);
        run_shown(&mut ceiling)?;
    }
    if wanted(Part::Wire) {
        wire::run()?;
    }
    if wanted(Part::Chaos) {
        chaos::run()?;
    }
    if wanted(Part::Throttling) {
        chaos::run_throttled()?;
    }
    Ok(())
}

const IGNORED: [&str; 5] = ["--", "--ignored", "--nocapture", "--test-threads", "1"];
