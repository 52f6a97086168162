//! How long chains of messages become. Lambda ends a chain in which it invokes a function about sixteen times, unless that
//! is allowed; the emulators do not follow chains, so each message counts its hops.

use std::time::Instant;

use campaign::delivery::batch::Batch;
use campaign::delivery::ledger::State;
use campaign::lifecycle::campaign::Cooldown;
use serde_json::Value;

use crate::harness::api_client::ApiClient;
use crate::harness::{QueuedBatch, TIMEOUT, TestEnv};

/// A cooldown that is longer than the sender looks for further batches.
const COOLDOWN_MS: u64 = 2_500;

/// Waits for what the sender put back into the queue, and takes it off.
async fn requeued_batches(env: &TestEnv) -> Vec<QueuedBatch> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let batches = env.drain_batches().await;
        if !batches.is_empty() {
            return batches;
        }
        assert!(Instant::now() < deadline, "nothing was requeued");
    }
}

fn max_hops(batches: &[QueuedBatch]) -> Option<u32> {
    batches.iter().map(|queued| queued.batch.hops).max()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn each_visit_during_a_cooldown_is_a_hop() {
    const VISITS: u32 = 4;
    let env = TestEnv::new().await;
    let id = env.enqueue_row_to("+5511987654321").await;
    for visit in 1..=VISITS {
        let cooldown = Cooldown {
            until: cloud::now() + COOLDOWN_MS,
            reason: "a test".into(),
        };
        env.campaigns.set_cooldown(&id, &cooldown).await.unwrap();
        env.deliver_next(&env.sender()).await;
        let batches = requeued_batches(&env).await;
        assert_eq!(max_hops(&batches), Some(visit));
        env.enqueue_batches(batches).await;
    }
    env.deliver_next(&env.sender()).await;
    assert_eq!(env.row_state(&id, 1).await, State::Accepted);
    eprintln!(
        "longest chain of a campaign that was cooling down at {VISITS} visits: {VISITS} hops"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn retry_is_a_hop() {
    let env = TestEnv::new().await;
    // 131056: after four seconds.
    env.enqueue_row_to("+12025550113").await;
    env.deliver_next(&env.sender()).await;
    assert_eq!(max_hops(&requeued_batches(&env).await), Some(1));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn pauses_do_not_lengthen_a_chain() {
    const PAUSES: usize = 3;
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.import_campaign(10, |_| {}).await.id;
    let mut longest = None;
    for _ in 0..PAUSES {
        for command in ["pause", "resume"] {
            let path = format!("/v1/campaigns/{id}/{command}");
            api.post(&path, Value::Null).await.expect(200);
            // A sender drops the rows of a paused campaign.
            if command == "pause" {
                env.send_all().await;
                assert!(env.drain_batches().await.is_empty());
            }
        }
        env.run_queued_imports().await;
        let batches = env.drain_batches().await;
        longest = longest.max(max_hops(&batches));
        env.enqueue_batches(batches).await;
    }
    // From the operator's command to an import job to the batches.
    assert_eq!(longest, Some(1));
    eprintln!("longest chain of a campaign that was paused {PAUSES} times: 1 hop");
    env.send_all().await;
    assert_eq!(env.simulator.state.stats().accepted, 10);
}

#[test]
fn message_without_hops_is_the_first_of_its_chain() {
    let batch: Batch = serde_json::from_str(r#"{"campaign":"c1","rows":[]}"#).unwrap();
    assert_eq!(batch.hops, 0);
}
