//! What goes wrong: errors of the API, killed functions, queue messages that arrive twice.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::json;

use crate::emulator::run_python;
use crate::process::now_ms;
use crate::stack::Stack;

/// Sets how often the API fails, and how its callbacks arrive.
pub(super) fn set_faults(stack: &Stack, fault_share: f64) -> Result<()> {
    stack.simulator.change_settings(&json!({
        "fault_share": fault_share, "duplicate_share": 0.2, "shuffle": true, "status_delay_ms": 2000.0,
        "read_share": 0.3, "batch_size": 200, "batch_window_ms": 1000,
    }))
}

/// The functions beside the sender that are killed, as the template calls them.
pub(super) const OTHERS: [&str; 4] = ["Splitter", "Counter", "Webhook", "Reconciler"];

/// Kills the process of some sender; gives whether there was one.
pub(super) fn kill_sender(stack: &Stack) -> bool {
    let function = stack.output("SenderFunction");
    function.is_ok_and(|function| kill_one(|name| name == function))
}

/// Kills a process of the function that the template calls so; gives whether there was one.
pub(super) fn kill_other(stack: &Stack, function: &str) -> bool {
    let sender = stack.output("SenderFunction").unwrap_or_default();
    let Some((stack_name, _)) = sender.split_once("-Sender") else {
        return false;
    };
    let prefix = format!("{stack_name}-{function}");
    kill_one(|name| name.starts_with(&prefix))
}

/// Kills one of the processes of a function with such a name; gives whether there was one.
fn kill_one(is_meant: impl Fn(&str) -> bool) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let meant: Vec<String> = processes
        .filter(|process| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            let variables = environment.split(|byte| *byte == 0);
            let mut names = variables.filter_map(|variable| {
                let text = std::str::from_utf8(variable).ok()?;
                text.strip_prefix("AWS_LAMBDA_FUNCTION_NAME=")
            });
            names.any(&is_meant)
        })
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect();
    let random = now_ms() as usize;
    let Some(victim) = meant.get(random % meant.len().max(1)) else {
        return false;
    };
    let killed = Command::new("kill")
        .args(["-KILL", victim])
        .stderr(Stdio::null())
        .status();
    killed.is_ok_and(|status| status.success())
}

/// Connects the queue with the sender, or disconnects it.
pub(super) fn connect_queue(stack: &Stack, mapping: &str, enabled: bool) -> Result<()> {
    let change = json!({"UUID": mapping, "Enabled": enabled});
    stack
        .emulator
        .call_aws("lambda", "update_event_source_mapping", &change)
        .map(drop)
}

/// Takes every message off the queue and puts two of each back; gives how many there were.
pub(super) fn double_messages(stack: &Stack) -> Result<u64> {
    let queue = stack.output("Queue")?;
    let doubled = run_python(&stack.emulator.url, DOUBLE_MESSAGES, &[queue])?;
    doubled.trim().parse().context("how many were doubled")
}

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
