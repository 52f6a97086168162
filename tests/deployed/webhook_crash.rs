//! Webhooks that Lambda's host kills between their writes.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::stack::DeployedStack;
use crate::harness::json::assert_has;
use crate::harness::meta::statuses_body;

const ROWS: u32 = 500;

/// Posts after the last kill: one that meets a function's timeout has recorded a part of its statuses.
const MAX_ATTEMPTS: u32 = 20;

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn killed_webhook_neither_loses_nor_double_counts_statuses() {
    let stack = DeployedStack::new();
    let id = stack.send_campaign("Killed", 1, ROWS).await;
    let path = format!("/v1/campaigns/{id}");
    let before = stack.get_json(&path).await["delivery"]["read"]
        .as_i64()
        .unwrap();
    assert!(before < i64::from(ROWS), "some messages are never read");

    let rows = stack.get_json(&format!("{path}/rows?limit={ROWS}")).await;
    let body = read_by_every_recipient(&id, rows["rows"].as_array().unwrap());
    post_while_webhooks_are_killed(&stack, &body).await;
    let is_counted = |seen: &Value| seen["delivery"]["read"] == i64::from(ROWS);
    stack.wait_for(&path, is_counted).await;

    let recount = format!("{path}/recount");
    let (status, _) = stack.post(&recount, &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let has_ended = |job: &Value| job["state"] == "done" || job["state"] == "failed";
    let job = stack.wait_for(&recount, has_ended).await;
    assert_eq!(job["outcome"], "The counters were right.", "{job}");
    let seen = stack.get_json(&path).await;
    assert_has(&seen["rows"], &json!({"accepted": ROWS, "balanced": true}));
}

/// A callback that says that the message of every row was read. On a busy machine a row may have needed a second attempt,
/// and a status of the first no longer applies.
fn read_by_every_recipient(campaign: &str, rows: &[Value]) -> Value {
    assert_eq!(rows.len(), ROWS as usize);
    let statuses: Vec<Value> = rows
        .iter()
        .map(|row| {
            let (number, attempt) = (&row["row"], &row["attempt"]);
            json!({"id": format!("wamid.again{number}"), "status": "read", "timestamp": "1790000000",
                "biz_opaque_callback_data": format!("{campaign}:{number}:{attempt}")})
        })
        .collect();
    statuses_body(&statuses)
}

/// Posts the callback eight times and kills the webhook later each time; then until it is accepted.
async fn post_while_webhooks_are_killed(stack: &DeployedStack, body: &Value) {
    let mut kills = 0;
    for round in 0..8 {
        let kill = async {
            tokio::time::sleep(Duration::from_millis(60 + 90 * round)).await;
            kill_webhooks()
        };
        let (_, killed) = tokio::join!(stack.post_callback(body), kill);
        kills += killed;
    }
    assert!(kills > 0, "no process was killed: the test shows nothing");
    let mut attempts = 0;
    while !stack.post_callback(body).await {
        attempts += 1;
        assert!(attempts < MAX_ATTEMPTS, "the POST is never accepted");
    }
}

/// Kills the webhook's processes, as Lambda's host may at any time; gives how many.
fn kill_webhooks() -> usize {
    let mut kills = 0;
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        let is_webhook = environment.split(|&byte| byte == 0).any(|variable| {
            variable.starts_with(b"AWS_LAMBDA_FUNCTION_NAME=")
                && variable.windows(7).any(|name| name == b"Webhook")
        });
        let program = std::fs::read_link(process.path().join("exe")).unwrap_or_default();
        if is_webhook && program.ends_with("bootstrap") {
            let mut kill = std::process::Command::new("kill");
            kill.arg("-KILL").arg(process.file_name());
            kills += usize::from(kill.status().is_ok_and(|status| status.success()));
        }
    }
    kills
}
