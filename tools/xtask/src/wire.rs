//! The ceiling on the wire: broadcasts over TLS whose handshakes take time and whose connections die, judged by when the
//! first byte of each request arrived at the simulator.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::broadcast::{self, Broadcast};
use crate::client::Client;
use crate::process::now_ms;
use crate::progress::Step;
use crate::stack::{API_TOKEN, Stack, StackOptions};

/// The budget of every run.
const TPS: u32 = 80;

/// A minute of sends.
const ROWS: u32 = 60 * TPS;

/// Concurrent senders: one send per second of each, or ten.
const SLOTS: [u32; 2] = [80, 8];

/// Milliseconds from the first byte of a connection until the handshake begins.
const HANDSHAKES_MS: [u32; 3] = [20, 100, 400];

/// Fill is measured from so long after the first call, when every sender runs.
const RAMP: Duration = Duration::from_secs(10);

/// The end of a run is not measured: there are fewer rows than slots, and retries.
const MEASURED_SHARE: f64 = 0.95;

/// After a pause is answered, no request may leave later than this.
const PAUSE_LIMIT_MS: u64 = 2_000;

/// Runs every combination and fails where a second holds more calls than the budget.
pub(crate) fn run() -> Result<()> {
    let mut table = String::from(
        "\n| senders | handshake | calls | busiest second | fill after the ramp | whole file | last call after a pause |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut broken = Vec::new();
    for slots in SLOTS {
        let stack = Stack::start(&StackOptions {
            slots,
            tls: true,
            ..StackOptions::new("wire", TPS)
        })?;
        for handshake in HANDSHAKES_MS {
            let wire = measure(&stack, handshake)
                .with_context(|| format!("{slots} senders, handshakes of {handshake} ms"))?;
            table += &format!(
                "| {slots} × {} | {handshake} ms | {} | {} of {TPS} | {:.1} % | {:.1} % | {} ms |\n",
                TPS / slots,
                wire.calls,
                wire.busiest_second,
                wire.fill * 100.0,
                wire.whole_file * 100.0,
                wire.last_call_after_pause_ms,
            );
            broken.extend(wire.broken(slots, handshake));
        }
    }
    eprintln!("{table}");
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// What a run showed.
struct Measurement {
    calls: usize,
    busiest_second: u64,
    repeats: u64,
    fill: f64,
    whole_file: f64,
    last_call_after_pause_ms: i64,
}

impl Measurement {
    fn broken(&self, slots: u32, handshake: u32) -> Vec<String> {
        let mut broken = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                broken.push(format!("{slots} senders, {handshake} ms: {what}"));
            }
        };
        let busiest = self.busiest_second;
        check(
            busiest <= u64::from(TPS),
            format!("{busiest} calls in a second"),
        );
        check(self.repeats == 0, format!("{} repeats", self.repeats));
        let pause = self.last_call_after_pause_ms;
        check(
            pause <= PAUSE_LIMIT_MS as i64,
            format!("a call {pause} ms after the answer to a pause"),
        );
        broken
    }
}

fn measure(stack: &Stack, handshake_ms: u32) -> Result<Measurement> {
    stack.simulator.change_settings(&json!({
        "handshake_ms": handshake_ms, "slow_share": 0.03, "reset_share": 0.01, "requests_per_connection": 50,
    }))?;
    stack.simulator.clear_call_log()?;
    let broadcast = Broadcast::sample(ROWS);
    broadcast::send(stack, &broadcast, Instant::now())?;
    let sends = stack.simulator.stats()?["sends"].clone();
    let times = call_times(stack)?;
    let (fill, whole_file) = measure_fill(&times);
    Ok(Measurement {
        calls: times.len(),
        busiest_second: sends["busiest_second"].as_u64().unwrap_or(u64::MAX),
        repeats: sends["repeats"].as_u64().unwrap_or(u64::MAX),
        fill,
        whole_file,
        last_call_after_pause_ms: measure_pause(stack)?,
    })
}

/// When each request arrived, in order, since the simulator's start.
pub(crate) fn call_times(stack: &Stack) -> Result<Vec<Duration>> {
    let calls = stack.simulator.calls()?;
    let at = |call: &Value| Duration::from_micros(call["at_us"].as_u64().unwrap_or_default());
    let mut times: Vec<_> = calls.iter().map(at).collect();
    times.sort_unstable();
    Ok(times)
}

/// The used share of the budget: after the ramp, and over the whole file.
fn measure_fill(times: &[Duration]) -> (f64, f64) {
    let share = |times: &[Duration]| match times {
        [first, .., last] => {
            let seconds = (*last - *first).as_secs_f64();
            (times.len() - 1) as f64 / seconds / f64::from(TPS)
        }
        _ => 0.0,
    };
    let ramp_ends = times.first().map_or(RAMP, |first| *first + RAMP);
    let start = times.partition_point(|at| *at < ramp_ends);
    let end = ((times.len() as f64 * MEASURED_SHARE) as usize).max(start);
    (share(&times[start..end]), share(times))
}

/// Pauses a broadcast, and gives the time from the answer to the last request that arrived; below 0 if it arrived before.
fn measure_pause(stack: &Stack) -> Result<i64> {
    let step = Step::begin("pause while sending");
    stack.simulator.clear_call_log()?;
    let client = Client::new(&stack.api, API_TOKEN);
    let id = Broadcast::sample(ROWS).upload(&client, "Pause")?;
    broadcast::wait_until_sending(stack, 10 * TPS)?;
    client.control(&id, "pause")?;
    let answered_at = now_ms();
    // Whatever is still to come would come within this time.
    std::thread::sleep(Duration::from_secs(8));
    let last = stack.simulator.stats()?["sends"]["last_call_at"].as_i64();
    client.control(&id, "cancel")?;
    step.finish();
    let last = last.context("the simulator has no last call")?;
    Ok(last - answered_at as i64)
}
