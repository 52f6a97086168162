//! Lives of Crier in one process, from seeds: see `tools/simulation`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::coverage;
use crate::paths::root;
use crate::process::{cargo, catch_interrupts, run_shown};

/// Seeds that failed once: a number each, then what was found.
const KEPT_SEEDS: &str = "tools/simulation/kept-seeds.txt";

/// A run of so many minutes or lives must reach every rare branch.
const NIGHT_MINUTES: u64 = 30;
const NIGHT_SEEDS: u64 = 5_000;

/// So many seeds are lived twice in the tests.
const TWICE_SEEDS: u64 = 20;

/// Which lives.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Replays one seed, and shows everything that happened
    #[arg(long, conflicts_with_all = ["seeds", "minutes", "first"])]
    seed: Option<u64>,
    /// Shows what the failure of one seed needs, and what happened before it
    #[arg(long, conflicts_with_all = ["seed", "seeds", "minutes", "first"])]
    shrink: Option<u64>,
    /// Lives each seed twice, and compares
    #[arg(long, requires = "seeds")]
    twice: bool,
    /// Measures how fast campaigns are, instead
    #[arg(long, conflicts_with_all = ["seed", "seeds", "minutes", "first"])]
    speed: bool,
    /// How many lives
    #[arg(long)]
    seeds: Option<u64>,
    /// How many minutes; 2 if the number of lives is not given either
    #[arg(long)]
    minutes: Option<u64>,
    /// The first seed; by default it depends on the time, so that each run has lives of its own
    #[arg(long)]
    first: Option<u64>,
    /// Shows which lines of the product the lives ran, by default those of the seeds 1 to 300
    #[arg(long, conflicts_with = "seed")]
    coverage: bool,
}

/// Lives that reach nearly all that the simulation can reach.
const COVERAGE_SEEDS: u64 = 300;

/// Lives, or minutes, that nobody waits for.
const NO_LIMIT: u64 = 1_000_000_000;

/// Runs lives in a build for speed; fails where a promise was broken.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    if options.coverage {
        return expect_success(coverage::run(&lives(options))?);
    }
    run_shown(cargo().args([
        "build",
        "--profile",
        "simulation",
        "--package",
        "simulation",
    ]))?;
    let program = root().join("target/simulation/simulation");
    simulate(&program, &arguments(options))
}

fn arguments(options: &Options) -> Vec<String> {
    let one = |mode: &str, seed: u64| vec![mode.to_owned(), seed.to_string()];
    match (options.seed, options.shrink) {
        (Some(seed), _) => one("replay", seed),
        (None, Some(seed)) => one("shrink", seed),
        (None, None) if options.speed => vec!["speed".to_owned()],
        (None, None) => lives(options),
    }
}

/// The simulation's arguments for many lives.
fn lives(options: &Options) -> Vec<String> {
    let (default_first, default_seeds) = match options.coverage {
        true => (1, options.minutes.is_none().then_some(COVERAGE_SEEDS)),
        false => (seed_of_now(), None),
    };
    let first = options.first.unwrap_or(default_first);
    let seeds = options.seeds.or(default_seeds);
    let last = first.saturating_add(seeds.unwrap_or(NO_LIMIT) - 1);
    let minutes = match (options.minutes, seeds) {
        (Some(minutes), _) => minutes,
        (None, None) => 2,
        (None, Some(_)) => NO_LIMIT,
    };
    if options.twice {
        return twice(first, last);
    }
    let mut arguments = range(first, last, minutes);
    let is_night = options
        .minutes
        .is_some_and(|minutes| minutes >= NIGHT_MINUTES)
        || options.seeds.is_some_and(|seeds| seeds >= NIGHT_SEEDS);
    if is_night {
        arguments.push("--all-marks".to_owned());
    }
    arguments
}

/// The seeds that failed once, and then those from 1 on for some minutes, in the build that the tests have. The seeds are
/// always the same: a test that fails must have a cause in the change. New ones are for `cargo xtask simulate`.
pub(crate) fn test(minutes: u64) -> Result<()> {
    let program = root().join("target/debug/simulation");
    for seed in kept_seeds()? {
        simulate(&program, &range(seed, seed, minutes))?;
    }
    simulate(&program, &twice(1, TWICE_SEEDS))?;
    simulate(&program, &range(1, u64::MAX, minutes))
}

fn range(first: u64, last: u64, minutes: u64) -> Vec<String> {
    let numbers = [first, last, minutes].map(|number| number.to_string());
    ["run".to_owned()].into_iter().chain(numbers).collect()
}

fn twice(first: u64, last: u64) -> Vec<String> {
    vec!["twice".to_owned(), first.to_string(), last.to_string()]
}

/// The program tells people what it finds on its standard error; its standard output has the functions' metrics.
fn simulate(program: &Path, arguments: &[String]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .env("CRIER_COMMIT", commit())
        .current_dir(root())
        .stdout(Stdio::null())
        .status();
    let status = status.with_context(|| format!("start {}", program.display()))?;
    expect_success(status.success())
}

fn expect_success(success: bool) -> Result<()> {
    ensure!(
        success,
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

/// The commit that is simulated, for those who must find it again.
fn commit() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(root())
        .output();
    let text = described.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
