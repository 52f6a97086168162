//! A broadcast during which DynamoDB refuses 30 % of all writes for a minute. What the API accepted is recorded as accepted,
//! and nothing is sent twice. No callbacks: they would settle rows whose outcome was lost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::evidence::Evidence;
use super::steps::{settle, upload_recipients, wait_for_state};
use crate::client::Client;
use crate::emulator::WriteThrottle;
use crate::paths::dev;
use crate::process::{check_interrupted, wait_for};
use crate::progress::Step;
use crate::stack::{API_TOKEN, Stack, StackOptions};

const NAME: &str = "throttling";
const ROWS: u32 = 4_000;
const TPS: u32 = 40;

/// Sends before and after the minute, at least.
const SENDS_AROUND: i64 = 400;

/// The share of writes that are refused.
const REFUSED_SHARE: f64 = 0.3;
const THROTTLED_FOR: Duration = Duration::from_secs(60);

/// What happened during the minute.
struct Minute {
    refused_writes: u64,
    attempts: i64,
}

/// Runs the broadcast, prints its figures, and fails where a promise did not hold.
pub(crate) fn run_throttled() -> Result<()> {
    let stack = Stack::start(&StackOptions::new(NAME, TPS))?;
    stack
        .simulator
        .change_settings(&json!({"webhook_url": ""}))?;
    let client = Client::new(&stack.api, API_TOKEN);
    let evidence = Evidence::new(&stack);
    let what = format!("{ROWS} rows at {TPS} TPS, 30 % of writes refused for a minute");
    let step = Step::begin(&what);
    let id = upload_recipients(
        &client,
        ROWS,
        json!({"name": "Throttled", "max_failure_ratio": 1.0}),
    )?;
    client.control(&id, "start")?;
    wait_for_state(&client, &id, "sending")?;
    let minute = throttle(&client, &id)?;
    settle(&stack, &client, &evidence, &id)?;
    step.finish();
    let rows = client.get_campaign(&id)?["rows"].clone();
    let sends = stack.simulator.stats()?["sends"].clone();
    print(&minute, &rows, &sends);
    check(&minute, &rows, &sends)?;
    evidence.compare(&id, ROWS)
}

/// Refuses writes for a minute in the middle of the broadcast.
fn throttle(client: &Client, id: &str) -> Result<Minute> {
    let attempts = || -> Result<i64> {
        let campaign = client.get_campaign(id)?;
        Ok(campaign["sending"]["attempts"].as_i64().unwrap_or_default())
    };
    wait_for("the first rows are sent", Duration::from_secs(120), || {
        attempts()
            .is_ok_and(|attempts| attempts >= SENDS_AROUND)
            .then_some(())
    })?;
    let before = attempts()?;
    let began = Instant::now();
    let throttle = WriteThrottle::start(&dev().join("logs").join(NAME), REFUSED_SHARE)?;
    while began.elapsed() < THROTTLED_FOR {
        check_interrupted()?;
        std::thread::sleep(Duration::from_millis(200));
    }
    let refused_writes = throttle.refused_writes();
    drop(throttle);
    Ok(Minute {
        refused_writes,
        attempts: attempts()? - before,
    })
}

fn print(minute: &Minute, rows: &Value, sends: &Value) {
    eprintln!(
        "\n  Throttled tables: {ROWS} rows at {TPS} TPS, a minute with 30 % of writes refused\n"
    );
    let line = |name: &str, figure: &str| eprintln!("  {name:<34}{figure:>10}");
    line("writes refused", &minute.refused_writes.to_string());
    line("attempts in that minute", &minute.attempts.to_string());
    for name in [
        "calls",
        "accepted",
        "repeats",
        "rows_accepted_twice",
        "busiest_second",
    ] {
        line(
            &format!("call log: {}", name.replace('_', " ")),
            &sends[name].to_string(),
        );
    }
    for state in [
        "accepted",
        "unconfirmed",
        "claimed",
        "held",
        "retry",
        "waiting",
        "balanced",
    ] {
        line(&format!("campaign: {state}"), &rows[state].to_string());
    }
}

fn check(minute: &Minute, rows: &Value, sends: &Value) -> Result<()> {
    ensure!(
        minute.refused_writes > 500 && minute.attempts > 500,
        "the minute was not in the middle of the broadcast"
    );
    let remaining = i64::from(ROWS) - minute.attempts;
    ensure!(
        remaining > SENDS_AROUND,
        "nothing was sent after the minute"
    );
    ensure!(
        rows["accepted"] == ROWS,
        "not every row is accepted: {rows}"
    );
    ensure!(rows["unconfirmed"] == 0, "outcomes were lost: {rows}");
    ensure!(rows["balanced"] == true, "the sums do not hold: {rows}");
    ensure!(
        sends["repeats"] == 0 && sends["rows_accepted_twice"] == 0 && sends["calls"] == ROWS,
        "a row was not sent exactly once: {sends}"
    );
    ensure!(
        sends["busiest_second"].as_u64() <= Some(u64::from(TPS)),
        "too fast: {sends}"
    );
    Ok(())
}
