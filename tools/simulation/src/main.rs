//! Runs lives of Crier from seeds, and shows those in which a promise was broken. `cargo xtask simulate` is the way to call
//! it.

use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

use simulation::aws::{DynamoDb, Resources};
use simulation::calendar::BASE_MS;
use simulation::fork::Fork;
use simulation::life::{self, Life};
use simulation::results::{Results, Summary};
use simulation::shrink::shrink;
use simulation::{clock, marks, speed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Lives that run at the same time.
const PROCESSES: usize = 2;

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// How long it is tried to find out what a failure needs.
const SHRINK_TIME: Duration = Duration::from_secs(60);

/// So many failures are shrunk at the end of a run.
const SHRUNK_FAILURES: usize = 3;

/// So many lines of the history are shown around a violation.
const HISTORY_LINES: usize = 60;

/// A seed whose life makes everything that is made once per process.
const WARM_UP_SEED: u64 = 4;

const USAGE: &str =
    "usage: simulation run <first seed> <last seed> [minutes] [--first-failure] [--all-marks]
       simulation replay <seed>
       simulation shrink <seed>
       simulation twice <first seed> <last seed>
       simulation speed [campaigns]";

/// Ends a run with the first seed that fails.
const FIRST_FAILURE: &str = "--first-failure";

/// Fails unless each mark was reached.
const ALL_MARKS: &str = "--all-marks";

/// Which lives are run, and what makes the run fail.
struct Run {
    first: u64,
    last: u64,
    limit: Option<Duration>,
    ends_at_failure: bool,
    needs_all_marks: bool,
}

fn main() {
    let (flags, arguments): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let number = |index: usize| {
        arguments
            .get(index)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let has = |flag: &str| flags.iter().any(|other| other == flag);
    let failed = match (arguments.first().map(String::as_str), number(1), number(2)) {
        (Some("run"), Some(first), Some(last)) => run(&Run {
            first,
            last,
            limit: number(3).map(|minutes| Duration::from_secs(60 * minutes)),
            ends_at_failure: has(FIRST_FAILURE),
            needs_all_marks: has(ALL_MARKS),
        }),
        (Some("replay"), Some(seed), _) => replay(seed),
        (Some("shrink"), Some(seed), _) => shrink_seed(seed),
        (Some("twice"), Some(first), Some(last)) => twice(first, last),
        (Some("speed"), campaigns, _) => measure(campaigns.unwrap_or(100)),
        _ => {
            say(USAGE);
            std::process::exit(2);
        }
    };
    std::process::exit(i32::from(failed));
}

/// Runs lives, and shows what those need that fail; returns whether the run failed.
fn run(options: &Run) -> bool {
    let resources = prepare();
    let started = Instant::now();
    let results = run_lives(options, &resources, started);
    say(&results.progress(started.elapsed()));
    if !options.ends_at_failure {
        for (promise, seed) in results.first_failures().iter().take(SHRUNK_FAILURES) {
            say(&explain(*seed, promise, &resources));
        }
    }
    if !options.needs_all_marks {
        return results.failed > 0;
    }
    say(&results.marks());
    let in_sources = marks::in_sources().unwrap_or_else(|error| panic!("sources: {error}"));
    let missing = results.never_reached(&in_sources);
    for mark in &missing {
        say(&format!("✗ never reached: {mark}"));
    }
    results.failed > 0 || !missing.is_empty()
}

fn run_lives(options: &Run, resources: &Resources, started: Instant) -> Results {
    let (mut running, mut results) = (VecDeque::new(), Results::default());
    let mut shown = Instant::now();
    for seed in options.first..=options.last {
        let is_late = options
            .limit
            .is_some_and(|limit| started.elapsed() >= limit);
        if is_late || options.ends_at_failure && results.failed > 0 {
            break;
        }
        if running.len() == PROCESSES {
            take(&mut results, &mut running);
        }
        running.push_back((seed, live(seed, resources)));
        if shown.elapsed() >= PROGRESS_INTERVAL {
            shown = Instant::now();
            say(&results.progress(started.elapsed()));
        }
    }
    while !running.is_empty() {
        take(&mut results, &mut running);
    }
    results
}

fn take(results: &mut Results, running: &mut VecDeque<(u64, Fork)>) {
    if let Some((seed, fork)) = running.pop_front()
        && let Some(news) = results.take(seed, Summary::from_text(&fork.wait()))
    {
        say(&news);
    }
}

fn live(seed: u64, resources: &Resources) -> Fork {
    Fork::run(|| Summary::new(seed, &life::run(seed, resources)).to_text())
}

/// Shows everything about one seed.
fn replay(seed: u64) -> bool {
    let resources = prepare();
    let text = Fork::run(|| {
        let life = life::run(seed, &resources);
        let mut text = format!(
            "{}\n\nSteps of the operators:\n{}\n",
            life.render(),
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

/// Shows what a seed's failure needs.
fn shrink_seed(seed: u64) -> bool {
    let resources = prepare();
    let mut results = Results::default();
    let summary = Summary::from_text(&live(seed, &resources).wait());
    let Some(news) = results.take(seed, summary) else {
        say(&format!("seed {seed} does not fail"));
        return false;
    };
    say(&news);
    for (promise, seed) in results.first_failures() {
        say(&explain(seed, promise, &resources));
    }
    true
}

/// What a failure needs, and what happened around it.
fn explain(seed: u64, promise: &str, resources: &Resources) -> String {
    let shrunk = shrink(seed, promise, resources, SHRINK_TIME);
    let commit = std::env::var("CRIER_COMMIT").unwrap_or_else(|_| "unknown".into());
    let text = Fork::run(|| {
        let life = life::run_without(seed, resources, shrunk.omitted.clone());
        let mut text = format!(
            "seed {seed} at commit {commit}, shrunk in {} lives. It needs:\n  {}\n",
            shrunk.lives,
            shrunk.parts.join("\n  ")
        );
        text.push_str(&format!(
            "Steps of the operators:\n  {}\n",
            life.steps.join("\n  ")
        ));
        text.push_str(&around_violation(&life, promise));
        text
    });
    text.wait()
}

/// The violation, and the part of the history that is about it.
fn around_violation(life: &Life, promise: &str) -> String {
    let mut violations = life.violations.iter();
    let Some(violation) = violations.find(|violation| violation.promise == promise) else {
        return String::new();
    };
    let campaign = violation.campaign().unwrap_or_default();
    let history = life.render();
    let lines: Vec<&str> = history
        .lines()
        .filter(|line| line.contains(campaign) || line.contains(" operator "))
        .collect();
    // Up to the time that the violation names, if it names one.
    let time = violation.what.split(|other: char| !other.is_ascii_digit());
    let time = time.filter(|digits| digits.len() == 13).max();
    let end = time.map_or(lines.len(), |time| {
        lines.partition_point(|line| line.split(' ').next() <= Some(time))
    });
    let begin = end.saturating_sub(HISTORY_LINES);
    format!(
        "What happened before:\n  {}\n✗ {violation}",
        lines[begin..end].join("\n  ")
    )
}

/// Lives each seed twice, in processes of their own; returns whether two lives differed.
fn twice(first: u64, last: u64) -> bool {
    let resources = prepare();
    let mut different = 0;
    for seed in first..=last {
        let lives = [live(seed, &resources), live(seed, &resources)];
        let traces = lives.map(|life| Summary::from_text(&life.wait()).map(|life| life.trace));
        if traces[0] != traces[1] || traces[0].is_none() {
            different += 1;
            say(&format!("✗ seed {seed}: {traces:?}"));
        }
        if seed % 100 == 0 {
            say(&format!("up to seed {seed}: {different} lived two lives"));
        }
    }
    let lives = last + 1 - first;
    say(&format!("{lives} seeds twice: {different} lived two lives"));
    different > 0
}

/// Shows how fast campaigns are; returns whether one failed.
fn measure(campaigns: u64) -> bool {
    let speed = speed::measure(campaigns, &prepare());
    say(&speed.to_string());
    speed.failed > 0
}

/// Reads the template, lives once, and makes the tables of the next life.
fn prepare() -> Resources {
    marks::listen();
    let resources = Resources::load();
    // Metrics go to the standard output, as on Lambda. Nobody reads them here.
    life::run(WARM_UP_SEED, &resources);
    clock::run(WARM_UP_SEED, BASE_MS, || async {
        DynamoDb::prepare(&resources)
    });
    resources
}

/// Tells a person. The standard output has the functions' metrics.
fn say(text: &str) {
    // Without a reader nobody wants to be told.
    let _ = writeln!(std::io::stderr(), "{text}");
}
