//! What becomes of a campaign, with no more permissions than the template gives each function.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::stack::DeployedStack;
use crate::harness::json::{assert_says, list, text};

const ROWS: usize = 20;

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn template_permissions_suffice_for_inbound_messages_and_reports() {
    let stack = DeployedStack::new();
    set_reply(&stack).await;
    let id = stack.send_campaign("Results", 900_001, ROWS as u32).await;
    stack.write_as("+34620900001", "thanks").await;
    stack.write_as("+34620900002", "Hours?").await;
    stack.write_as("+34620900003", "STOP").await;

    let opted_out = stack.get_json("/v1/contacts/34620900003").await;
    assert_eq!(opted_out["suppressed"], true, "{opted_out}");
    let inbox = stack.get_json("/v1/inbox").await;
    let mut messages = list(&inbox["messages"]).iter();
    let of_campaign = messages
        .by_ref()
        .filter(|message| message["campaign"] == id.as_str());
    assert_eq!(of_campaign.count(), 3, "{inbox}");
    assert_one_reply_is_sent(&stack).await;
    assert_report_has_every_row(&stack, &id).await;
    assert_metrics_and_account_are_served(&stack).await;
    assert_one_person_is_found_and_messaged(&stack, &id).await;
    assert_recipients_are_suppressed(&stack, &id).await;
    // Every callback is forwarded, once under each id.
    let callbacks = (ROWS * 2 + 3) as u64;
    let is_forwarded = |seen: &Value| seen["callbacks"].as_u64().unwrap() >= callbacks;
    stack.wait_for_control("forwarded", is_forwarded).await;
}

async fn set_reply(stack: &DeployedStack) {
    let message = json!({"type": "text", "text": {"body": "9 to 5"}});
    let settings = json!({"replies": [{"keywords": ["hours"], "message": message}]});
    assert_eq!(stack.put("/v1/settings", &settings).await.0, StatusCode::OK);
}

async fn assert_one_reply_is_sent(stack: &DeployedStack) {
    let has_one_reply = |calls: &Value| {
        let rows = list(calls).iter().map(|call| text(&call["row"]));
        rows.filter(|row| row.starts_with("reply-")).count() == 1
    };
    stack.wait_for_control("call-log", has_one_reply).await;
}

async fn assert_report_has_every_row(stack: &DeployedStack, id: &str) {
    let path = format!("/v1/campaigns/{id}/report");
    let (status, requested) = stack.post(&path, &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{requested}");
    let report = stack.wait_for(&path, |job| job["state"] == "done").await;
    assert_eq!(report["summary"]["rows"], ROWS);
    let file = stack.http.get(text(&report["files"][0]["url"])).send();
    let file = file.await.unwrap().text().await.unwrap();
    assert_eq!(file.lines().count(), ROWS + 1, "{file}");
}

async fn assert_one_person_is_found_and_messaged(stack: &DeployedStack, id: &str) {
    let path = format!("/v1/campaigns/{id}/recipients/34620900001");
    let found = stack.get_json(&path).await;
    assert_eq!(found["rows"][0]["history"]["row"], 1, "{found}");
    let message = json!({"to": "+34620900001", "message": {"type": "template",
        "template": {"name": "hello_world", "language": {"code": "en_US"}}}});
    for _ in 0..2 {
        let (status, sent) = stack.post_message("deployed-0001", &message).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{sent}");
        let path = format!("/v1/messages/{}?wait=5", text(&sent["id"]));
        stack
            .wait_for(&path, |seen| seen["wamid"].is_string())
            .await;
        let calls = stack.calls_for(text(&sent["id"])).await;
        assert_eq!(calls.len(), 1, "{calls:?}");
    }
}

async fn assert_recipients_are_suppressed(stack: &DeployedStack, id: &str) {
    let path = format!("/v1/campaigns/{id}/suppression");
    let reached = json!({"states": ["accepted", "sent", "delivered", "read"]});
    let (status, requested) = stack.post(&path, &reached).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{requested}");
    let job = stack.wait_for(&path, |job| job["state"] == "done").await;
    assert_eq!(job["affected"], ROWS - 1, "one had opted out: {job}");
}

async fn assert_metrics_and_account_are_served(stack: &DeployedStack) {
    let metrics = stack.http.get(format!("{}/v1/metrics", stack.api));
    let metrics = metrics.bearer_auth(&stack.token).send().await.unwrap();
    assert_says(
        &metrics.text().await.unwrap(),
        &["# TYPE crier_rows gauge", "crier_number_budget{number="],
    );
    assert!(stack.get_json("/v1/account").await["events"].is_array());
}
