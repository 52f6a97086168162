//! Another budget, or the same with other slots, deployed while a stack sends; judged by when each request arrived at the
//! simulator.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::broadcast::{Broadcast, wait_until_sending};
use crate::client::Client;
use crate::process::wait_for;
use crate::progress::Step;
use crate::simulator::PHONE_NUMBER_ID;
use crate::stack::{API_TOKEN, Stack, StackOptions};
use crate::wire;

/// Enough to send from before the deployment until after it.
const ROWS: u32 = 12_000;

/// A budget in messages per second, and the slots that share it.
type Budget = (u32, u32);

const CHANGES: [(Budget, Budget); 2] = [((80, 80), (20, 20)), ((80, 8), (80, 80))];

/// How long the new senders are watched.
const WATCHED: Duration = Duration::from_secs(40);

/// So long after the new rate was published no second may have more calls than the new budget.
const SETTLED_AFTER_MS: u64 = 2_000;

/// Deploys each change while sending, and fails where a second holds more calls than it may.
pub(crate) fn run() -> Result<()> {
    let mut table = String::from(
        "\n| change | busiest second before and during | busiest second from 2 s after | calls from 2 s after |\n|---|---|---|---|\n",
    );
    let mut broken = Vec::new();
    for (old, new) in CHANGES {
        let what = format!("{} → {}", describe(old), describe(new));
        let change = measure(old, new).with_context(|| what.clone())?;
        let (during, after) = (change.busiest(0), change.busiest(change.closed_at));
        let calls_after = change.calls_since(change.closed_at);
        table += &format!(
            "| {what} | {during} of {} | {after} of {} | {calls_after} |\n",
            old.0.max(new.0),
            new.0
        );
        if during > old.0.max(new.0) as usize || after > new.0 as usize || calls_after == 0 {
            broken.push(format!("{what}: {during}, then {after} in a second"));
        }
    }
    eprintln!("{table}");
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

fn describe((tps, slots): Budget) -> String {
    format!("{slots} × {}", tps / slots)
}

/// When calls arrived, and from when only the new budget may be used; in milliseconds since the Unix epoch.
struct Change {
    calls_ms: Vec<u64>,
    closed_at: u64,
}

impl Change {
    fn since(&self, start: u64) -> &[u64] {
        &self.calls_ms[self.calls_ms.partition_point(|at| *at < start)..]
    }

    fn calls_since(&self, start: u64) -> usize {
        self.since(start).len()
    }

    /// The most calls in a half-open second.
    fn busiest(&self, start: u64) -> usize {
        let calls = self.since(start);
        let in_second = |(index, first): (usize, &u64)| {
            calls[index..].partition_point(|at| *at < first + 1_000)
        };
        calls.iter().enumerate().map(in_second).max().unwrap_or(0)
    }
}

fn measure(old: Budget, new: Budget) -> Result<Change> {
    let options = |(tps, slots)| StackOptions {
        slots,
        tls: true,
        ..StackOptions::new("budget-change", tps)
    };
    let stack = Stack::start(&options(old))?;
    stack
        .simulator
        .change_settings(&json!({"throughput": 1_000}))?;
    let client = Client::new(&stack.api, API_TOKEN);
    let id = Broadcast::sample(ROWS).upload(&client, "Budget")?;
    wait_until_sending(&stack, 10 * old.0)?;
    let first_record = published_at(&stack)?;
    stack.redeploy(&options(new))?;
    let published = wait_for("the new rate is published", Duration::from_secs(60), || {
        published_at(&stack)
            .ok()
            .filter(|record| *record != first_record)
    })?;
    let step = Step::begin("send with the new budget");
    std::thread::sleep(WATCHED);
    client.control(&id, "cancel")?;
    step.finish();
    Ok(Change {
        calls_ms: call_times(&stack)?,
        closed_at: published + SETTLED_AFTER_MS,
    })
}

/// When the rate that senders keep was last changed.
fn published_at(stack: &Stack) -> Result<u64> {
    let key = json!({"id": {"S": "number"}, "part": {"S": PHONE_NUMBER_ID}});
    let get = json!({"TableName": stack.output("CampaignsTable")?, "Key": key});
    let item = stack.emulator.call_aws("dynamodb", "get_item", &get)?;
    let changed_at = item["Item"]["changed_at"]["N"].as_str();
    Ok(changed_at.context("no rate is published")?.parse()?)
}

/// When calls arrived, in order, in milliseconds since the Unix epoch.
fn call_times(stack: &Stack) -> Result<Vec<u64>> {
    let times = wire::call_times(stack)?;
    let first = *times.first().context("no calls")?;
    let first_at = stack.simulator.stats()?["sends"]["first_call_at"].as_u64();
    let first_at = first_at.context("no first call")?;
    let to_epoch_ms = |at: Duration| first_at + (at - first).as_millis() as u64;
    Ok(times.into_iter().map(to_epoch_ms).collect())
}
