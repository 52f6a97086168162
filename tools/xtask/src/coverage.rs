//! What the simulation runs of the product, line by line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::paths::{dev, root};
use crate::process::{cargo, run_shown};

/// The compiler, with the flags for counters.
const COMPILER: &str = "tools/coverage/rustc";

/// Runs the simulation with these arguments, shows a table, and writes lists of lines to `.dev/simulation`; returns
/// whether the simulation found nothing.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let target = root().join("target");
    // Dependencies are those that the tests have; the program is in a folder of its own.
    run_shown(
        cargo()
            .env("CARGO_BUILD_BUILD_DIR", &target)
            .env("CARGO_TARGET_DIR", target.join("coverage"))
            .env("CARGO_INCREMENTAL", "0")
            .env("RUSTC_WORKSPACE_WRAPPER", root().join(COMPILER))
            .args(["build", "--package", "simulation"]),
    )?;
    let program = target.join("coverage/debug/simulation");
    let folder = dev().join("simulation");
    let found_nothing = count(&program, arguments, &folder)?;
    let mut show = cargo();
    show.args(["run", "--quiet", "--package", "coverage", "--"])
        .args([&program, &folder.join("counters.profraw"), &folder]);
    run_shown(&mut show)?;
    Ok(found_nothing)
}

/// Writes `counters.profraw`.
fn count(program: &Path, arguments: &[String], folder: &Path) -> Result<bool> {
    fs::create_dir_all(folder)?;
    // Otherwise counting would go on from what is there.
    let _ = fs::remove_file(folder.join("counters.profraw"));
    // `%c` stands for nothing in the name, and lets the file be the memory of the counters: each life ends without
    // running what would write it.
    let status = Command::new(program)
        .args(arguments)
        .env("LLVM_PROFILE_FILE", folder.join("counters%c.profraw"))
        .current_dir(root())
        .stdout(Stdio::null())
        .status();
    let status = status.with_context(|| format!("start {}", program.display()))?;
    Ok(status.success())
}
