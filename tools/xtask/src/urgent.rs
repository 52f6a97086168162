//! How soon a single message leaves: from the request to the API until its request to WhatsApp, in an idle system and beside a
//! campaign that uses the whole budget.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::broadcast::{Broadcast, wait_until_sending};
use crate::client::Client;
use crate::process::{now_ms, wait_for};
use crate::stack::{API_TOKEN, Stack, StackOptions};

const TPS: u32 = 40;

/// Single messages of each measurement.
const MESSAGES: u32 = 60;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(1_000);

/// After this time an idle system has no sender that runs.
const IDLE_PAUSE: Duration = Duration::from_secs(4);

/// The last message leaves within this time.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Measures with one send a second of each slot, and with ten.
pub(crate) fn run() -> Result<()> {
    for slots in [TPS, TPS / 10] {
        let stack = Stack::start(&StackOptions {
            slots,
            ..StackOptions::new("bench", TPS)
        })?;
        let client = Client::new(&stack.api, API_TOKEN);
        let idle = measure(&stack, &client, "idle", MESSAGES / 3, IDLE_PAUSE)?;
        report(slots, "idle", idle);

        let rows = TPS * 90;
        let bulk = Broadcast::sample(rows).upload(&client, "Bulk")?;
        // Until all slots run: 5 at once, then 300 a minute.
        wait_until_sending(&stack, TPS * 12)?;
        let busy = measure(&stack, &client, "busy", MESSAGES, PAUSE)?;
        let campaign = client.get_campaign(&bulk)?;
        ensure!(campaign["state"] == "sending", "the campaign was too short");
        report(slots, "beside a campaign", busy);
        let sends = &stack.simulator.stats()?["sends"];
        eprintln!(
            "  busiest second {} of {TPS}, repeats {}",
            sends["busiest_second"], sends["repeats"]
        );
    }
    Ok(())
}

/// Sends messages one after the other; gives how many milliseconds each took until its request left.
fn measure(
    stack: &Stack,
    client: &Client,
    name: &str,
    messages: u32,
    pause: Duration,
) -> Result<Vec<u64>> {
    let first = if name == "idle" { 0 } else { 1_000 };
    let mut posted = HashMap::new();
    for number in first..first + messages {
        sleep(pause);
        let to = format!("+34690{number:06}");
        let body = json!({"to": to, "message": message()});
        posted.insert(to, now_ms());
        client.send_message(&format!("bench-{name}-{number}"), &body)?;
    }
    wait_for("the last message to leave", TIMEOUT, || {
        let calls = left(stack, &posted).ok()?;
        (calls.len() == posted.len()).then_some(())
    })?;
    let left = left(stack, &posted)?;
    Ok(left
        .iter()
        .map(|(to, at)| at.saturating_sub(posted[to]))
        .collect())
}

/// When the requests of these messages reached the simulator, by recipient.
fn left(stack: &Stack, posted: &HashMap<String, u64>) -> Result<HashMap<String, u64>> {
    let calls = stack.simulator.calls()?;
    let first_at = stack.simulator.stats()?["sends"]["first_call_at"].as_u64();
    let first_us = calls.iter().filter_map(|call| call["at_us"].as_u64()).min();
    let started = first_at.zip(first_us).map(|(at, us)| at - us / 1000);
    let started = started.context("the simulator has no call")?;
    let of_message = |call: &Value| {
        let to = call["to"].as_str()?.to_owned();
        let at = started + call["at_us"].as_u64()? / 1000;
        posted.contains_key(&to).then_some((to, at))
    };
    Ok(calls.iter().filter_map(of_message).collect())
}

fn report(slots: u32, what: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize] as f64 / 1e3;
    eprintln!(
        "{slots} slots, {what}: request → WhatsApp, {} messages: median {:.2} s, p90 {:.2} s, p99 {:.2} s",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99)
    );
}

/// A template that the simulated account has.
fn message() -> Value {
    let text = |text: &str| json!({"type": "text", "text": text});
    json!({"type": "template", "template": {"name": "order_update", "language": {"code": "en"},
    "components": [
        {"type": "body", "parameters": [text("Ana"), text("12 EUR")]},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("Ana")]},
    ]}})
}
