//! Steps of a broadcast that every trial has.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::evidence::Evidence;
use super::trial::STATES;
use crate::client::Client;
use crate::process::wait_for;
use crate::stack::Stack;

/// How long a trial may take to settle.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Uploads a file of `rows` recipients to a campaign with these fields, and waits until it can be started; gives its id.
pub(super) fn upload_recipients(client: &Client, rows: u32, fields: Value) -> Result<String> {
    let mut file = String::from("phone,name\n");
    (1..=rows).for_each(|row| file.push_str(&format!("+34610{row:06},Ana\n")));
    let mut campaign = json!({
        "message": {"type": "text", "text": {"body": "Hello {{name}}"}}, "outside_service_window": "send",
        "manual_start": true, "allow_repeat": true, "file": {"name": "recipients.csv", "size": file.len()},
    });
    if let (Some(campaign), Value::Object(fields)) = (campaign.as_object_mut(), fields) {
        campaign.extend(fields);
    }
    let id = client.upload_campaign(&campaign, file.as_bytes())?;
    wait_for_state(client, &id, "ready")?;
    Ok(id)
}

/// Runs the reconciler until nothing is left to do and the counters show it.
pub(super) fn settle(
    stack: &Stack,
    client: &Client,
    evidence: &Evidence<'_>,
    id: &str,
) -> Result<()> {
    let reconciler = json!({"FunctionName": stack.output("ReconcilerFunction")?});
    wait_for("every row settles", TIMEOUT, || {
        let _ = stack.emulator.call_aws("lambda", "invoke", &reconciler);
        std::thread::sleep(Duration::from_secs(5));
        let campaign = client.get_campaign(id).ok()?;
        let rows = &campaign["rows"];
        let unsettled: i64 = ["waiting", "claimed", "retry", "held"]
            .iter()
            .filter_map(|state| rows[state].as_i64())
            .sum();
        let over = campaign["state"] == "finished" || campaign["state"] == "cancelled";
        (over && unsettled == 0).then_some(())
    })?;
    wait_for("every callback arrives", TIMEOUT, || {
        let stats = stack.simulator.stats().ok()?;
        (stats["callbacks"]["pending"] == 0).then_some(())
    })?;
    wait_for(
        "the counters equal the ledger",
        Duration::from_secs(60),
        || {
            let counted = client.get_campaign(id).ok()?["rows"].clone();
            let recounted = evidence.recount(id).ok()?;
            let same = STATES
                .iter()
                .all(|state| counted[state].as_u64() == Some(*recounted.get(*state).unwrap_or(&0)));
            same.then_some(())
        },
    )
}

pub(super) fn wait_for_state(client: &Client, id: &str, state: &str) -> Result<()> {
    wait_for(&format!("the campaign is {state}"), TIMEOUT, || {
        (client.get_campaign(id).ok()?["state"] == state).then_some(())
    })
}
