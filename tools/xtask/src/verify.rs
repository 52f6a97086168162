//! Checks of Crier's guarantees that take longer than tests: a million sends below the ceiling, every state of the
//! protocol, and broadcasts on a deployed stack: over slow and dying connections, with a new budget, in chaos, and with
//! throttled tables.

use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::budget_change;
use crate::chaos;
use crate::paths::dev;
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
    /// Every state of a campaign's lifecycle with any one fault
    Lifecycle,
    /// Broadcasts over TLS, with connections that take time and die
    Wire,
    /// Broadcasts while another budget is deployed
    BudgetChange,
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
        run_shown(model("protocol").args(IGNORED))?;
    }
    if wanted(Part::Lifecycle) {
        run_shown(model("lifecycle").args(IGNORED))?;
    }
    if wanted(Part::Ceiling) {
        run_shown(ceiling_test("million_").args(IGNORED))?;
    }
    if wanted(Part::Wire) {
        // A minute of real time for each of six runs; the deployed stack needs more than a small machine has.
        let authority = dev().join("wire-authority.pem");
        let mut real_time = ceiling_test("sends_over_tls");
        run_shown(real_time.env("SSL_CERT_FILE", authority).args(IGNORED))?;
        wire::run()?;
    }
    if wanted(Part::BudgetChange) {
        budget_change::run()?;
    }
    if wanted(Part::Chaos) {
        chaos::run()?;
    }
    if wanted(Part::Throttling) {
        chaos::run_throttled()?;
    }
    Ok(())
}

/// A model that is explored exhaustively.
fn model(name: &str) -> Command {
    let mut test = cargo();
    test.args(["test", "--package", "campaign", "--test", name]);
    test
}

/// The ceiling's tests whose names begin with this, in a release build.
fn ceiling_test(names: &str) -> Command {
    let mut test = cargo();
    test.envs([
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ])
    .args(["test", "--release", "--package", "sender"])
    .args(["--test", "ceiling", names]);
    test
}

const IGNORED: [&str; 5] = ["--", "--ignored", "--nocapture", "--test-threads", "1"];
