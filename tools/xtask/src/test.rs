//! Every test: units and properties, real services, the deployed stack, the release.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::build::build_tests;
use crate::client::Client;
use crate::emulator::{Emulator, aws_environment};
use crate::paths::{dev, root};
use crate::process::{cargo, catch_interrupts, run_shown, wait_for};
use crate::setup::{DEPLOY, PHONES};
use crate::stack::{API_TOKEN, ForwardTo, FurtherNumber, Programs, Stack, StackOptions};
use crate::test_run::{Counts, run_tests};
use crate::{broadcast, browser, console, schemathesis, simulate};

/// Messages per second in the deployed test.
const TPS: u32 = 40;

/// The second number of the deployed test.
const SECOND_NUMBER: FurtherNumber = FurtherNumber {
    id: "100000000000002",
    tps: 20,
    slots: 4,
};

/// Concurrent senders in the console's tests: the browser needs the machine, too.
const CONSOLE_SLOTS: u32 = 4;

/// How long an erasure may take here.
const ERASURE_TIMEOUT: Duration = Duration::from_secs(60);

/// Tests of services mostly wait for them, so that many run at once, whatever the number of cores.
const WAITING_THREADS: &str = "8";

/// How long lives are lived, besides those that failed once.
const SIMULATION_MINUTES: u64 = 2;

/// Which tests.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One part of them only
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Units, properties, the model of the protocol
    Units,
    /// Phone numbers beside Google's libphonenumber
    Phones,
    /// Whole lives of Crier in one process, from seeds
    Simulation,
    /// Real services: S3 and SQS of LocalStack, DynamoDB of `MiniStack`
    Services,
    /// The API against its own OpenAPI description
    Api,
    /// The deployed stack
    Deployed,
    /// The console: its logic, and the whole way in a real browser
    Console,
    /// What `sam build` makes for AWS: built, deployed and sent through; only when asked for
    Release,
}

/// What one part found, and how long it took.
type Outcome = Result<(&'static str, Counts, Duration)>;

/// Runs the tests; starts what they need, and stops it.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    let started = Instant::now();
    let outcomes = match options.only {
        // They need no program of Rust's tests.
        Some(part @ (Part::Api | Part::Console | Part::Release)) => run_part(part),
        Some(part) => {
            build_tests()?;
            run_part(part)
        }
        None => run_all()?,
    };
    report(outcomes, started)
}

/// What computes and what waits runs at the same time; the deployed stack, whose pace is measured, and the browser run alone.
fn run_all() -> Result<Vec<Outcome>> {
    let mut outcomes = thread::scope(|scope| {
        // Tools are installed and the emulators start while Rust compiles.
        let services = scope.spawn(start_services);
        let tools = scope.spawn(|| DEPLOY.install().and_then(|()| PHONES.install()));
        build_tests()?;
        match (services.join(), tools.join()) {
            (Ok(services), Ok(tools)) => {
                tools?;
                let services = services?;
                let waiting = scope.spawn(move || measure("services", || test_services(&services)));
                let mut outcomes = run_part(Part::Units);
                outcomes.extend(run_part(Part::Phones));
                outcomes.extend(run_part(Part::Simulation));
                let waited = waiting
                    .join()
                    .unwrap_or_else(|_| bail!("the services' tests panicked"));
                outcomes.push(waited);
                Ok(outcomes)
            }
            _ => bail!("a thread of the set-up panicked"),
        }
    })?;
    outcomes.extend(run_part(Part::Deployed));
    outcomes.extend(run_part(Part::Console));
    Ok(outcomes)
}

fn run_part(part: Part) -> Vec<Outcome> {
    match part {
        Part::Units => vec![measure("units", || {
            run_tests(
                "units",
                cargo_test().args(["--bins", "--tests", "--no-fail-fast"]),
            )
        })],
        Part::Phones => vec![measure("phones", test_phones)],
        Part::Simulation => vec![measure("simulation", || {
            simulate::test(SIMULATION_MINUTES)?;
            Ok(Counts {
                passed: 1,
                failed: 0,
            })
        })],
        Part::Services => vec![measure("services", || test_services(&start_services()?))],
        Part::Api => on_stack(&[("api", schemathesis_counts)]),
        Part::Deployed => on_stack(&[("deployed", test_deployed), ("api", schemathesis_counts)]),
        Part::Console => vec![measure("console", test_console)],
        Part::Release => vec![measure("release", release)],
    }
}

fn measure(name: &'static str, test: impl FnOnce() -> Result<Counts>) -> Outcome {
    let started = Instant::now();
    let counts = test().with_context(|| format!("the part `{name}`"))?;
    Ok((name, counts, started.elapsed()))
}

/// Prints how long each part took and how many tests passed, in the line that CI reads; fails where a part did.
fn report(outcomes: Vec<Outcome>, started: Instant) -> Result<()> {
    let mut total = Counts::default();
    let mut errors = Vec::new();
    eprintln!();
    for outcome in outcomes {
        match outcome {
            Ok((name, counts, took)) => {
                eprintln!(
                    "  {name:<10} {:>5} passed {:>6.0} s",
                    counts.passed,
                    took.as_secs_f64()
                );
                total += counts;
            }
            Err(error) => {
                total.failed += 1;
                errors.push(format!("{error:#}"));
            }
        }
    }
    eprintln!(
        "  {:<23} {:>6.0} s\n",
        "in all",
        started.elapsed().as_secs_f64()
    );
    eprintln!("{} passed, {} failed", total.passed, total.failed);
    ensure!(errors.is_empty(), "{}", errors.join("\n\n"));
    Ok(())
}

fn cargo_test() -> Command {
    let mut test = cargo();
    test.args(["test", "--workspace"]);
    test
}

/// Verdicts on phone numbers beside those of Google's libphonenumber.
fn test_phones() -> Result<Counts> {
    PHONES.install()?;
    let verdicts = dev().join("phones.jsonl");
    let mut script = Command::new(PHONES.program("python"));
    script
        .arg(root().join("crates/campaign/tests/phones.py"))
        .stdout(File::create(&verdicts)?);
    run_shown(&mut script)?;
    compare_time_zones()?;
    let mut tests = cargo_test();
    tests.env("CRIER_PHONES", verdicts).args([
        "--test",
        "phones",
        "--",
        "--ignored",
        "--nocapture",
    ]);
    run_tests("phones", &mut tests)
}

/// Fails where the time zones of phone numbers are not those of this version of libphonenumber.
fn compare_time_zones() -> Result<()> {
    const TABLE: &str = "crates/campaign/src/import/phone/time_zones.txt";
    const SCRIPT: &str = "crates/campaign/tests/time_zones.py";
    let python = PHONES.program("python");
    let written = Command::new(&python).arg(root().join(SCRIPT)).output()?;
    let problem = String::from_utf8_lossy(&written.stderr);
    ensure!(written.status.success(), "{SCRIPT} failed: {problem}");
    ensure!(
        written.stdout == fs::read(root().join(TABLE))?,
        "{TABLE} is out of date: run `{} {SCRIPT} > {TABLE}`, and commit it",
        python.display()
    );
    Ok(())
}

/// The services of a run: those that run already, or our own.
struct Services {
    buckets_and_queues: String,
    tables: String,
    _own: Vec<Emulator>,
}

/// Buckets and queues are LocalStack's: the one that runs, or one of our own. Tables are `MiniStack`'s unless the one
/// that runs has them: in host mode LocalStack would have to download a server for them.
fn start_services() -> Result<Services> {
    let logs = dev().join("logs/services");
    fs::create_dir_all(&logs)?;
    let mut own = Vec::new();
    let mut url = |variable: &str, start: fn(&Path) -> Result<Emulator>| {
        if let Ok(given) = std::env::var(variable) {
            return anyhow::Ok(given);
        }
        let emulator = start(&logs)?;
        let url = emulator.url.clone();
        own.push(emulator);
        Ok(url)
    };
    Ok(Services {
        buckets_and_queues: url("AWS_ENDPOINT_URL", Emulator::start_localstack)?,
        tables: url("AWS_ENDPOINT_URL_DYNAMODB", Emulator::start_ministack)?,
        _own: own,
    })
}

fn test_services(services: &Services) -> Result<Counts> {
    let mut tests = cargo_test();
    aws_environment(&mut tests, &services.buckets_and_queues)
        .env("AWS_ENDPOINT_URL_DYNAMODB", &services.tables)
        // The simulation's own services are compared with the emulators, too.
        .args(["--test", "integration", "--test", "conformance", "--"])
        .args(["--ignored", "--skip", "deployed::"])
        .args(["--test-threads", WAITING_THREADS]);
    run_tests("services", &mut tests)
}

/// The second number of the console's tests.
const CONSOLE_NUMBER: FurtherNumber = FurtherNumber {
    tps: 4,
    slots: 2,
    ..SECOND_NUMBER
};

/// A test of a deployed stack, with its part's name.
type StackTest = (&'static str, fn(&Stack) -> Result<Counts>);

/// Runs tests on one deployed stack.
fn on_stack(tests: &[StackTest]) -> Vec<Outcome> {
    let stack = Stack::start(&StackOptions {
        forward_to: ForwardTo::Simulator,
        further_numbers: &[SECOND_NUMBER],
        ..StackOptions::new("test", TPS)
    });
    let stack = match stack {
        Ok(stack) => stack,
        Err(error) => return vec![Err(error)],
    };
    let tests = tests.iter();
    tests
        .map(|(name, test)| measure(name, || test(&stack)))
        .collect()
}

/// The console: its logic, and Chromium on a deployed stack that has an identity provider, which the tests start.
fn test_console() -> Result<Counts> {
    let mut counts = run_tests("console", &mut console::unit_tests()?)?;
    // Nobody else gets the provider's port during the deployment.
    let port = TcpListener::bind("127.0.0.1:0")?;
    let issuer = format!("http://{}", port.local_addr()?);
    let stack = Stack::start(&StackOptions {
        slots: CONSOLE_SLOTS,
        forward_to: ForwardTo::Simulator,
        oidc_issuer: Some(&issuer),
        further_numbers: &[CONSOLE_NUMBER],
        ..StackOptions::new("test", TPS)
    })?;
    let mut browser = browser::tests(&stack, &issuer)?;
    drop(port);
    counts += run_tests("browser", &mut browser)?;
    Ok(counts)
}

fn test_deployed(stack: &Stack) -> Result<Counts> {
    let mut tests = cargo_test();
    tests
        .envs([
            ("CRIER_API", stack.api.as_str()),
            ("CRIER_TOKEN", API_TOKEN),
            ("CRIER_SIMULATOR", &stack.simulator.url),
        ])
        .args(["--test", "integration", "--"])
        .args(["--ignored", "deployed::"]);
    let mut counts = run_tests("deployed", &mut tests)?;
    // The reconciler's rights are proven by using them: its schedule is longer than the tests.
    let reconciler = json!({"FunctionName": stack.output("ReconcilerFunction")?});
    let answer = stack.emulator.call_aws("lambda", "invoke", &reconciler)?;
    ensure!(
        answer["FunctionError"].is_null(),
        "the reconciler failed: {answer}"
    );
    erase_contact(stack)?;
    counts.passed += 2;
    Ok(counts)
}

/// A contact of the tests' campaigns, which the reconciler has closed, is erased with the rights that the template gives.
fn erase_contact(stack: &Stack) -> Result<()> {
    const CONTACT: &str = "/v1/contacts/34620000005";
    let client = Client::new(&stack.api, API_TOKEN);
    client.delete(CONTACT)?;
    wait_for("the erasure", ERASURE_TIMEOUT, || {
        let contact = client.get(CONTACT).ok()?;
        (contact["erasure"] == "done").then_some(())
    })
}

/// The API answers as its OpenAPI description says, whatever is asked.
fn schemathesis_counts(stack: &Stack) -> Result<Counts> {
    schemathesis::run(&stack.api, API_TOKEN)?;
    Ok(Counts {
        passed: 1,
        failed: 0,
    })
}

/// The way to AWS that the documentation describes, with the release profile: built, deployed, and sent through once.
fn release() -> Result<Counts> {
    let stack = Stack::start(&StackOptions {
        programs: Programs::Release,
        ..StackOptions::new("release", TPS)
    })?;
    broadcast::send_sample(&stack, RELEASE_ROWS)?;
    Ok(Counts {
        passed: 1,
        failed: 0,
    })
}

/// Rows of the release's broadcast.
const RELEASE_ROWS: u32 = 200;
