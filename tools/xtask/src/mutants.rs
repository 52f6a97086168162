//! Mutants: patches that put a bug into the product, each of which the simulation must find. They are applied one after
//! the other to a working tree of their own, so they cannot end up in this one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::paths::{dev, files, root};
use crate::process::{cargo, catch_interrupts, check_interrupted, run_logged, run_shown};
use crate::progress::{Step, print_line};

/// The patches. The first line of each says what the bug is, and which promise it breaks.
const PATCHES: &str = "tools/simulation/mutants";

/// Which mutants to run, and how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Mutants whose name contains this; may be given several times
    #[arg(long)]
    only: Vec<String>,
    /// Seeds within which each mutant must be found
    #[arg(long, default_value_t = 2_000)]
    seeds: u32,
}

/// A patch.
struct Mutant {
    name: String,
    path: PathBuf,
}

/// How the simulation found a mutant.
struct Found {
    seed: u32,
    promise: String,
}

/// Builds and runs each mutant; fails if the simulation does not find one of them.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    let mutants = list_mutants(&options.only)?;
    let tree = WorkingTree::create()?;
    let mut results = Vec::new();
    print_line("| mutant | found after seeds | broken promise |\n|---|---|---|");
    for mutant in &mutants {
        let found = tree.find(mutant, options.seeds)?;
        let name = &mutant.name;
        print_line(&match &found {
            Some(Found { seed, promise }) => format!("| {name} | {seed} | {promise} |"),
            None => format!("| {name} | not found | |"),
        });
        results.push(found);
    }
    let survivors = results.iter().filter(|found| found.is_none()).count();
    if survivors > 0 {
        bail!("{survivors} of {} mutants were not found", results.len());
    }
    Ok(())
}

fn list_mutants(only: &[String]) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for path in files(&root().join(PATCHES), "patch")? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if only.is_empty() || only.iter().any(|only| name.contains(only.as_str())) {
            let name = name.into_owned();
            mutants.push(Mutant { name, path });
        }
    }
    if mutants.is_empty() {
        bail!("no patch in {PATCHES} has this name");
    }
    Ok(mutants)
}

/// A working tree of the latest commit. It is removed when this is dropped; what was built stays for the next run.
struct WorkingTree {
    folder: PathBuf,
}

impl WorkingTree {
    fn create() -> Result<Self> {
        let tree = Self {
            folder: dev().join("mutants"),
        };
        fs::create_dir_all(dev())?;
        // One that was left behind would be in the way.
        tree.remove();
        let mut git = git(&root());
        git.args(["worktree", "add", "--force", "--detach"])
            .arg(&tree.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        run_shown(&mut git)?;
        Ok(tree)
    }

    fn remove(&self) {
        let mut git = git(&root());
        git.args(["worktree", "remove", "--force"])
            .arg(&self.folder);
        // Nothing follows from an error: there may be none.
        let _ = git.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    /// Runs seeds, from 1, until one fails. `None` if none does.
    fn find(&self, mutant: &Mutant, seeds: u32) -> Result<Option<Found>> {
        run_shown(git(&self.folder).arg("apply").arg(&mutant.path))
            .with_context(|| format!("apply {}", mutant.name))?;
        let target = dev().join("mutants-target");
        let mut build = cargo();
        build
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &target)
            .args([
                "build",
                "--profile",
                "simulation",
                "--package",
                "simulation",
            ]);
        let log = dev().join("mutants.log");
        run_logged(&format!("{}: build", mutant.name), &mut build, &log)?;
        let found = run_seeds(&mutant.name, &target.join("simulation/simulation"), seeds)?;
        run_shown(
            git(&self.folder)
                .args(["apply", "--reverse"])
                .arg(&mutant.path),
        )?;
        Ok(found)
    }
}

impl Drop for WorkingTree {
    fn drop(&mut self) {
        self.remove();
    }
}

fn run_seeds(name: &str, simulation: &Path, seeds: u32) -> Result<Option<Found>> {
    check_interrupted()?;
    let step = Step::begin(&format!("{name}: up to {seeds} seeds"));
    let output = Command::new(simulation)
        .args(["run", "1", &seeds.to_string(), "--first-failure"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .context("start the simulation")?;
    check_interrupted()?;
    step.finish();
    if output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let found = parse_failure(&text);
    found
        .map(Some)
        .with_context(|| format!("the simulation failed without a failing seed:\n{text}"))
}

/// The first failing seed in the simulation's output, and the promises that were broken.
fn parse_failure(output: &str) -> Option<Found> {
    let mut lines = output
        .lines()
        .skip_while(|line| !line.starts_with("✗ seed "));
    let seed = lines.next()?.split(' ').nth(2)?.parse().ok()?;
    let promises = lines.map_while(|line| line.strip_prefix("  ")?.split_once(": "));
    let mut promises: Vec<&str> = promises.map(|(promise, _)| promise).collect();
    promises.dedup();
    let promise = match promises.is_empty() {
        true => "no panic".to_owned(),
        false => promises.join("; "),
    };
    Some(Found { seed, promise })
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder);
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_failing_seed_and_its_promises_are_read() {
        let output = "4 lives in 6 s\n✗ seed 3 (quiet), 12 calls\n  a pause holds: row 1 of c1\n  a pause holds: row 2\n  \
                      everything ends: still sending\n  cargo xtask simulate --seed 3\n✗ seed 4 panicked\n";
        let Found { seed, promise } = parse_failure(output).expect("a failure");
        assert_eq!(
            (seed, promise.as_str()),
            (3, "a pause holds; everything ends")
        );
        let panic = "✗ seed 7 panicked\n  cargo xtask simulate --seed 7\n";
        let Found { seed, promise } = parse_failure(panic).expect("a failure");
        assert_eq!((seed, promise.as_str()), (7, "no panic"));
    }
}
