//! Errors of a campaign, the number or the account pause it, hold its rows and lose none; limits start a cooldown.

use std::time::Instant;

use campaign::delivery::ledger::State;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_says, text};
use crate::harness::{TIMEOUT, TestEnv, batch_row};

/// Every code that concerns all rows, of a campaign and of the account.
const CAMPAIGN_CODES: [i64; 25] = [
    132001, 132007, 132015, 132016, 132068, 131051, 131055, 131058, 131063, 134100, 134102, 135000,
    190, 0, 104, 3, 10, 200, 299, 368, 131005, 131031, 131042, 131064, 134011,
];

/// Every code that concerns all messages from the number.
const NUMBER_CODES: [i64; 9] = [
    33, 131037, 131045, 131048, 133005, 133006, 133010, 133015, 133016,
];

/// What an error pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paused {
    Campaign,
    Number,
}

const SLOTS: usize = 4;
const ROWS: u32 = 32;

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_pausing_code_holds_all_rows_until_resumed() {
    // Side by side, since each waits most of its time.
    let of_campaigns = CAMPAIGN_CODES.map(|code| (code, Paused::Campaign));
    let of_numbers = NUMBER_CODES.map(|code| (code, Paused::Number));
    let codes = [&of_campaigns[..], &of_numbers].concat();
    let checks = codes.chunks(8).map(async |codes| {
        let env = TestEnv::new().await;
        for &(code, paused) in codes {
            assert_code_pauses_and_resume_sends_all(&env, code, paused).await;
        }
    });
    futures::future::join_all(checks).await;
}

async fn assert_code_pauses_and_resume_sends_all(env: &TestEnv, code: i64, paused: Paused) {
    env.simulator.state.clear_call_log();
    env.configure_simulator(json!({"refuse": code}));
    let campaign = env
        .import_campaign(ROWS, |campaign| campaign.has_acceptance = true)
        .await;
    let id = campaign.id;
    let senders: Vec<_> = (0..SLOTS).map(|_| env.slow_sender()).collect();
    env.run_senders(&senders).await;

    let calls = env.simulator.state.calls();
    let first_response = calls.iter().map(|call| call.answered_us).min().unwrap();
    let later = calls
        .iter()
        .filter(|call| call.at_us > first_response)
        .count();
    assert!(
        later <= SLOTS,
        "{code}: {later} calls after the first response"
    );
    let (resume, reason) = how_to_resume(env, &id, paused).await;
    assert_says(&reason, &[&code.to_string()]);
    // A row whose request did not leave in time, as happens on a busy machine, was not sent and is tried again.
    let rows = env.ledger_rows(&id).await;
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    let (held, retried) = (count(State::Held), count(State::Retry));
    assert!(held >= calls.len(), "{code} {rows:?}");
    assert_eq!(held + retried, rows.len(), "{code} {rows:?}");

    env.configure_simulator(json!({"refuse": null}));
    ApiClient::new(env)
        .post(&resume, Value::Null)
        .await
        .expect(200);
    env.run_queued_imports().await;
    let expected = [(State::Accepted, ROWS as usize)];
    let began = Instant::now();
    while env.row_states(&id).await != expected {
        assert!(began.elapsed() < TIMEOUT, "{code}: a row is not accepted");
        env.send_all().await;
    }
    assert_eq!(env.simulator.state.stats().repeats, 0);
}

/// The command that ends the pause, and the pause's reason as the campaign's page shows it.
async fn how_to_resume(env: &TestEnv, id: &CampaignId, paused: Paused) -> (String, String) {
    let page = format!("/v1/campaigns/{id}");
    let page = ApiClient::new(env).get(&page).await.expect(200);
    match paused {
        Paused::Campaign => {
            assert_eq!(page["state"], "paused", "{page}");
            let command = format!("/v1/campaigns/{id}/resume");
            (command, text(&page["reason"]).to_owned())
        }
        Paused::Number => {
            assert_eq!(page["state"], "sending", "{page}");
            let held = &page["suspended_numbers"][0];
            let command = format!("/v1/numbers/{}/resume", text(&held["id"]));
            (command, text(&held["reason"]).to_owned())
        }
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn account_error_pauses_every_campaign() {
    let env = TestEnv::new().await;
    let other = env.import_campaign(3, |_| {}).await;
    let first = env
        .import_campaign(3, |campaign| campaign.has_acceptance = true)
        .await;
    env.drain_batches().await;
    env.configure_simulator(json!({"refuse": 131031}));
    let row = batch_row(1, "+34610000001");
    env.enqueue_rows(&first.id, vec![row]).await;
    env.send_all().await;
    for id in [&first.id, &other.id] {
        let campaign = env.load_campaign(id).await;
        assert_eq!(campaign.state(cloud::now()), CampaignState::Paused);
        assert_says(campaign.reason(cloud::now()).unwrap(), &["131031"]);
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn account_error_pauses_every_campaign_although_its_sender_dies() {
    let env = TestEnv::new().await;
    let other = env.import_campaign(3, |_| {}).await;
    let first = env.import_campaign(3, |_| {}).await;
    // The first write of a sender, which then dies.
    let campaigns = &env.campaigns;
    campaigns
        .pause_for_account(&first.id, "131031")
        .await
        .unwrap();
    let reconcile = async || {
        let now = cloud::now();
        env.reconciler().run(now, now + 60_000).await.unwrap();
    };
    reconcile().await;
    let campaign = env.load_campaign(&other.id).await;
    assert_eq!(campaign.state(cloud::now()), CampaignState::Paused);
    assert_says(campaign.reason(cloud::now()).unwrap(), &["131031"]);
    // Only once: a resumed campaign stays resumed.
    let resume = format!("/v1/campaigns/{}/resume", other.id);
    ApiClient::new(&env)
        .post(&resume, Value::Null)
        .await
        .expect(200);
    reconcile().await;
    assert_ne!(env.campaign_state(&other.id).await, CampaignState::Paused);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn account_limit_starts_a_cooldown_and_loses_no_row() {
    let env = TestEnv::new().await;
    env.configure_simulator(json!({"refuse": 80007}));
    let id = env.import_campaign(150, |_| {}).await.id;
    env.send_all().await;
    let calls = env.simulator.state.stats().calls;
    assert!(
        calls <= 4,
        "{calls} calls, though the first one met the limit"
    );
    assert_eq!(env.campaign_state(&id).await, CampaignState::Sending);
    let seen = ApiClient::new(&env)
        .get(&format!("/v1/campaigns/{id}"))
        .await
        .expect(200);
    assert_says(text(&seen["cooldown"]["reason"]), &["80007"]);
    let queue_is_empty = env.queue.is_empty().await.unwrap();
    assert!(!queue_is_empty, "the rows wait in the queue, delayed");
}
