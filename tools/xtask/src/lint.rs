//! Formatting, clippy, dependencies' licences and sources, the template.

use std::process::Command;

use anyhow::Result;

use crate::emulator::REGION;
use crate::process::{catch_interrupts, openly};
use crate::root;
use crate::setup::{self, BUILD};

/// Runs them all; the first that finds something ends it.
pub(crate) fn run() -> Result<()> {
    catch_interrupts();
    openly(cargo().args(["fmt", "--all", "--check"]))?;
    openly(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    openly(
        Command::new(setup::cargo_deny()?)
            .current_dir(root())
            .args([
                "--log-level",
                "error",
                "check",
                "licenses",
                "bans",
                "sources",
            ]),
    )?;
    BUILD.ready()?;
    let template = root().join("infra");
    let env = [("SAM_CLI_TELEMETRY", "0"), ("AWS_DEFAULT_REGION", REGION)];
    openly(
        Command::new(BUILD.bin("sam"))
            .current_dir(&template)
            .envs(env)
            .args(["validate", "--lint"]),
    )?;
    openly(
        Command::new(BUILD.bin("cfn-lint"))
            .current_dir(&template)
            .arg("template.yaml"),
    )
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    cargo
}
