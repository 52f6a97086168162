//! The proofs that take longer than tests: a million sends below the ceiling, every state of the protocol, and a
//! broadcast under fire on the deployed whole.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::live;
use crate::process::{cargo_test, catch_interrupts, openly};

/// Which proofs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One of them only
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A million sends in virtual time, many times
    Ceiling,
    /// Every state of the protocol with any three faults
    Ledger,
    /// A broadcast under fire
    Live,
}

/// Runs them, the quick ones first.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    let wanted = |part| options.only.is_none_or(|only| only == part);
    if wanted(Part::Ledger) {
        openly(
            cargo_test()
                .args(["--package", "campaign", "--test", "protocol"])
                .args(IGNORED),
        )?;
    }
    if wanted(Part::Ceiling) {
        let mut ceiling = cargo_test();
        ceiling
            .envs([
                ("CARGO_PROFILE_RELEASE_LTO", "off"),
                ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ])
            .args(["--release", "--package", "sender", "--test", "ceiling"])
            .args(IGNORED);
        openly(&mut ceiling)?;
    }
    if wanted(Part::Live) {
        live::run()?;
    }
    Ok(())
}

const IGNORED: [&str; 5] = ["--", "--ignored", "--nocapture", "--test-threads", "1"];
