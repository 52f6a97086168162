//! The demonstration: a whole broadcast on this machine.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::Client;
use crate::process::{catch_interrupts, go_on, now_ms, wait_for};
use crate::stack::{API_TOKEN, Forwards, Stack};
use crate::{dev, report, sample, up};

/// What to broadcast, and how fast.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rows of the sample file
    #[arg(long, default_value_t = 2000)]
    rows: u32,
    /// Messages per second
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(2..=1000))]
    tps: u32,
    /// A CSV of your own instead of the sample
    #[arg(long)]
    csv: Option<PathBuf>,
    /// A message object (JSON file) of your own
    #[arg(long)]
    message: Option<PathBuf>,
    /// Count the requests that cost money on AWS
    #[arg(long)]
    count: bool,
    /// Measure the webhook: once everything is sent, single callbacks through the API, 20 a second for half a minute
    #[arg(long)]
    single: bool,
    /// Keep everything running afterwards, as `up` does
    #[arg(long)]
    keep: bool,
}

/// Runs it, and fails where what Crier promises did not hold.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    let stack = Stack::up("demo", options.tps, Forwards::No)?;
    let outcome = broadcast(&stack, options)?;
    if options.single {
        // The first hundred warm it up.
        stack.simulator.pace(100, 20)?;
        let paced = stack.simulator.pace(600, 20)?;
        eprintln!("  ✓ single callbacks at 20 a second: {paced}");
    }
    let rejects = Client::new(&stack.api, API_TOKEN).rejects(&outcome.id)?;
    report::print(&outcome, &rejects);
    if options.count {
        let log = std::fs::read_to_string(dev().join("logs/demo/emulator.log"))?;
        report::requests(&log, &outcome);
    }
    if options.keep {
        up::keep(stack, options.tps)?;
    } else {
        drop(stack);
    }
    let figures = report::figures(&outcome);
    emit(&figures);
    report::promises(&figures)
}

/// What a broadcast left.
pub(crate) struct Outcome {
    /// The campaign's id.
    pub(crate) id: String,
    /// The campaign as the API shows it.
    pub(crate) campaign: Value,
    /// The simulator's books.
    pub(crate) books: Value,
    /// When the upload was done, in milliseconds since the Unix epoch.
    pub(crate) uploaded_at: u64,
}

fn broadcast(stack: &Stack, options: &Options) -> Result<Outcome> {
    let client = Client::new(&stack.api, API_TOKEN);
    let (name, file) = match &options.csv {
        Some(path) => (
            path.display().to_string(),
            std::fs::read(path).with_context(|| format!("read {}", path.display()))?,
        ),
        None => (
            "sample.csv".to_owned(),
            sample::csv(options.rows).into_bytes(),
        ),
    };
    let message: Value = match (&options.message, &options.csv) {
        (Some(path), _) => {
            serde_json::from_slice(&std::fs::read(path)?).context("the message is no JSON")?
        }
        (None, None) => sample::message(),
        (None, Some(_)) => {
            json!({"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}})
        }
    };
    let campaign = json!({"name": "Demonstration", "message": message, "file": {"name": name, "size": file.len()}});
    let created = client.create(&campaign)?;
    let id = created["id"].as_str().unwrap_or_default().to_owned();
    client.upload(&created["upload"], &file)?;
    let uploaded_at = now_ms();
    eprintln!("  ✓ uploaded {} bytes to campaign {id}", file.len());
    let campaign = watch(&client, &id)?;
    ensure!(
        campaign["state"] == "finished",
        "the campaign is {}: {}",
        campaign["state"],
        campaign["reason"]
    );
    let (campaign, books) = reported(stack, &client, &id)?;
    Ok(Outcome {
        id,
        campaign,
        books,
        uploaded_at,
    })
}

/// Shows how it goes until it ends.
fn watch(client: &Client, id: &str) -> Result<Value> {
    let bar = ProgressBar::new(0);
    let look = "  {bar:36.green/white} {pos}/{len} settled  {msg}";
    bar.set_style(ProgressStyle::with_template(look)?.progress_chars("█▌░"));
    let (mut last, mut last_calls, mut still) = (Instant::now(), 0, Instant::now());
    loop {
        go_on()?;
        let campaign = client.campaign(id)?;
        let rows = &campaign["rows"];
        let count = |name: &str| rows[name].as_i64().unwrap_or_default();
        let settled =
            count("accepted") + count("rejected") + count("unconfirmed") + count("skipped");
        bar.set_length(count("enqueued").max(1) as u64);
        bar.set_position(settled as u64);
        let calls = campaign["sending"]["attempts"].as_i64().unwrap_or_default();
        let rate = (calls - last_calls) as f64 / last.elapsed().as_secs_f64();
        bar.set_message(line(&campaign, rate));
        if calls != last_calls {
            still = Instant::now();
        }
        (last, last_calls) = (Instant::now(), calls);
        match campaign["state"].as_str() {
            Some("finished" | "failed" | "paused" | "cancelled") => {
                bar.finish();
                eprintln!();
                return Ok(campaign);
            }
            _ if still.elapsed() > Duration::from_secs(180) => {
                bail!("nothing moves any more; see .dev/logs/demo")
            }
            _ => std::thread::sleep(Duration::from_secs(1)),
        }
    }
}

fn line(campaign: &Value, rate: f64) -> String {
    let (rows, delivery) = (&campaign["rows"], &campaign["delivery"]);
    format!(
        "{rate:.0}/s  waiting {}  under way {}  retry {}  accepted {}  refused {}  in doubt {}  delivered {}  read {}",
        rows["waiting"],
        rows["claimed"],
        rows["retry"],
        rows["accepted"],
        rows["rejected"],
        rows["unconfirmed"],
        delivery["delivered"],
        delivery["read"],
    )
}

/// Waits until every status was reported and counted.
fn reported(stack: &Stack, client: &Client, id: &str) -> Result<(Value, Value)> {
    wait_for(
        "every callback is taken and counted",
        Duration::from_secs(120),
        || {
            let books = stack.simulator.books().ok()?;
            let campaign = client.campaign(id).ok()?;
            let number = |value: &Value| value.as_i64().unwrap_or_default();
            let taken = books["callbacks"]["pending"] == 0;
            let counted =
                number(&campaign["delivery"]["sent"]) == number(&books["sends"]["accepted"]);
            let ends = number(&campaign["delivery"]["delivered"])
                + number(&campaign["delivery"]["undelivered"]);
            (taken && counted && ends == number(&books["sends"]["accepted"]))
                .then_some((campaign, books))
        },
    )
}

#[expect(clippy::print_stdout, reason = "the one line a script reads")]
fn emit(figures: &Value) {
    println!("{figures}");
}
