//! The 24-hour customer service window: free-form messages inside, templates outside.

use campaign::delivery::ledger::State;
use campaign::lifecycle::campaign::{Campaign, OutsideServiceWindow};
use campaign::message::Message;
use serde_json::json;

use crate::harness::TestEnv;
use crate::harness::api_client::ApiClient;
use crate::harness::meta::{MetaClient, change_body, message_body};

const DAY_SECONDS: u64 = 24 * 3600;

/// Only row 1 of a campaign of three is inside the window.
async fn open_window_of_first_row(env: &TestEnv) {
    let meta = MetaClient::new(env);
    let now = cloud::now() / 1000;
    let hello = |from, seconds| {
        let wamid = format!("wamid.{from}.{seconds}");
        message_body(from, &wamid, seconds, json!({"text": {"body": "hello"}}))
    };
    // The latest message counts, in whatever order they arrive.
    meta.post(&hello("34610000001", now)).await;
    meta.post(&hello("34610000001", now - 2 * DAY_SECONDS))
        .await;
    meta.post(&hello("34610000002", now - DAY_SECONDS)).await;
    let seen = ApiClient::new(env)
        .get("/v1/contacts/34610000001")
        .await
        .expect(200);
    assert!(seen["service_window_until"].is_string(), "{seen}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn call_opens_the_service_window_as_a_message_does() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let call = |from: &str, direction: &str, seconds: u64| {
        let call = json!({"id": format!("wacid.{from}"), "from": from, "to": "15550000000", "event": "connect",
            "timestamp": seconds.to_string(), "direction": direction});
        change_body("calls", json!({"calls": [call]}))
    };
    let now = cloud::now() / 1000;
    meta.post(&call("34610000001", "USER_INITIATED", now)).await;
    meta.post(&call("34610000002", "USER_INITIATED", now - DAY_SECONDS))
        .await;
    meta.post(&call("34610000003", "BUSINESS_INITIATED", now))
        .await;
    let campaign = send_free_form(&env, |_| {}).await;
    let rows = env.ledger_rows(&campaign.id).await;
    let states: Vec<State> = rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Accepted, State::Skipped, State::Skipped]);
}

/// Sends a free-form campaign to three recipients, changed as wished.
async fn send_free_form(env: &TestEnv, change: impl FnOnce(&mut Campaign)) -> Campaign {
    let campaign = env
        .import_campaign(3, |campaign| {
            let body = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
            campaign.message = Message::new(body).unwrap();
            change(campaign);
        })
        .await;
    env.send_all().await;
    campaign
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn free_form_messages_are_sent_only_inside_the_service_window() {
    let env = TestEnv::new().await;
    open_window_of_first_row(&env).await;
    let campaign = send_free_form(&env, |_| {}).await;
    let rows = env.ledger_rows(&campaign.id).await;
    let states: Vec<State> = rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Accepted, State::Skipped, State::Skipped]);
    let reason = &rows[1].error_info.as_ref().unwrap().title;
    assert!(reason.starts_with("outside_service_window"), "{reason}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn fallback_template_is_sent_outside_the_service_window() {
    let env = TestEnv::new().await;
    open_window_of_first_row(&env).await;
    let fallback = json!({"type": "template", "template": {"name": "hello", "language": {"code": "en"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "{{phone}}"}]}]}});
    let fallback = Message::new(fallback).unwrap();
    let campaign = send_free_form(&env, |campaign| campaign.fallback = Some(fallback)).await;
    assert_eq!(env.row_states(&campaign.id).await, [(State::Accepted, 3)]);
    let calls = env.simulator.state.calls();
    assert_eq!(calls.len(), 3);
    for call in calls {
        let is_inside = call.to == "+34610000001";
        let expected = if is_inside { "text" } else { "template" };
        assert_eq!(call.body["type"], expected, "{}", call.to);
        if !is_inside {
            let value = &call.body["template"]["components"][0]["parameters"][0]["text"];
            assert_eq!(
                value.as_str(),
                Some(call.to.as_str()),
                "the fallback has values, too"
            );
        }
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn free_form_messages_are_sent_outside_the_service_window_if_the_operator_says_so() {
    let env = TestEnv::new().await;
    open_window_of_first_row(&env).await;
    let change = |campaign: &mut Campaign| {
        campaign.outside_service_window = OutsideServiceWindow::Send;
    };
    let campaign = send_free_form(&env, change).await;
    assert_eq!(env.row_states(&campaign.id).await, [(State::Accepted, 3)]);
}
