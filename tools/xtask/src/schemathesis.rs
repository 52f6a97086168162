//! The API against its own OpenAPI description: Schemathesis makes requests of every kind and checks the answers.

use std::process::Command;

use anyhow::Result;

use crate::paths::{dev, root};
use crate::process::run_logged;
use crate::setup::SCHEMATHESIS;

/// Which answers are expected, and why.
const CONFIG: &str = "tests/api/schemathesis.toml";

/// Fails where an answer is not as the description says.
pub(crate) fn run(api: &str, token: &str) -> Result<()> {
    SCHEMATHESIS.install()?;
    let mut command = Command::new(SCHEMATHESIS.program("schemathesis"));
    // It keeps a cache in its working directory.
    command
        .current_dir(dev())
        .arg("--config-file")
        .arg(root().join(CONFIG))
        .arg("run")
        .arg(format!("{api}/openapi.json"))
        .args(["--url", api, "--checks", "all"])
        .args(["--header", &format!("Authorization: Bearer {token}")]);
    run_logged(
        "test api (schemathesis)",
        &mut command,
        &dev().join("logs/test-api.log"),
    )
}
