//! The console in a real browser: its tests and benchmarks, on a deployed stack.

use std::process::Command;

use anyhow::Result;

use crate::console;
use crate::stack::{API_TOKEN, OIDC_CLIENT_ID, Stack};

/// The tests in Chromium, on a deployed stack. They start the identity provider at `issuer` themselves. The pictures of the
/// documentation are taken if `CRIER_PICTURES` names a folder.
pub(crate) fn tests(stack: &Stack, issuer: &str) -> Result<Command> {
    let mut tests = script(stack, "browser")?;
    tests
        .env("OIDC_ISSUER", issuer)
        .env("OIDC_CLIENT_ID", OIDC_CLIENT_ID);
    if let Some(pictures) = std::env::var_os("CRIER_PICTURES") {
        tests.env("PICTURES", pictures);
    }
    Ok(tests)
}

/// The benchmarks in Chromium, on a deployed stack.
pub(crate) fn benchmarks(stack: &Stack) -> Result<Command> {
    script(stack, "bench")
}

/// A script of `package.json` that drives Chromium on a deployed stack.
fn script(stack: &Stack, name: &str) -> Result<Command> {
    let mut command = console::script(name)?;
    // The address of a page below a path needs the slash: its files are beside it.
    command
        .env("CONSOLE_URL", format!("{}/", stack.api))
        .env("SIMULATOR_URL", &stack.simulator.url)
        .env("API_TOKEN", API_TOKEN);
    Ok(command)
}
