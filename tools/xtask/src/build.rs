//! One build for everything: the functions and the simulator that run on this machine, and the tests. Dependencies are
//! compiled once, since all of it is built with the tests' features.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::emulator::REGION;
use crate::paths::{dev, root};
use crate::process::{cargo, check_interrupted, last_lines, run_logged};
use crate::progress::Step;
use crate::setup::{BUILD, DEPLOY};

/// The functions: the package, and its name in the template.
pub(crate) const FUNCTIONS: [(&str, &str); 10] = [
    ("api", "Api"),
    ("console", "Console"),
    ("splitter", "Splitter"),
    ("sender", "Sender"),
    ("webhook", "Webhook"),
    ("counter", "Counter"),
    ("reconciler", "Reconciler"),
    ("report", "Report"),
    ("forward", "Forward"),
    ("erase", "Erase"),
];

/// Builds the programs that run on this machine, in the development profile.
pub(crate) fn build_programs() -> Result<()> {
    // With the tests' features, a later test run has nothing to build anew.
    let mut packages = vec!["--features", "workspace-hack/tests"];
    let functions = FUNCTIONS.iter().map(|(package, _)| *package);
    for package in functions.chain(["simulator", "workspace-hack"]) {
        packages.extend(["--package", package]);
    }
    build(
        "build the Lambda functions and the WhatsApp simulator",
        &packages,
        &["--bins"],
        "normal,build",
    )
}

/// Builds the programs and every test.
pub(crate) fn build_tests() -> Result<()> {
    build(
        "build the Lambda functions, the WhatsApp simulator and the tests",
        &["--workspace"],
        &["--bins", "--tests"],
        "normal,build,dev",
    )
}

/// Builds parts of the workspace and shows how many of its crates are done.
fn build(what: &str, packages: &[&str], targets: &[&str], dependencies: &str) -> Result<()> {
    check_interrupted()?;
    fs::create_dir_all(dev().join("logs"))?;
    let log = dev().join("logs/cargo-build.log");
    let step = Step::begin(what);
    let total = count_packages(packages, dependencies)?;
    let mut command = cargo();
    command
        .args(["build", "--message-format", "json-render-diagnostics"])
        .args(packages)
        .args(targets)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log)?);
    let mut child = command.spawn().context("start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut done = BTreeSet::new();
    for line in BufReader::new(output).lines() {
        let message: Value = serde_json::from_str(&line?).unwrap_or_default();
        if message["reason"] == "compiler-artifact"
            && message["target"]["kind"][0] != "custom-build"
        {
            done.insert(message["package_id"].to_string());
            let name = message["target"]["name"].as_str().unwrap_or_default();
            let total = total.max(done.len());
            step.set_status(&format!("{} of {total} crates, {name}", done.len()));
        }
    }
    let status = child.wait()?;
    check_interrupted()?;
    if !status.success() {
        drop(step);
        bail!(
            "{what} failed; the end of {}:\n{}",
            log.display(),
            last_lines(&log)
        );
    }
    step.finish();
    Ok(())
}

/// How many packages a build with dependencies of these kinds compiles.
fn count_packages(packages: &[&str], dependencies: &str) -> Result<usize> {
    let tree = cargo()
        .args(["tree", "--edges", dependencies])
        .args(packages)
        .args(["--prefix", "none", "--format", "{p}"])
        .output()
        .context("start cargo")?;
    let text = String::from_utf8_lossy(&tree.stdout);
    let packages = text.lines().map(|line| line.trim_end_matches(" (*)"));
    Ok(packages.collect::<BTreeSet<_>>().len())
}

/// Where cargo puts programs of the development profile.
pub(crate) fn programs() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join("debug")
}

/// The template of further numbers, beside that of the main stack.
pub(crate) const NUMBER_TEMPLATE: &str = "number.yaml";

/// Puts each function's program into a folder of its own, as Lambda wants it, and writes templates that name these folders;
/// gives the path of the main stack's. Symbols go: they triple the size of what is uploaded.
pub(crate) fn package_programs() -> Result<PathBuf> {
    let packages = dev().join("packages");
    for (function, _) in FUNCTIONS {
        let folder = packages.join(function);
        fs::create_dir_all(&folder)?;
        strip(&programs().join(function), &folder.join("bootstrap"))?;
    }
    package_template(&packages, NUMBER_TEMPLATE, &["sender"])?;
    let functions = FUNCTIONS.map(|(package, _)| package);
    package_template(&packages, "template.yaml", &functions)
}

/// Writes a template with the folders of these functions; gives its path.
fn package_template(packages: &Path, name: &str, functions: &[&str]) -> Result<PathBuf> {
    let mut text = fs::read_to_string(root().join("infra").join(name))?;
    for function in functions {
        let source = format!("CodeUri: ../functions/{function}\n");
        if !text.contains(&source) {
            bail!("infra/{name} has no line `{}`", source.trim());
        }
        let folder = packages.join(function);
        text = text.replace(&source, &format!("CodeUri: {}\n", folder.display()));
    }
    let packaged = packages.join(name);
    fs::write(&packaged, text)?;
    Ok(packaged)
}

/// Copies a program without its symbols; as it is where binutils are missing.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let stripped = Command::new("strip").arg("-o").args([to, from]).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(from, to).with_context(|| format!("copy {}", from.display()))?;
    }
    Ok(())
}

/// `sam build` with the release profile, as the documentation deploys to AWS; gives the template's path.
pub(crate) fn build_release() -> Result<PathBuf> {
    BUILD.install()?;
    DEPLOY.install()?;
    let infra = root().join("infra");
    let folder = infra.join(".aws-sam/build");
    compile_release()?;
    let mut sam = Command::new(DEPLOY.program("sam"));
    sam.current_dir(&infra)
        .env("PATH", BUILD.path())
        .envs([("SAM_CLI_TELEMETRY", "0"), ("AWS_DEFAULT_REGION", REGION)])
        .arg("build")
        .args(["--parameter-overrides"])
        .arg(format!("Architecture={}", architecture()));
    fs::create_dir_all(dev().join("logs"))?;
    let log = dev().join("logs/sam-build.log");
    run_logged("build the release (sam build)", &mut sam, &log)?;
    Ok(folder.join("template.yaml"))
}

/// `sam build` links one function after the other, each on one core (the link-time optimization of all its crates). What it
/// runs for each is run here for all at once, so that they are linked side by side, and it finds them done.
fn compile_release() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("PATH", BUILD.path()).args([
        "lambda",
        "build",
        "--release",
        "--bins",
    ]);
    for (package, _) in FUNCTIONS {
        cargo.args(["--package", package]);
    }
    let log = dev().join("logs/release-build.log");
    fs::create_dir_all(dev().join("logs"))?;
    run_logged("compile the release (cargo lambda build)", &mut cargo, &log)
}

/// This machine's processor, as Lambda calls it.
pub(crate) fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    }
}
