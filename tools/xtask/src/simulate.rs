//! Lives of Crier in one process, from seeds: see `tools/simulation`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::paths::root;
use crate::process::{cargo, catch_interrupts, run_shown};

/// Seeds that failed once: a number each, then what was found.
const KEPT_SEEDS: &str = "tools/simulation/kept-seeds.txt";

/// Which lives.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Replays one seed, and shows everything that happened
    #[arg(long, conflicts_with_all = ["seeds", "minutes", "first"])]
    seed: Option<u64>,
    /// How many lives
    #[arg(long, default_value_t = 1_000_000_000)]
    seeds: u64,
    /// How many minutes; 2 if the number of lives is not given either
    #[arg(long)]
    minutes: Option<u64>,
    /// The first seed; by default it depends on the time, so that each run has lives of its own
    #[arg(long)]
    first: Option<u64>,
}

/// Runs lives in a build for speed; fails where a promise was broken.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    run_shown(cargo().args([
        "build",
        "--profile",
        "simulation",
        "--package",
        "simulation",
    ]))?;
    let program = root().join("target/simulation/simulation");
    if let Some(seed) = options.seed {
        return simulate(&program, &["replay", &seed.to_string()]);
    }
    let first = options.first.unwrap_or_else(seed_of_now);
    let last = first.saturating_add(options.seeds - 1);
    let minutes = match (options.minutes, options.seeds) {
        (Some(minutes), _) => minutes,
        (None, 1_000_000_000) => 2,
        (None, _) => 100_000,
    };
    run_seeds(&program, first, last, minutes)
}

/// The seeds that failed once, and then those from 1 on for some minutes, in the build that the tests have. The seeds are
/// always the same: a test that fails must have a cause in the change. New ones are for `cargo xtask simulate`.
pub(crate) fn test(minutes: u64) -> Result<()> {
    let program = root().join("target/debug/simulation");
    for seed in kept_seeds()? {
        run_seeds(&program, seed, seed, minutes)?;
    }
    run_seeds(&program, 1, u64::MAX, minutes)
}

fn run_seeds(program: &PathBuf, first: u64, last: u64, minutes: u64) -> Result<()> {
    let (first, last, minutes) = (first.to_string(), last.to_string(), minutes.to_string());
    simulate(program, &["run", &first, &last, &minutes])
}

/// The program tells people what it finds on its standard error; its standard output has the functions' metrics.
fn simulate(program: &PathBuf, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stdout(Stdio::null())
        .status();
    let status = status.with_context(|| format!("start {}", program.display()))?;
    ensure!(
        status.success(),
        "a promise was broken; the lines above say how to see it again"
    );
    Ok(())
}

fn kept_seeds() -> Result<Vec<u64>> {
    let text = std::fs::read_to_string(root().join(KEPT_SEEDS))?;
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let first_word = |line: &str| line.split(' ').next().unwrap_or_default().parse();
    Ok(lines.map(first_word).collect::<Result<_, _>>()?)
}

/// Another number every minute, with room for the seeds of a minute.
fn seed_of_now() -> u64 {
    let minutes = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        / 60;
    minutes * 10_000
}
