//! Broadcasts in chaos, on the deployed whole: a sender is killed every second, every queue message arrives twice, the
//! API answers with 5xx, not at all, too late or only half, callbacks arrive shuffled, doubled and late, and an operator
//! pauses, resumes and cancels. Each row's outcome is compared with the simulator's call log.
//!
//! - [`trial`]: what is tried, and what a trial gives
//! - [`faults`]: what goes wrong
//! - [`evidence`]: what the API, the ledger and the call log say
//! - [`table`]: the trials side by side

mod evidence;
mod faults;
mod table;
mod trial;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use crate::client::Client;
use crate::process::{check_interrupted, now_ms, wait_for};
use crate::progress::Step;
use crate::stack::{API_TOKEN, Stack, StackOptions};
use evidence::Evidence;
use trial::{Interruption, ROWS, STATES, TPS, TRIALS, Trial, TrialOutcome};

/// How long a trial may take to settle.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Runs the trials and prints their table.
pub(crate) fn run() -> Result<()> {
    let stack = Stack::start(&StackOptions::new("chaos", TPS))?;
    let mut table = Vec::new();
    for trial in &TRIALS {
        table.push((trial, TrialRun::new(&stack)?.run(trial)?));
    }
    drop(stack);
    table::print(&table);
    Ok(())
}

/// One trial under way.
struct TrialRun<'s> {
    stack: &'s Stack,
    client: Client,
    evidence: Evidence<'s>,
    /// The id of the event source mapping that brings batches to the sender.
    mapping: String,
    kills: u32,
}

impl<'s> TrialRun<'s> {
    fn new(stack: &'s Stack) -> Result<Self> {
        let of_sender = json!({"FunctionName": stack.output("SenderFunction")?});
        let mappings =
            stack
                .emulator
                .call_aws("lambda", "list_event_source_mappings", &of_sender)?;
        let mapping = mappings["EventSourceMappings"][0]["UUID"].as_str();
        Ok(Self {
            stack,
            client: Client::new(&stack.api, API_TOKEN),
            evidence: Evidence::new(stack),
            mapping: mapping.context("the sender has a mapping")?.to_owned(),
            kills: 0,
        })
    }

    fn run(mut self, trial: &Trial) -> Result<TrialOutcome> {
        let what = format!("{ROWS} rows at {TPS} TPS in chaos: {}", trial.name);
        let step = Step::begin(&what);
        let began = Instant::now();
        self.stack.simulator.clear_call_log()?;
        faults::set_faults(self.stack, 0.1)?;
        let (id, doubled) = self.start_campaign(trial)?;
        let sends_after_stop = self.send(trial, &id)?;
        self.settle(&id)?;
        let outcome = TrialOutcome {
            campaign: self.client.get_campaign(&id)?,
            sends: self.stack.simulator.stats()?["sends"].clone(),
            kills: self.kills,
            doubled,
            sends_after_stop,
            listed_unconfirmed: self.evidence.list_unconfirmed(&id)?.len(),
            seconds: began.elapsed().as_secs(),
        };
        self.evidence.check(trial, &id, &outcome)?;
        step.finish();
        Ok(outcome)
    }

    /// Uploads, and starts to send once every message is in the queue twice; gives the campaign and how many were doubled.
    fn start_campaign(&self, trial: &Trial) -> Result<(String, u64)> {
        let mut file = String::from("phone,name\n");
        (1..=ROWS).for_each(|row| file.push_str(&format!("+34610{row:06},Ana\n")));
        let campaign = json!({
            "name": trial.name, "message": {"type": "text", "text": {"body": "Hello {{name}}"}}, "outside_service_window": "send", "manual_start": true,
            "file": {"name": "recipients.csv", "size": file.len()}, "on_unconfirmed": trial.on_unconfirmed, "unconfirmed_timeout_seconds": 60,
            "max_failure_ratio": 1.0,
        });
        let created = self.client.create_campaign(&campaign)?;
        let id = created["id"].as_str().unwrap_or_default().to_owned();
        self.client
            .upload_file(&created["upload"], file.as_bytes())?;
        self.wait_for_state(&id, "ready")?;
        faults::connect_queue(self.stack, &self.mapping, false)?;
        self.client.control(&id, "start")?;
        self.wait_for_state(&id, "sending")?;
        let doubled = faults::double_messages(self.stack)?;
        faults::connect_queue(self.stack, &self.mapping, true)?;
        Ok((id, doubled))
    }

    /// Kills a sender every second until nearly every row was tried; gives the sends that came too late after a stop.
    fn send(&mut self, trial: &Trial, id: &str) -> Result<Option<usize>> {
        let mut late_sends = None;
        loop {
            check_interrupted()?;
            std::thread::sleep(Duration::from_millis(1000));
            self.kills += u32::from(faults::kill_sender(self.stack));
            let campaign = self.client.get_campaign(id)?;
            let attempts = campaign["sending"]["attempts"].as_i64().unwrap_or_default();
            match trial.interruption {
                Interruption::PauseAndResume
                    if late_sends.is_none() && attempts > i64::from(ROWS / 3) =>
                {
                    self.client.control(id, "pause")?;
                    let answered = now_ms();
                    std::thread::sleep(Duration::from_secs(8));
                    late_sends = Some(self.evidence.sends_after(answered)?);
                    self.client.control(id, "resume")?;
                }
                Interruption::Cancel if attempts > i64::from(ROWS / 3) => {
                    self.client.control(id, "cancel")?;
                    let answered = now_ms();
                    std::thread::sleep(Duration::from_secs(8));
                    return Ok(Some(self.evidence.sends_after(answered)?));
                }
                // The batches of killed senders return after minutes.
                _ if attempts > i64::from(ROWS - ROWS / 20) => return Ok(late_sends),
                _ => {}
            }
        }
    }

    /// Ends the faults and runs the reconciler until nothing is left to do and the counters show it.
    fn settle(&self, id: &str) -> Result<()> {
        faults::set_faults(self.stack, 0.0)?;
        let reconciler = json!({"FunctionName": self.stack.output("ReconcilerFunction")?});
        wait_for("every row settles", TIMEOUT, || {
            let _ = self
                .stack
                .emulator
                .call_aws("lambda", "invoke", &reconciler);
            std::thread::sleep(Duration::from_secs(5));
            let campaign = self.client.get_campaign(id).ok()?;
            let rows = &campaign["rows"];
            let open: i64 = ["waiting", "claimed", "retry", "held"]
                .iter()
                .filter_map(|state| rows[state].as_i64())
                .sum();
            let over = campaign["state"] == "finished" || campaign["state"] == "cancelled";
            (over && open == 0).then_some(())
        })?;
        wait_for("every callback arrives", TIMEOUT, || {
            let stats = self.stack.simulator.stats().ok()?;
            (stats["callbacks"]["pending"] == 0).then_some(())
        })?;
        wait_for(
            "the counters equal the ledger",
            Duration::from_secs(60),
            || {
                let counted = self.client.get_campaign(id).ok()?["rows"].clone();
                let recounted = self.evidence.recount(id).ok()?;
                let same = STATES.iter().all(|state| {
                    counted[state].as_u64() == Some(*recounted.get(*state).unwrap_or(&0))
                });
                same.then_some(())
            },
        )
    }

    fn wait_for_state(&self, id: &str, state: &str) -> Result<()> {
        wait_for(&format!("the campaign is {state}"), TIMEOUT, || {
            (self.client.get_campaign(id).ok()?["state"] == state).then_some(())
        })
    }
}
