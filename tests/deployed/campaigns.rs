//! Campaigns on the deployed stack.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::numbers::FIRST;
use super::stack::DeployedStack;
use crate::harness::json::{assert_has, text};

/// A file, and what must become of it.
struct GeneratedFile {
    text: String,
    /// Each valid number, and the first row it is in.
    recipients: BTreeMap<String, u32>,
    rejected: usize,
    duplicates: usize,
}

/// `rows` rows: every 25th is invalid, every 40th repeats the one before.
fn generate_file(rows: u32) -> GeneratedFile {
    let mut file = GeneratedFile {
        text: String::from("Name,Phone Number\r\n"),
        recipients: BTreeMap::new(),
        rejected: 0,
        duplicates: 0,
    };
    for row in 1..=rows {
        let phone = match row {
            row if row % 25 == 0 => "not a number".to_owned(),
            row if row % 40 == 1 && row > 1 && (row - 1) % 25 != 0 => {
                format!("+34 610 {:06}", row - 1)
            }
            row => format!("+34610{row:06}"),
        };
        file.text.push_str(&format!("\"Núñez, {row}\",{phone}\r\n"));
        let number = phone.replace(' ', "");
        if number.starts_with("not") {
            file.rejected += 1;
        } else if let Entry::Vacant(first) = file.recipients.entry(number) {
            first.insert(row);
        } else {
            file.duplicates += 1;
        }
    }
    file
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn every_recipient_is_messaged_once_within_the_rate_limit() {
    let stack = DeployedStack::new();
    let file = generate_file(2000);
    assert!(file.rejected > 50 && file.duplicates > 20);
    let id = upload_twice(&stack, &file.text).await;
    let total = file.recipients.len() as i64;
    let is_complete = |seen: &Value| {
        let delivery = |name: &str| seen["delivery"][name].as_i64().unwrap();
        seen["state"] == "finished" && delivery("delivered") + delivery("undelivered") == total
    };
    let seen = stack.wait_for_campaign(&id, is_complete).await;

    assert_each_recipient_was_called_once(&stack, &id, &file).await;
    let stats = stack.get_control("stats").await;
    // Other tests send from the second number at the same time.
    let busiest = stats["sends"]["by_number"][FIRST]["busiest_second"].as_i64();
    assert!(
        busiest.is_some() && busiest <= seen["sending"]["budget"].as_i64(),
        "{stats}"
    );
    assert_eq!(stats["sends"]["repeats"], 0);

    let expected = json!({"total": 2000, "rejected_at_import": file.rejected, "duplicates": file.duplicates,
        "enqueued": total, "accepted": total, "waiting": 0, "claimed": 0, "retry": 0, "held": 0,
        "rejected": 0, "unconfirmed": 0, "skipped": 0, "balanced": true});
    assert_has(&seen["rows"], &expected);
}

/// Creates a campaign and uploads its file; a second upload must fail. Gives the id.
async fn upload_twice(stack: &DeployedStack, file: &str) -> String {
    let message = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
    let campaign = json!({"name": "Main job", "message": message, "outside_service_window": "send",
        "file": {"name": "recipients.csv", "size": file.len()}});
    let created = stack.create_campaign(&campaign).await;
    let upload = &created["upload"];
    assert_eq!(stack.upload_file(upload, file).await, StatusCode::OK);
    let second = stack.upload_file(upload, file).await;
    assert_eq!(second, StatusCode::PRECONDITION_FAILED);
    text(&created["id"]).to_owned()
}

/// By the simulator's call log: each valid distinct number once, from its first row, and no other number.
async fn assert_each_recipient_was_called_once(
    stack: &DeployedStack,
    id: &str,
    file: &GeneratedFile,
) {
    let calls = stack.calls_for(id).await;
    let accepted: BTreeMap<String, u32> = calls
        .iter()
        .filter(|call| call["accepted"] == true)
        .map(|call| {
            let (_, row) = text(&call["row"]).rsplit_once(':').unwrap();
            (text(&call["to"]).to_owned(), row.parse().unwrap())
        })
        .collect();
    assert_eq!(accepted, file.recipients);
    assert_eq!(calls.len(), accepted.len(), "one call for each row");
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn scheduled_campaign_starts_by_itself_at_its_time() {
    let stack = DeployedStack::new();
    let not_before = Timestamp::now().as_millisecond() + 15_000;
    let not_before = Timestamp::from_millisecond(not_before).unwrap();
    let file = "phone,name\n+34611000001,Ana\n+34611000002,Bo\n";
    let fields = json!({"not_before": not_before.to_string()});
    let id = stack.start_campaign("Later", file, fields).await;
    stack
        .wait_for_campaign(&id, |seen| seen["state"] == "scheduled")
        .await;
    let seen = stack
        .wait_for_campaign(&id, |seen| seen["state"] == "finished")
        .await;
    assert_eq!(seen["rows"]["accepted"], 2);
    let first: Timestamp = text(&seen["sending"]["first_attempt_at"]).parse().unwrap();
    assert!(first >= not_before, "{first} {not_before}");
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn deployed_stack_refuses_unauthenticated_requests() {
    let mut stack = DeployedStack::new();
    let webhook = stack.http.post(format!("{}/webhook", stack.api));
    let unsigned = webhook
        .header("x-hub-signature-256", "sha256=00")
        .body("{}");
    let status = unsigned.send().await.unwrap().status();
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let (status, challenge) = handshake(&stack, "local-verify").await;
    assert_eq!((status, challenge.as_str()), (StatusCode::OK, "42"));
    assert_eq!(handshake(&stack, "guess").await.0, StatusCode::FORBIDDEN);

    stack.token = "guess".into();
    let (status, _) = stack.post("/v1/campaigns", &json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

async fn handshake(stack: &DeployedStack, token: &str) -> (StatusCode, String) {
    let query = "hub.mode=subscribe&hub.challenge=42&hub.verify_token=";
    let get = stack
        .http
        .get(format!("{}/webhook?{query}{token}", stack.api));
    let response = get.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}
