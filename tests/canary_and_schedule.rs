//! Canary rows and the schedule of a campaign.

use std::time::Duration;

use campaign::delivery::ledger::State;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{AfterCanary, Campaign, CampaignState, Canary};
use cloud::import_queue::ImportJob;
use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::harness::api_client::ApiClient;

const HOUR_MS: u64 = 3_600_000;

async fn command(api: &ApiClient, id: &CampaignId, command: &str, status: u16) -> Value {
    let path = format!("/v1/campaigns/{id}/{command}");
    api.post(&path, Value::Null).await.expect(status)
}

/// Lets the splitter look at the campaign again, as its schedule does.
async fn resume_import(env: &TestEnv, id: &CampaignId) {
    let job = ImportJob::resume(id.clone());
    env.import_queue().enqueue(&job).await.unwrap();
    env.run_queued_imports().await;
}

/// A campaign of 200 rows whose 20 canary rows were sent.
async fn send_canary(env: &TestEnv) -> CampaignId {
    let canary = Canary {
        rows: 20,
        after: AfterCanary::Wait,
        released: false,
        enqueued: None,
    };
    let campaign = env
        .import_campaign(200, |campaign| campaign.canary = Some(canary))
        .await;
    assert_eq!(campaign.state(cloud::now()), CampaignState::Canary);
    assert_eq!(campaign.canary.unwrap().enqueued, Some(20));
    env.send_all().await;
    campaign.id
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn canary_rows_are_sent_first_and_spread_over_the_file() {
    let env = TestEnv::new().await;
    let id = send_canary(&env).await;
    let rows = env.ledger_rows(&id).await;
    let rows: Vec<u32> = rows.iter().map(|row| row.row_number().unwrap()).collect();
    assert_eq!(rows, (1..=20).map(|index| index * 10).collect::<Vec<_>>());
    env.run_queued_imports().await;
    assert!(env.drain_batches().await.is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn remaining_rows_wait_for_continue_even_after_a_pause() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = send_canary(&env).await;
    command(&api, &id, "pause", 200).await;
    command(&api, &id, "continue", 409).await;
    command(&api, &id, "resume", 200).await;
    env.run_queued_imports().await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Canary);
    command(&api, &id, "continue", 200).await;
    env.run_queued_imports().await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Sending);
    env.send_all().await;
    let stats = env.simulator.state.stats();
    assert_eq!((stats.accepted, stats.calls), (200, 200));
    assert_eq!(env.row_states(&id).await, [(State::Accepted, 200)]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_does_not_start_before_its_time() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let change = |campaign: &mut Campaign| {
        campaign.schedule.not_before = Some(cloud::now() + HOUR_MS);
    };
    let early = env.import_campaign(5, change).await;
    assert_eq!(early.state(cloud::now()), CampaignState::Scheduled);
    resume_import(&env, &early.id).await;
    assert_eq!(
        env.campaign_state(&early.id).await,
        CampaignState::Scheduled
    );
    // A resume is no start.
    for (name, state) in [("pause", "paused"), ("resume", "scheduled")] {
        let seen = command(&api, &early.id, name, 200).await;
        assert_eq!(seen["state"], json!(state));
        env.run_queued_imports().await;
    }
    assert!(env.drain_batches().await.is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_starts_at_its_time() {
    let env = TestEnv::new().await;
    let change = |campaign: &mut Campaign| {
        campaign.schedule.not_before = Some(cloud::now() + 8000);
    };
    let due = env.import_campaign(5, change).await;
    assert_eq!(due.state(cloud::now()), CampaignState::Scheduled);
    while !due.schedule.has_begun(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    resume_import(&env, &due.id).await;
    assert_eq!(env.campaign_state(&due.id).await, CampaignState::Sending);
    env.send_all().await;
    assert_eq!(env.row_states(&due.id).await, [(State::Accepted, 5)]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn rows_are_skipped_after_the_end_of_the_schedule() {
    let env = TestEnv::new().await;
    let change = |campaign: &mut Campaign| {
        campaign.schedule.not_after = Some(cloud::now() + 2500);
    };
    let late = env.import_campaign(5, change).await;
    while !late.schedule.has_ended(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    env.send_all().await;
    assert_eq!(env.row_states(&late.id).await, [(State::Skipped, 5)]);
    let row = &env.ledger_rows(&late.id).await[0];
    assert!(
        row.error_info
            .as_ref()
            .unwrap()
            .title
            .starts_with("expired")
    );
    assert_eq!(env.simulator.state.stats().calls, 0);
}
