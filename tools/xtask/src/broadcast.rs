//! One broadcast through the API, watched to its end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::Client;
use crate::process::{check_interrupted, now_ms, wait_for};
use crate::report::{self, Outcome};
use crate::sample;
use crate::stack::{API_TOKEN, Stack};

/// A campaign without any progress for this long has failed.
const STALL_TIMEOUT: Duration = Duration::from_secs(180);

/// What is sent.
pub(crate) struct Broadcast {
    /// The file's name, with its extension.
    pub(crate) file_name: String,
    pub(crate) file: Vec<u8>,
    /// The Cloud API's message object, without `to`.
    pub(crate) message: Value,
}

impl Broadcast {
    /// The sample file and its message.
    pub(crate) fn sample(rows: u32) -> Self {
        Self {
            file_name: "sample.csv".to_owned(),
            file: sample::csv(rows).into_bytes(),
            message: sample::message(),
        }
    }

    /// Creates a campaign of this name and uploads its file; gives its id.
    pub(crate) fn upload(&self, client: &Client, name: &str) -> Result<String> {
        let campaign = json!({
            "name": name, "message": self.message, "allow_repeat": true,
            "file": {"name": self.file_name, "size": self.file.len()},
        });
        client.upload_campaign(&campaign, &self.file)
    }
}

/// Waits until so many messages were sent.
pub(crate) fn wait_until_sending(stack: &Stack, calls: u32) -> Result<()> {
    wait_for("sending is under way", Duration::from_secs(120), || {
        let sent = stack.simulator.stats().ok()?["sends"]["calls"].as_u64()?;
        (sent > u64::from(calls)).then_some(())
    })
}

/// Sends the sample file, and fails where a promise of Crier did not hold.
pub(crate) fn send_sample(stack: &Stack, rows: u32) -> Result<()> {
    let outcome = send(stack, &Broadcast::sample(rows), Instant::now())?;
    report::check_promises(&report::figures(&outcome))
}

/// Creates the campaign, uploads its file, and waits until each message has its last status. `started` is when the
/// whole run began, for the time until the first message.
pub(crate) fn send(stack: &Stack, broadcast: &Broadcast, started: Instant) -> Result<Outcome> {
    let client = Client::new(&stack.api, API_TOKEN);
    let id = broadcast.upload(&client, "Demonstration")?;
    let uploaded_at = now_ms();
    eprintln!(
        "  ✓ uploaded {} bytes to campaign {id}",
        broadcast.file.len()
    );
    let campaign = watch(&client, &id, started)?;
    ensure!(
        campaign["state"] == "finished",
        "the campaign is {}: {}",
        campaign["state"],
        campaign["reason"]
    );
    let (campaign, stats) = wait_for_statuses(stack, &client, &id)?;
    Ok(Outcome {
        id,
        campaign,
        stats,
        uploaded_at,
    })
}

/// Shows the campaign's progress until it ends.
fn watch(client: &Client, id: &str, started: Instant) -> Result<Value> {
    let bar = ProgressBar::new(0);
    let style = "  {bar:36.green/white} {pos}/{len} settled  {msg}";
    bar.set_style(ProgressStyle::with_template(style)?.progress_chars("█▌░"));
    let (mut last, mut last_attempts, mut last_change) = (Instant::now(), 0, Instant::now());
    loop {
        check_interrupted()?;
        let campaign = client.get_campaign(id)?;
        let rows = &campaign["rows"];
        let count = |name: &str| rows[name].as_i64().unwrap_or_default();
        let settled =
            count("accepted") + count("rejected") + count("unconfirmed") + count("skipped");
        bar.set_length(count("enqueued").max(1) as u64);
        bar.set_position(settled as u64);
        let attempts = campaign["sending"]["attempts"].as_i64().unwrap_or_default();
        let rate = (attempts - last_attempts) as f64 / last.elapsed().as_secs_f64();
        bar.set_message(describe(&campaign, rate));
        if attempts != last_attempts {
            if last_attempts == 0 {
                let seconds = started.elapsed().as_secs();
                bar.suspend(|| eprintln!("  ✓ first message {seconds} s after the start"));
            }
            last_change = Instant::now();
        }
        (last, last_attempts) = (Instant::now(), attempts);
        match campaign["state"].as_str() {
            Some("finished" | "failed" | "paused" | "cancelled") => {
                bar.finish();
                eprintln!();
                return Ok(campaign);
            }
            _ if last_change.elapsed() > STALL_TIMEOUT => {
                bail!("nothing was sent for three minutes; see .dev/logs/demo")
            }
            _ => std::thread::sleep(Duration::from_secs(1)),
        }
    }
}

fn describe(campaign: &Value, rate: f64) -> String {
    let (rows, delivery) = (&campaign["rows"], &campaign["delivery"]);
    format!(
        "{rate:.0}/s  waiting {}  in flight {}  retry {}  accepted {}  refused {}  unconfirmed {}  delivered {}  read {}",
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

/// Waits until every status has arrived and is counted; gives the campaign and the simulator's statistics.
fn wait_for_statuses(stack: &Stack, client: &Client, id: &str) -> Result<(Value, Value)> {
    wait_for(
        "every callback arrives and is counted",
        Duration::from_secs(120),
        || {
            let stats = stack.simulator.stats().ok()?;
            let campaign = client.get_campaign(id).ok()?;
            let number = |value: &Value| value.as_i64().unwrap_or_default();
            let arrived = stats["callbacks"]["pending"] == 0;
            let counted =
                number(&campaign["delivery"]["sent"]) == number(&stats["sends"]["accepted"]);
            let ends = number(&campaign["delivery"]["delivered"])
                + number(&campaign["delivery"]["undelivered"]);
            (arrived && counted && ends == number(&stats["sends"]["accepted"]))
                .then_some((campaign, stats))
        },
    )
}
