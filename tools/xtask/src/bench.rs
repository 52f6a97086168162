//! Benchmarks: import, enqueueing, memory, callbacks, the console, sizes and starts. They are reported, never asserted,
//! because machines differ. Sizes and starts are those of the release profile.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::browser;
use crate::build::{FUNCTIONS, build_release};
use crate::emulator::{Emulator, REGION, aws_environment};
use crate::paths::{dev, root};
use crate::process::{RunningProcess, cargo, catch_interrupts, run_shown};
use crate::stack::{Stack, StackOptions};
use crate::urgent;

/// Starts of each function, of which the median is printed.
const STARTS: usize = 11;

/// Messages per second of the campaign that the console shows.
const CONSOLE_TPS: u32 = 40;

/// Its concurrent senders: the browser needs the machine, too.
const CONSOLE_SLOTS: u32 = 4;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One part only
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Validation and enqueueing on one core
    Import,
    /// Callbacks, files and reports against the emulated AWS
    Services,
    /// How soon single messages leave
    Urgent,
    /// The console in Chromium: bytes, time to interactive, delay, memory
    Console,
    /// Sizes and starts of the functions
    Starts,
}

/// Measures everything, or one part.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    for part in Part::value_variants() {
        if options.only.is_none_or(|only| only == *part) {
            match part {
                Part::Import => {
                    run_shown(cargo().args([
                        "bench",
                        "--package",
                        "splitter",
                        "--bench",
                        "import",
                    ]))?;
                }
                Part::Services => run_against_emulator()?,
                Part::Urgent => urgent::run()?,
                Part::Console => run_console()?,
                Part::Starts => measure_starts()?,
            }
        }
    }
    Ok(())
}

/// The benchmarks of `functions/console/web/bench`, in Chromium, on a deployed stack.
fn run_console() -> Result<()> {
    let stack = Stack::start(&StackOptions {
        slots: CONSOLE_SLOTS,
        ..StackOptions::new("bench", CONSOLE_TPS)
    })?;
    run_shown(&mut browser::benchmarks(&stack)?)
}

fn measure_starts() -> Result<()> {
    build_release()?;
    let build = root().join("infra/.aws-sam/build");
    for (_, function) in FUNCTIONS {
        let program = build.join(function).join("bootstrap");
        let size = fs::metadata(&program)
            .with_context(|| format!("look at {}", program.display()))?
            .len();
        let starts = (0..STARTS)
            .map(|_| measure_start(&program))
            .collect::<Result<Vec<_>>>()?;
        eprintln!(
            "{function:<10} {:>5.1} MB, first `next` after {:>3} ms",
            size as f64 / 1e6,
            median(starts).as_millis()
        );
    }
    Ok(())
}

/// The benchmarks of `tests/benchmarks.rs`, against the emulated AWS.
fn run_against_emulator() -> Result<()> {
    let logs = dev().join("logs/bench");
    fs::create_dir_all(&logs)?;
    let emulator = Emulator::start_ministack(&logs)?;
    for benchmark in [
        "callbacks",
        "splitting",
        "million",
        "memory",
        "requeue",
        "continuation",
        "report",
    ] {
        let mut bench = cargo();
        aws_environment(&mut bench, &emulator.url).args([
            "bench",
            "--package",
            "integration",
            "--bench",
            "benchmarks",
            "--",
            benchmark,
        ]);
        run_shown(&mut bench)?;
    }
    Ok(())
}

/// The time from `exec` to the first request for work, which a Runtime API of ours receives and refuses.
fn measure_start(program: &Path) -> Result<Duration> {
    let runtime = TcpListener::bind("127.0.0.1:0")?;
    let mut command = Command::new(program);
    aws_environment(&mut command, "http://127.0.0.1:1").envs([
        (
            "AWS_LAMBDA_RUNTIME_API",
            runtime.local_addr()?.to_string().as_str(),
        ),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
        ("AWS_REGION", REGION),
        ("CAMPAIGNS_TABLE", "c"),
        ("MESSAGES_TABLE", "m"),
        ("CALLBACKS_TABLE", "r"),
        ("CONTACTS_TABLE", "p"),
        ("UPLOADS_BUCKET", "b"),
        ("SENDS_QUEUE_URL", "http://127.0.0.1:1/q"),
        ("SENDS_DEAD_LETTERS_URL", "http://127.0.0.1:1/d"),
        ("IMPORT_QUEUE_URL", "http://127.0.0.1:1/o"),
        ("IMPORT_QUEUE_ARN", "o"),
        ("SCHEDULE_GROUP", "g"),
        ("SCHEDULE_ROLE_ARN", "r"),
        ("SECRET_ARN", "s"),
        ("WABA_ID", "1"),
        ("TPS_BUDGET", "40"),
        ("SLOTS", "0"),
        ("RETENTION_DAYS", "7"),
        ("FILE_RETENTION_DAYS", "7"),
        ("GRAPH_API_URL", "http://127.0.0.1:1"),
        ("GRAPH_API_VERSION", "v25.0"),
        ("PHONE_NUMBER_ID", "1"),
        ("TLS_ONLY", "true"),
        ("URGENT_QUEUE_URL", "http://localhost/urgent"),
        ("INSTALLATION", "crier"),
    ]);
    let began = Instant::now();
    let process = RunningProcess::start(&mut command, &dev().join("logs/bench/start.log"))?;
    let (mut connection, _) = runtime.accept()?;
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line)?;
    let took = began.elapsed();
    ensure!(
        line.contains("/invocation/next"),
        "{} asked for {line}",
        program.display()
    );
    let _ =
        connection.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    drop(process);
    Ok(took)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
