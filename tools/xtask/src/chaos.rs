//! Broadcasts in chaos, on the deployed whole: a sender is killed every second, every queue message arrives twice, the
//! API answers with 5xx, not at all, too late or only half, callbacks arrive shuffled, doubled and late, and an operator
//! pauses, resumes and cancels. Each row's outcome is compared with the simulator's call log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::client::Client;
use crate::emulator::run_python;
use crate::process::{check_interrupted, now_ms, wait_for};
use crate::progress::Step;
use crate::stack::{API_TOKEN, ForwardTo, Programs, Stack};

const ROWS: u32 = 5_000;
const TPS: u32 = 60;

/// How long a trial may take to settle.
const TIMEOUT: Duration = Duration::from_secs(900);

/// What the operator does in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    PauseAndResume,
    Cancel,
    None,
}

/// A broadcast in chaos.
struct Trial {
    name: &'static str,
    on_unconfirmed: &'static str,
    interruption: Interruption,
}

const TRIALS: [Trial; 3] = [
    Trial {
        name: "unconfirmed left, paused, resumed",
        on_unconfirmed: "leave",
        interruption: Interruption::PauseAndResume,
    },
    Trial {
        name: "unconfirmed sent again",
        on_unconfirmed: "resend",
        interruption: Interruption::None,
    },
    Trial {
        name: "cancelled in the middle",
        on_unconfirmed: "leave",
        interruption: Interruption::Cancel,
    },
];

/// Runs the trials and prints their table.
pub(crate) fn run() -> Result<()> {
    let stack = Stack::start("chaos", TPS, ForwardTo::Nowhere, Programs::Development)?;
    let mut table = Vec::new();
    for trial in &TRIALS {
        table.push((trial, TrialRun::new(&stack)?.run(trial)?));
    }
    drop(stack);
    print(&table);
    Ok(())
}

/// One trial under way.
struct TrialRun<'s> {
    stack: &'s Stack,
    client: Client,
    mapping: String,
    kills: u32,
}

/// The outcome of a trial.
struct TrialOutcome {
    campaign: Value,
    sends: Value,
    kills: u32,
    doubled: u64,
    sends_after_stop: Option<usize>,
    listed_unconfirmed: usize,
    seconds: u64,
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
            mapping: mapping.context("the sender has a mapping")?.to_owned(),
            kills: 0,
        })
    }

    fn run(mut self, trial: &Trial) -> Result<TrialOutcome> {
        let what = format!("{ROWS} rows at {TPS} TPS in chaos: {}", trial.name);
        let step = Step::begin(&what);
        let began = Instant::now();
        self.stack.simulator.clear_call_log()?;
        self.set_faults(0.1)?;
        let (id, doubled) = self.start_campaign(trial)?;
        let sends_after_stop = self.send(trial, &id)?;
        self.settle(&id)?;
        let shown = TrialOutcome {
            campaign: self.client.get_campaign(&id)?,
            sends: self.stack.simulator.stats()?["sends"].clone(),
            kills: self.kills,
            doubled,
            sends_after_stop,
            listed_unconfirmed: self.list_unconfirmed(&id)?.len(),
            seconds: began.elapsed().as_secs(),
        };
        self.check(trial, &id, &shown)?;
        step.finish();
        Ok(shown)
    }

    /// Sets how often the API fails, and how its callbacks arrive.
    fn set_faults(&self, fault_share: f64) -> Result<()> {
        self.stack.simulator.change_settings(&json!({
            "fault_share": fault_share, "duplicate_share": 0.2, "shuffle": true, "status_delay_ms": 2000.0,
            "read_share": 0.3, "batch_size": 200, "batch_window_ms": 1000,
        }))
    }

    /// Uploads, and starts to send once every message is in the queue twice; gives the campaign and how many were doubled.
    fn start_campaign(&self, trial: &Trial) -> Result<(String, u64)> {
        let mut file = String::from("phone,name\n");
        (1..=ROWS).for_each(|row| file.push_str(&format!("+34610{row:06},Ana\n")));
        let campaign = json!({
            "name": trial.name, "message": {"type": "text", "text": {"body": "Hello {{name}}"}}, "outside_service_window": "send", "manual_start": true,
            "file": {"name": "people.csv", "size": file.len()}, "on_unconfirmed": trial.on_unconfirmed, "unconfirmed_timeout_seconds": 60,
            "max_failure_ratio": 1.0,
        });
        let created = self.client.create_campaign(&campaign)?;
        let id = created["id"].as_str().unwrap_or_default().to_owned();
        self.client
            .upload_file(&created["upload"], file.as_bytes())?;
        self.wait_until(&id, |campaign| campaign["state"] == "ready")?;
        self.connect_queue(false)?;
        self.client.control(&id, "start")?;
        self.wait_until(&id, |campaign| campaign["state"] == "sending")?;
        let doubled = run_python(
            &self.stack.emulator.url,
            DOUBLE_MESSAGES,
            &[self.stack.output("Queue")?],
        )?;
        self.connect_queue(true)?;
        let doubled = doubled.trim().parse().context("how many were doubled")?;
        Ok((id, doubled))
    }

    /// Kills a sender every second until nearly every row was tried; gives the sends that came too late after a stop.
    fn send(&mut self, trial: &Trial, id: &str) -> Result<Option<usize>> {
        let mut late = None;
        loop {
            check_interrupted()?;
            std::thread::sleep(Duration::from_millis(1000));
            self.kill_one();
            let campaign = self.client.get_campaign(id)?;
            let calls = campaign["sending"]["attempts"].as_i64().unwrap_or_default();
            match trial.interruption {
                Interruption::PauseAndResume if late.is_none() && calls > i64::from(ROWS / 3) => {
                    self.client.control(id, "pause")?;
                    let answered = now_ms();
                    std::thread::sleep(Duration::from_secs(8));
                    late = Some(self.sends_after(answered)?);
                    self.client.control(id, "resume")?;
                }
                Interruption::Cancel if calls > i64::from(ROWS / 3) => {
                    self.client.control(id, "cancel")?;
                    let answered = now_ms();
                    std::thread::sleep(Duration::from_secs(8));
                    return Ok(Some(self.sends_after(answered)?));
                }
                // The batches of the killed come back after minutes.
                _ if calls > i64::from(ROWS - ROWS / 20) => return Ok(late),
                _ => {}
            }
        }
    }

    /// Ends the faults and runs the reconciler until nothing is left to do and the counters show it.
    fn settle(&self, id: &str) -> Result<()> {
        self.set_faults(0.0)?;
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
                let recounted = self.recount(id).ok()?;
                let same = STATES.iter().all(|state| {
                    counted[state].as_u64() == Some(*recounted.get(*state).unwrap_or(&0))
                });
                same.then_some(())
            },
        )
    }

    fn check(&self, trial: &Trial, id: &str, shown: &TrialOutcome) -> Result<()> {
        let (rows, sends) = (&shown.campaign["rows"], &shown.sends);
        let count = |state: &str| rows[state].as_u64().unwrap_or_default();
        ensure!(rows["balanced"] == true, "the sums do not hold: {rows}");
        ensure!(
            sends["busiest_second"].as_u64() <= Some(u64::from(TPS)),
            "too fast: {sends}"
        );
        ensure!(
            shown.listed_unconfirmed as u64 == count("unconfirmed"),
            "not every unconfirmed row is listed"
        );
        ensure!(
            shown.sends_after_stop.unwrap_or(0) == 0,
            "sends after a stop"
        );
        match trial.on_unconfirmed {
            "leave" => ensure!(
                sends["repeats"] == 0 && sends["rows_accepted_twice"] == 0,
                "a recipient was messaged twice: {sends}"
            ),
            _ => ensure!(
                count("accepted") == u64::from(ROWS),
                "not every recipient was reached: {rows}"
            ),
        }
        self.compare(id)
    }

    /// Compares row by row: what the call log shows as accepted is accepted or unconfirmed in the ledger, and nothing else
    /// is accepted.
    fn compare(&self, id: &str) -> Result<()> {
        let states = self.row_states(id)?;
        let calls = self.stack.simulator.calls()?;
        let accepted: BTreeSet<u64> = calls
            .iter()
            .filter(|call| call["accepted"] == true)
            .filter_map(|call| call["row"].as_str()?.rsplit(':').next()?.parse().ok())
            .collect();
        ensure!(
            states.len() == ROWS as usize,
            "{} rows in the ledger",
            states.len()
        );
        for (row, state) in &states {
            let sent = accepted.contains(row);
            let right = match state.as_str() {
                "accepted" => sent,
                "unconfirmed" => true,
                _ => !sent,
            };
            ensure!(
                right,
                "row {row} is {state}, and by the call log sent: {sent}"
            );
        }
        Ok(())
    }

    fn recount(&self, id: &str) -> Result<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for state in self.row_states(id)?.into_values() {
            *counts.entry(state).or_default() += 1;
        }
        Ok(counts)
    }

    /// Every row's state, from the table itself.
    fn row_states(&self, id: &str) -> Result<BTreeMap<u64, String>> {
        let all = json!({"TableName": self.stack.output("MessagesTable")?});
        let items = self.stack.emulator.call_aws("dynamodb", "scan", &all)?;
        let text =
            |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
        let rows = items["Items"].as_array().into_iter().flatten();
        let of_campaign = rows.filter(|item| text(item, "partition_key").starts_with(id));
        of_campaign
            .map(|item| Ok((text(item, "row").parse()?, text(item, "state"))))
            .collect()
    }

    /// Every unconfirmed row, page after page, as an operator sees it.
    fn list_unconfirmed(&self, id: &str) -> Result<Vec<Value>> {
        let (mut unconfirmed, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/v1/campaigns/{id}/rows?state=unconfirmed&after={after}");
            let page = self.client.get(&path)?;
            unconfirmed.extend(page["rows"].as_array().cloned().unwrap_or_default());
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => return Ok(unconfirmed),
            }
        }
    }

    /// Sends that arrived more than two seconds after this time of day.
    fn sends_after(&self, answered: u64) -> Result<usize> {
        let calls = self.stack.simulator.calls()?;
        let at = |call: &Value| call["at_us"].as_u64().unwrap_or_default() / 1000;
        let first = calls.iter().map(at).min().unwrap_or_default();
        let stats = self.stack.simulator.stats()?;
        let began = stats["sends"]["first_call_at"].as_u64().unwrap_or_default() - first;
        let late = |call: &&Value| began + at(call) > answered + 2000;
        Ok(calls.iter().filter(late).count())
    }

    /// Kills the process of some sender.
    fn kill_one(&mut self) {
        let Ok(function) = self.stack.output("SenderFunction") else {
            return;
        };
        let name = format!("AWS_LAMBDA_FUNCTION_NAME={function}\0");
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let senders: Vec<String> = processes
            .filter(|process| {
                let environment = fs::read(process.path().join("environ")).unwrap_or_default();
                environment
                    .windows(name.len())
                    .any(|window| window == name.as_bytes())
            })
            .map(|process| process.file_name().to_string_lossy().into_owned())
            .collect();
        let random = now_ms() as usize;
        let Some(victim) = senders.get(random % senders.len().max(1)) else {
            return;
        };
        let killed = Command::new("kill")
            .args(["-KILL", victim])
            .stderr(Stdio::null())
            .status();
        self.kills += u32::from(killed.is_ok_and(|status| status.success()));
    }

    /// Connects the queue with the sender, or disconnects it.
    fn connect_queue(&self, enabled: bool) -> Result<()> {
        let change = json!({"UUID": self.mapping, "Enabled": enabled});
        self.stack
            .emulator
            .call_aws("lambda", "update_event_source_mapping", &change)
            .map(drop)
    }

    fn wait_until(&self, id: &str, done: impl Fn(&Value) -> bool) -> Result<()> {
        wait_for("the file is read", TIMEOUT, || {
            done(&self.client.get_campaign(id).ok()?).then_some(())
        })
    }
}

/// A row's states, as the API counts them.
const STATES: [&str; 7] = [
    "claimed",
    "retry",
    "held",
    "accepted",
    "rejected",
    "unconfirmed",
    "skipped",
];

/// Takes every message off the queue and puts two of each back; prints how many there were.
const DOUBLE_MESSAGES: &str = "import boto3, sys\n\
    sqs, url, taken = boto3.client('sqs'), sys.argv[1], []\n\
    while True:\n    \
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=['All']).get('Messages', [])\n    \
        if not got: break\n    \
        for m in got: sqs.delete_message(QueueUrl=url, ReceiptHandle=m['ReceiptHandle'])\n    \
        taken += got\n\
    for m in taken * 2:\n    \
        sqs.send_message(QueueUrl=url, MessageBody=m['Body'], MessageGroupId=m['Attributes']['MessageGroupId'])\n\
    print(len(taken))";

fn print(table: &[(&Trial, TrialOutcome)]) {
    eprintln!("\n  Chaos: {ROWS} rows at {TPS} TPS\n");
    let line = |name: &str, cell: &dyn Fn(&Trial, &TrialOutcome) -> String| {
        let cells: Vec<String> = table
            .iter()
            .map(|(trial, shown)| cell(trial, shown))
            .collect();
        eprintln!(
            "  {name:<34}{}",
            cells
                .iter()
                .map(|cell| format!("{cell:>34}"))
                .collect::<String>()
        );
    };
    line("", &|trial, _| trial.name.into());
    line("senders killed", &|_, shown| shown.kills.to_string());
    line("queue messages doubled", &|_, shown| {
        shown.doubled.to_string()
    });
    for name in [
        "calls",
        "accepted",
        "repeats",
        "retries",
        "rows_accepted_twice",
        "busiest_second",
    ] {
        line(
            &format!("call log: {}", name.replace('_', " ")),
            &|_, shown| shown.sends[name].to_string(),
        );
    }
    for state in STATES.iter().chain(["waiting", "balanced"].iter()) {
        line(&format!("campaign: {state}"), &|_, shown| {
            shown.campaign["rows"][state].to_string()
        });
    }
    line("unconfirmed rows listed", &|_, shown| {
        shown.listed_unconfirmed.to_string()
    });
    line("sends 2 s after a stop", &|_, shown| {
        shown
            .sends_after_stop
            .map_or("-".into(), |late| late.to_string())
    });
    line("until all was settled", &|_, shown| {
        format!("{} s", shown.seconds)
    });
}
