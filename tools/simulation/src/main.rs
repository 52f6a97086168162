//! Runs lives of Crier from seeds, and shows those in which a promise was broken. `cargo xtask simulate` is the way to call
//! it.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use simulation::aws::Resources;
use simulation::fork::Fork;
use simulation::world::{self, Life};

/// Lives that run at the same time.
const PROCESSES: usize = 2;

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// A seed whose life makes everything that is made once per process.
const WARM_UP_SEED: u64 = 4;

const USAGE: &str = "usage: simulation run <first seed> <last seed> [minutes] [--first-failure]\n       simulation replay <seed>";

/// Ends a run with the first seed that fails.
const FIRST_FAILURE: &str = "--first-failure";

/// What is kept of a life.
#[derive(Debug, Serialize, Deserialize)]
struct Summary {
    seed: u64,
    kind: String,
    violations: Vec<String>,
    known: Vec<String>,
    trace: String,
    requests: usize,
    calls: usize,
    virtual_seconds: u64,
}

fn main() {
    let (flags, arguments): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument == FIRST_FAILURE);
    let number = |index: usize| {
        arguments
            .get(index)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let failed = match (arguments.first().map(String::as_str), number(1), number(2)) {
        (Some("run"), Some(first), Some(last)) => run(first, last, number(3), !flags.is_empty()),
        (Some("replay"), Some(seed), _) => replay(seed),
        _ => {
            say(USAGE);
            std::process::exit(2);
        }
    };
    std::process::exit(i32::from(failed));
}

/// Runs a range of seeds, or as many as it takes until the first failure; returns whether one failed.
fn run(first: u64, last: u64, minutes: Option<u64>, ends_at_failure: bool) -> bool {
    let resources = prepare();
    let started = Instant::now();
    let limit = minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let (mut running, mut results) = (VecDeque::new(), Results::default());
    let mut shown = Instant::now();
    for seed in first..=last {
        if limit.is_some_and(|limit| started.elapsed() >= limit) {
            break;
        }
        if running.len() == PROCESSES {
            results.take(&mut running);
        }
        if ends_at_failure && results.failed > 0 {
            break;
        }
        running.push_back((
            seed,
            Fork::run(|| summary(seed, &world::run(seed, &resources))),
        ));
        if shown.elapsed() >= PROGRESS_INTERVAL {
            shown = Instant::now();
            say(&results.progress(started.elapsed()));
        }
    }
    while !running.is_empty() {
        results.take(&mut running);
    }
    say(&results.progress(started.elapsed()));
    results.failed > 0
}

/// Shows everything about one seed.
fn replay(seed: u64) -> bool {
    let resources = prepare();
    let text = Fork::run(|| {
        let life = world::run(seed, &resources);
        let mut text = format!(
            "{}\n\nSteps of the operators:\n{}\n",
            life.history,
            life.steps.join("\n")
        );
        for violation in &life.violations {
            text.push_str(&format!("\n✗ {violation}\n"));
        }
        text.push_str(&format!(
            "\nseed {seed} ({}), trace {}",
            life.kind, life.trace
        ));
        text
    });
    let text = text.wait();
    say(&text);
    text.is_empty() || text.contains("\n✗ ")
}

/// Reads the template, and lives once.
fn prepare() -> Resources {
    let resources = Resources::load();
    // Metrics go to the standard output, as on Lambda. Nobody reads them here.
    world::run(WARM_UP_SEED, &resources);
    resources
}

fn summary(seed: u64, life: &Life) -> String {
    let summary = Summary {
        seed,
        kind: life.kind.into(),
        violations: life.violations.iter().map(ToString::to_string).collect(),
        known: life.known.iter().map(ToString::to_string).collect(),
        trace: life.trace.clone(),
        requests: life.requests,
        calls: life.calls,
        virtual_seconds: life.virtual_time.as_secs(),
    };
    serde_json::to_string(&summary).unwrap_or_default()
}

/// What was found so far.
#[derive(Default)]
struct Results {
    lives: u64,
    failed: u64,
    calls: usize,
    requests: usize,
    virtual_seconds: u64,
    by_promise: BTreeMap<String, Vec<u64>>,
    known: BTreeMap<String, Vec<u64>>,
}

impl Results {
    fn take(&mut self, running: &mut VecDeque<(u64, Fork)>) {
        let Some((seed, fork)) = running.pop_front() else {
            return;
        };
        self.lives += 1;
        let Ok(summary) = serde_json::from_str::<Summary>(&fork.wait()) else {
            self.failed += 1;
            self.by_promise
                .entry("no panic".into())
                .or_default()
                .push(seed);
            say(&format!(
                "✗ seed {seed} panicked\n  cargo xtask simulate --seed {seed}"
            ));
            return;
        };
        self.calls += summary.calls;
        self.requests += summary.requests;
        self.virtual_seconds += summary.virtual_seconds;
        for fault in summary.known {
            self.known.entry(fault).or_default().push(seed);
        }
        if summary.violations.is_empty() {
            return;
        }
        self.failed += 1;
        say(&format!(
            "✗ seed {seed} ({}), {} calls",
            summary.kind, summary.calls
        ));
        for violation in &summary.violations {
            say(&format!("  {violation}"));
            let promise = violation.split(':').next().unwrap_or_default();
            let seeds = self.by_promise.entry(promise.into()).or_default();
            if seeds.last() != Some(&seed) {
                seeds.push(seed);
            }
        }
        say(&format!("  cargo xtask simulate --seed {seed}"));
    }

    fn progress(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64();
        let mut text = format!(
            "{} lives in {seconds:.0} s ({:.1} a second): {} failed; {} messages, {} events, {:.0} virtual days",
            self.lives,
            self.lives as f64 / seconds,
            self.failed,
            self.calls,
            self.requests,
            self.virtual_seconds as f64 / 86_400.0
        );
        for (promise, seeds) in &self.by_promise {
            text.push_str(&format!(
                "\n  {promise}: {} seeds, first {}",
                seeds.len(),
                seeds[0]
            ));
        }
        for (fault, seeds) in &self.known {
            text.push_str(&format!(
                "\n  known, {fault}: {} seeds, first {}",
                seeds.len(),
                seeds[0]
            ));
        }
        text
    }
}

/// Tells a person. The standard output has the functions' metrics.
fn say(text: &str) {
    // Without a reader nobody wants to be told.
    let _ = writeln!(std::io::stderr(), "{text}");
}
