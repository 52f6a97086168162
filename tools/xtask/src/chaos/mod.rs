//! Broadcasts in chaos, on the deployed stack: a sender is killed every second, another function every four seconds, every queue message arrives twice, the
//! API answers with 5xx, not at all, too late or only half, callbacks arrive shuffled, doubled and late, and an operator
//! pauses, resumes and cancels. Each row's outcome is compared with the simulator's call log.
//!
//! - [`trial`]: what is tried, and what a trial gives
//! - [`faults`]: what goes wrong
//! - [`steps`]: upload, start, settle
//! - [`evidence`]: what the API, the ledger and the call log say
//! - [`table`]: the trials side by side
//! - [`throttling`]: a broadcast of its own, while DynamoDB refuses writes

mod evidence;
mod faults;
mod steps;
mod table;
mod throttling;
mod trial;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use crate::client::Client;
use crate::process::{check_interrupted, now_ms};
use crate::progress::Step;
use crate::stack::{API_TOKEN, Stack, StackOptions};
use evidence::Evidence;
use steps::{settle, upload_recipients, wait_for_state};
pub(crate) use throttling::run_throttled;
use trial::{Interruption, ROWS, TPS, TRIALS, Trial, TrialOutcome};

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
    /// How often each of [`faults::OTHERS`] was killed.
    other_kills: [u32; 4],
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
            other_kills: [0; 4],
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
        faults::set_faults(self.stack, 0.0)?;
        settle(self.stack, &self.client, &self.evidence, &id)?;
        let outcome = TrialOutcome {
            campaign: self.client.get_campaign(&id)?,
            sends: self.stack.simulator.stats()?["sends"].clone(),
            kills: self.kills,
            other_kills: self.other_kills,
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
        let fields = json!({
            "name": trial.name, "on_unconfirmed": trial.on_unconfirmed, "unconfirmed_timeout_seconds": 60,
            "max_failure_ratio": 1.0,
        });
        let id = upload_recipients(&self.client, ROWS, fields)?;
        faults::connect_queue(self.stack, &self.mapping, false)?;
        self.client.control(&id, "start")?;
        wait_for_state(&self.client, &id, "sending")?;
        let doubled = faults::double_messages(self.stack)?;
        faults::connect_queue(self.stack, &self.mapping, true)?;
        Ok((id, doubled))
    }

    /// Kills a process of each other function every four seconds, where it has one.
    fn kill_another(&mut self) {
        let index = now_ms() as usize / 1000 % faults::OTHERS.len();
        let was_killed = faults::kill_other(self.stack, faults::OTHERS[index]);
        self.other_kills[index] += u32::from(was_killed);
    }

    /// Kills a sender every second until nearly every row was tried; gives the sends that came too late after a stop.
    fn send(&mut self, trial: &Trial, id: &str) -> Result<Option<usize>> {
        let mut late_sends = None;
        loop {
            check_interrupted()?;
            std::thread::sleep(Duration::from_millis(1000));
            self.kills += u32::from(faults::kill_sender(self.stack));
            self.kill_another();
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
}
