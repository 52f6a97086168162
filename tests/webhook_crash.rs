//! A webhook that is killed while it stores a large POST.

use std::time::Duration;

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use campaign::lifecycle::counters::Counters;
use secrecy::SecretString;
use webhook::Webhook;
use whatsapp::signature;

use crate::harness::TestEnv;
use crate::harness::meta::{row_status, statuses_body, webhook_request};
use crate::harness::process::kill_until_it_ends;

/// Names the file with the POST for the process below.
const BODY_PATH_VAR: &str = "CRIER_POST";

const STATUSES: u32 = 1000;

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn killed_webhook_loses_no_status_of_a_repeated_post() {
    let env = TestEnv::new().await;
    let campaign = env.create_campaign(CampaignState::Sending).await.id;
    for row in 1..=STATUSES {
        env.ledger.claim(&campaign, row, "sender", 1).await.unwrap();
    }
    let statuses: Vec<_> = (1..=STATUSES)
        .map(|row| row_status(&campaign, row, "read", 10))
        .collect();
    let path = std::env::temp_dir().join(format!("crier-{campaign}.json"));
    std::fs::write(&path, statuses_body(&statuses).to_string()).unwrap();

    let variables = [(BODY_PATH_VAR, path.to_str().unwrap())];
    let start = || env.spawn_test_process("webhook_crash::webhook_process", &variables);
    let step = Duration::from_millis(100);
    let (ended, kills) = kill_until_it_ends(start, Duration::from_millis(150), step).await;

    std::fs::remove_file(&path).unwrap();
    assert!(
        ended.success() && kills > 3,
        "{ended:?}, killed {kills} times"
    );
    assert_every_status_is_stored_and_applied(&env, &campaign).await;
}

async fn assert_every_status_is_stored_and_applied(env: &TestEnv, campaign: &CampaignId) {
    for row in 1..=STATUSES {
        let key = format!("status#wamid.{row}#read");
        assert!(env.callbacks.get(&key).await.unwrap().is_some(), "{row}");
    }
    let mut counters = Counters::default();
    for row in env.ledger_rows_up_to(campaign, STATUSES).await {
        counters.apply_change(None, row.row_facts());
    }
    let expected = (i64::from(STATUSES), i64::from(STATUSES));
    assert_eq!((counters.accepted, counters.read), expected);
}

/// One webhook, as Lambda would run it, for the test above. It does nothing when it runs alone.
#[tokio::test]
#[ignore = "a process of another test"]
async fn webhook_process() {
    let Ok(path) = std::env::var(BODY_PATH_VAR) else {
        return;
    };
    let body = std::fs::read_to_string(path).unwrap();
    let secret = SecretString::from(simulator::settings::Settings::default().app_secret);
    let signature = signature::sign(body.as_bytes(), &secret);
    let webhook = Webhook::from_env().await.unwrap();
    let response = webhook.handle(webhook_request(&body, &signature)).await;
    assert_eq!(response.unwrap().status().as_u16(), 200);
}
