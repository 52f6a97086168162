//! The operator's commands: pause, resume, cancel, and what they do to rows that are already on their way.

use std::time::Duration;

use campaign::delivery::ledger::{State, Transition};
use campaign::delivery::outcome::ErrorInfo;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says, text};
use crate::harness::{TestEnv, phone, recipients_csv, set_state};

/// Posts a command of a campaign, which must be accepted; gives the campaign as the answer shows it.
async fn command(api: &ApiClient, id: &CampaignId, command: &str) -> Value {
    post_command(api, id, command, 200).await
}

async fn post_command(api: &ApiClient, id: &CampaignId, command: &str, status: u16) -> Value {
    let path = format!("/v1/campaigns/{id}/{command}");
    api.post(&path, Value::Null).await.expect(status)
}

/// A campaign of 300 rows whose first two batches were sent, then paused; gives how many rows were sent.
async fn pause_after_two_batches(env: &TestEnv, api: &ApiClient) -> (Campaign, usize) {
    let campaign = env.import_campaign(300, |_| {}).await;
    assert_eq!(campaign.state(cloud::now()), CampaignState::Sending);
    let mut batches = env.drain_batches().await;
    // The queue keeps no order.
    batches.sort_by_key(|queued| queued.batch.rows[0].row);
    let later = batches.split_off(2);
    env.enqueue_batches(batches).await;
    env.send_all().await;
    let sent = env.simulator.state.stats().calls;
    assert!((20..200).contains(&sent), "{sent}");
    env.enqueue_batches(later).await;
    command(api, &campaign.id, "pause").await;
    (campaign, sent)
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn paused_campaign_sends_nothing() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let (campaign, sent) = pause_after_two_batches(&env, &api).await;
    let again = command(&api, &campaign.id, "pause").await;
    assert_eq!(again["state"], "paused");
    env.send_all().await;
    assert_eq!(env.simulator.state.stats().calls, sent);
    let seen = api
        .get(&format!("/v1/campaigns/{}", campaign.id))
        .await
        .expect(200);
    assert_says(text(&seen["reason"]), &["resume"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn resume_requeues_only_open_rows() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let (campaign, sent) = pause_after_two_batches(&env, &api).await;
    env.send_all().await;
    let resumed = command(&api, &campaign.id, "resume").await;
    assert_eq!(resumed["state"], "sending");
    env.run_queued_imports().await;
    assert_eq!(
        env.campaign_state(&campaign.id).await,
        CampaignState::Sending
    );
    let requeued = env.drain_batches().await;
    let rows: usize = requeued.iter().map(|queued| queued.batch.rows.len()).sum();
    assert_eq!(rows, 300 - sent, "settled rows are not enqueued again");
    env.enqueue_batches(requeued).await;
    env.send_all().await;
    let stats = env.simulator.state.stats();
    assert_eq!((stats.accepted, stats.repeats), (300, 0));
    // A finished campaign takes no commands.
    env.recount_ledger(&campaign.id).await;
    for command in ["pause", "resume", "cancel"] {
        let problem = post_command(&api, &campaign.id, command, 409).await;
        assert_says(text(&problem["detail"]), &["finished"]);
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn no_send_starts_two_seconds_after_a_pause() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.import_campaign(2000, |_| {}).await.id;
    let pausing = async {
        env.wait_for_calls(60).await;
        command(&api, &id, "pause").await;
        env.simulator.state.elapsed()
    };
    let senders = [env.sender(), env.sender(), env.sender()];
    let (paused_at, _) = tokio::join!(pausing, env.run_senders(&senders));
    let calls = env.simulator.state.calls();
    assert!(calls.len() < 2000, "it was paused in the middle");
    let last = calls.iter().map(|call| call.at_us).max().unwrap();
    let delay = Duration::from_micros(last).saturating_sub(paused_at);
    assert!(
        delay <= Duration::from_secs(2),
        "a send started {delay:?} after the pause"
    );

    command(&api, &id, "resume").await;
    env.run_queued_imports().await;
    env.send_all().await;
    let stats = env.simulator.state.stats();
    assert_eq!((stats.accepted, stats.repeats), (2000, 0));
}

/// Rows 1 to 4 are held, unconfirmed, rejected, and scheduled for a resend.
async fn settle_first_rows(env: &TestEnv, id: &CampaignId) {
    let error = ErrorInfo::transport("a test");
    for (row, transition) in [
        (1, Transition::Hold),
        (2, Transition::MarkUnconfirmed),
        (3, Transition::Reject),
        (4, Transition::MarkUnconfirmed),
    ] {
        env.claim_row(id, row).await;
        let recorded = env.ledger.record_outcome(id, row, 1, transition, &error);
        assert!(recorded.await.unwrap());
    }
    assert!(env.ledger.schedule_resend(id, 4, 1).await.unwrap());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn cancel_settles_every_unsent_row() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.import_campaign(200, |_| {}).await.id;
    env.drain_batches().await;
    settle_first_rows(&env, &id).await;
    command(&api, &id, "cancel").await;
    env.run_queued_imports().await;
    // Rows that may have been sent stay unconfirmed.
    let expected = [
        (State::Rejected, 1),
        (State::Unconfirmed, 2),
        (State::Skipped, 197),
    ];
    assert_eq!(env.row_states(&id).await, expected);
    command(&api, &id, "cancel").await;
    post_command(&api, &id, "resume", 409).await;
    env.recount_ledger(&id).await;
    let seen = api.get(&format!("/v1/campaigns/{id}")).await.expect(200);
    let rows = json!({"balanced": true, "waiting": 0, "skipped": 197});
    assert_has(&seen, &json!({"state": "cancelled", "rows": rows}));
    assert_unconfirmed_rows_are_listed(&api, &id).await;
    assert_eq!(env.simulator.state.stats().calls, 0);
}

/// Rows 2 and 4, one a page.
async fn assert_unconfirmed_rows_are_listed(api: &ApiClient, id: &CampaignId) {
    let rows = async |query: &str| api.get(&format!("/v1/campaigns/{id}/rows?{query}")).await;
    let first = rows("state=unconfirmed&limit=1").await.expect(200);
    assert_eq!(
        (&first["rows"][0]["row"], &first["next"]),
        (&json!(2), &json!(2))
    );
    let second = rows("state=unconfirmed&after=2").await.expect(200);
    assert_eq!(
        (&second["rows"][0]["row"], &second["next"]),
        (&json!(4), &Value::Null)
    );
    rows("state=lost").await.expect(400);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_can_be_cancelled_before_its_upload() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.create_campaign_with(|_| {}).await.id;
    post_command(&api, &id, "pause", 409).await;
    command(&api, &id, "cancel").await;
    env.import_file(&id, recipients_csv(5).as_bytes()).await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Cancelled);
    assert!(env.drain_batches().await.is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_can_be_paused_during_its_import() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let validating = |campaign: &mut Campaign| set_state(campaign, CampaignState::Validating);
    let id = env.create_campaign_with(validating).await.id;
    let event = env.upload_file(&id, recipients_csv(5).as_bytes()).await;
    command(&api, &id, "pause").await;
    env.run_import(event).await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Paused);
    assert!(env.drain_batches().await.is_empty());
    command(&api, &id, "resume").await;
    env.run_queued_imports().await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Sending);
    assert_eq!(
        env.drain_batches().await.len(),
        3,
        "five rows for two slots"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn suppressed_row_is_not_requeued_after_a_resume() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let recipient = phone("+34610000007");
    env.set_suppressed(recipient, true).await;
    let campaign = env.import_campaign(20, |_| {}).await;
    assert_eq!(campaign.import_counts().suppressed, 1);
    env.drain_batches().await;
    env.set_suppressed(recipient, false).await;
    command(&api, &campaign.id, "pause").await;
    command(&api, &campaign.id, "resume").await;
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.row_states(&campaign.id).await, [(State::Accepted, 19)]);
    env.recount_ledger(&campaign.id).await;
    let seen = api
        .get(&format!("/v1/campaigns/{}", campaign.id))
        .await
        .expect(200);
    assert_has(
        &seen,
        &json!({"state": "finished", "rows": {"balanced": true}}),
    );
}
