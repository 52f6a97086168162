//! Every test: units and properties first, then real services, then the deployed whole.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::client::Client;
use crate::emulator::{Emulator, aws_environment};
use crate::process::{cargo_test, catch_interrupts, openly, wait_for};
use crate::setup::PHONES;
use crate::stack::{API_TOKEN, Forwards, Stack};
use crate::{dev, root};

/// Messages per second in the deployed test.
const TPS: u32 = 40;

/// How long an erasure may take here.
const ERASURE: Duration = Duration::from_secs(60);

/// Which tests.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One part of them only
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Units, properties, the model
    Units,
    /// Phone numbers beside Google's libphonenumber
    Phones,
    /// Real services
    Services,
    /// The deployed whole
    Deployed,
}

/// Runs them, the quick ones first; starts what they need, and stops it.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    let wanted = |part| options.only.is_none_or(|only| only == part);
    if wanted(Part::Units) {
        openly(cargo_test().arg("--workspace"))?;
    }
    if wanted(Part::Phones) {
        phones()?;
    }
    if wanted(Part::Services) {
        services()?;
    }
    if wanted(Part::Deployed) {
        deployed()?;
    }
    Ok(())
}

/// Verdicts on phone numbers beside those of Google's libphonenumber.
fn phones() -> Result<()> {
    PHONES.ready()?;
    let verdicts = dev().join("phones.jsonl");
    let mut script = Command::new(PHONES.bin("python"));
    script
        .arg(root().join("crates/campaign/tests/phones.py"))
        .stdout(fs::File::create(&verdicts)?);
    openly(&mut script)?;
    let mut tests = cargo_test();
    tests
        .env("CRIER_PHONES", verdicts)
        .args(["--package", "campaign", "--test", "phones"])
        .args(["--", "--ignored", "--nocapture"]);
    openly(&mut tests)
}

/// Buckets and queues are LocalStack's: the one that runs, or one of our own. Tables are `MiniStack`'s unless the one
/// that runs has them: in host mode LocalStack would have to download a server for them.
fn services() -> Result<()> {
    let logs = dev().join("logs/services");
    fs::create_dir_all(&logs)?;
    let given = std::env::var("AWS_ENDPOINT_URL").ok();
    let own = if given.is_none() {
        Some(Emulator::localstack(&logs)?)
    } else {
        None
    };
    let tables = match std::env::var("AWS_ENDPOINT_URL_DYNAMODB") {
        Ok(_) => None,
        Err(_) => Some(Emulator::ministack(&logs)?),
    };
    let url = own
        .as_ref()
        .map(|own| own.url.clone())
        .or(given)
        .unwrap_or_default();
    let mut tests = cargo_test();
    aws_environment(&mut tests, &url).args(["--package", "integration", "--test", "integration"]);
    if let Some(tables) = &tables {
        tests.env("AWS_ENDPOINT_URL_DYNAMODB", &tables.url);
    }
    openly(tests.args(["--", "--ignored", "--skip", "deployed::"]))
}

fn deployed() -> Result<()> {
    let stack = Stack::up("test", TPS, Forwards::ToSimulator)?;
    let mut tests = cargo_test();
    tests
        .args(["--package", "integration", "--test", "integration"])
        .envs([
            ("CRIER_API", stack.api.as_str()),
            ("CRIER_TOKEN", API_TOKEN),
            ("CRIER_SIMULATOR", &stack.simulator.url),
        ])
        .args(["--", "--ignored", "deployed::"]);
    openly(&mut tests)?;
    // What the sweep may do is proven by its doing it: its schedule is longer than the tests.
    let sweep = json!({"FunctionName": stack.output("ReconcilerFunction")?});
    let swept = stack.emulator.aws("lambda", "invoke", &sweep)?;
    ensure!(
        swept["FunctionError"].is_null(),
        "the sweep failed: {swept}"
    );
    forgotten(&stack)
}

/// Somebody of the tests' campaigns, which the sweep has closed, is erased with the rights that the template gives.
fn forgotten(stack: &Stack) -> Result<()> {
    const SOMEBODY: &str = "/v1/contacts/34620000005";
    let client = Client::new(&stack.api, API_TOKEN);
    client.delete(SOMEBODY)?;
    wait_for("the erasure", ERASURE, || {
        let contact = client.get(SOMEBODY).ok()?;
        (contact["erasure"] == "done").then_some(())
    })
}
