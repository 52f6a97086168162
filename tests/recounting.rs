//! Recounts: wrong counters are corrected, right ones and those that are only late are not.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use campaign::lifecycle::counters::Counters;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says, text};
use crate::harness::{TestEnv, recipients_csv};

/// Requests a recount and runs it, while the counter reads the ledger's stream as far as `deliver` has it. Returns the job.
async fn recount(env: &TestEnv, id: &CampaignId, deliver: StreamPart) -> Value {
    let api = ApiClient::new(env);
    let path = format!("/v1/campaigns/{id}/recount");
    api.post(&path, Value::Null).await.expect(202);
    let counter = env.counter();
    let before = env.markers(id).await;
    let read_stream = async {
        let markers = env.wait_for_markers(id, &before).await;
        let items = match deliver {
            StreamPart::Markers => markers,
            StreamPart::RowsAndMarkers => [env.ledger_items(id).await, markers].concat(),
        };
        // Each recount reads behind what the one before has read.
        let first = 1000 * (1 + before.len());
        let event = TestEnv::stream_event(first, &items);
        counter.handle(event).await.unwrap();
    };
    tokio::join!(env.run_next_job(), read_stream);
    api.get(&path).await.expect(200)
}

/// What the stream still has when a recount begins.
#[derive(Clone, Copy)]
enum StreamPart {
    /// Nothing but the recount's markers.
    Markers,
    /// Every change of the rows, then the markers.
    RowsAndMarkers,
}

/// Stores a shard that counted some rows twice and missed others.
async fn store_wrong_counters(env: &TestEnv, id: &CampaignId) {
    let mut shard = env.counters.get_shard(id, "shard-1").await.unwrap();
    shard.last_sequence.push('1');
    shard.counters = Counters {
        accepted: 130,
        claimed: -7,
        attempts: 12,
        ..Counters::default()
    };
    let stored = env
        .counters
        .compare_and_set(id, "shard-1", "", &shard, cloud::now());
    assert!(stored.await.unwrap());
}

async fn show(env: &TestEnv, id: &CampaignId) -> Value {
    let shown = ApiClient::new(env)
        .get(&format!("/v1/campaigns/{id}"))
        .await;
    shown.expect(200)
}

async fn assert_counts_are_right(env: &TestEnv, id: &CampaignId) {
    let expected = json!({"state": "finished", "rows": {"balanced": true, "accepted": 100},
        "sending": {"attempts": 100}});
    assert_has(&show(env, id).await, &expected);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recount_corrects_wrong_counters_and_keeps_right_ones() {
    let env = TestEnv::new().await;
    let id = env.import_campaign(100, |_| {}).await.id;
    env.send_all().await;
    store_wrong_counters(&env, &id).await;
    assert_eq!(show(&env, &id).await["rows"]["balanced"], false);
    for outcome in ["were wrong", "were right"] {
        let job = recount(&env, &id, StreamPart::Markers).await;
        assert_eq!(job["state"], "done");
        assert_says(text(&job["outcome"]), &[outcome]);
        assert_counts_are_right(&env, &id).await;
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recount_waits_for_what_is_not_counted_yet() {
    let env = TestEnv::new().await;
    let id = env.import_campaign(100, |_| {}).await.id;
    env.send_all().await;
    let job = recount(&env, &id, StreamPart::RowsAndMarkers).await;
    assert_says(text(&job["outcome"]), &["were right"]);
    assert_counts_are_right(&env, &id).await;
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recount_sees_a_file_that_is_imported_meanwhile() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let path = format!("/v1/campaigns/{id}/recount");
    api.post(&path, Value::Null).await.expect(202);
    let counter = env.counter();
    let import_and_claim = async {
        let markers = env.wait_for_markers(&id, &[]).await;
        env.import_file(&id, recipients_csv(10).as_bytes()).await;
        for row in 1..=10 {
            env.claim_row(&id, row).await;
        }
        let items = [env.ledger_items(&id).await, markers.clone()].concat();
        let event = TestEnv::stream_event(1, &items);
        counter.handle(event).await.unwrap();
        let again = env.wait_for_markers(&id, &markers).await;
        let event = TestEnv::stream_event(100, &again);
        counter.handle(event).await.unwrap();
    };
    tokio::join!(env.run_next_job(), import_and_claim);
    let job = api.get(&path).await.expect(200);
    assert_says(text(&job["outcome"]), &["were right"]);
    assert_eq!(env.counters.sum(&id).await.unwrap().claimed, 10);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn marker_that_is_written_or_read_again_counts_once() {
    let env = TestEnv::new().await;
    let id = env.import_campaign(100, |_| {}).await.id;
    let set = env.ledger.write_markers(&id, 100, cloud::now()).await;
    let set = set.unwrap();
    assert_eq!(set.markers, 2, "100 rows are in two partitions");
    let markers = env.markers(&id).await;
    let counter = env.counter();
    for event in [
        TestEnv::stream_event(1, &markers),
        TestEnv::stream_event(1, &markers),
        TestEnv::rewrite_event(3, &markers),
    ] {
        counter.handle(event).await.unwrap();
    }
    let counted = env.counters.get(&id).await.unwrap();
    assert_eq!(counted.markers(&set.id), 2);
    assert_eq!(counted.sum(), Counters::default());
    let rows = env.ledger_rows_up_to(&id, 100).await;
    assert_eq!(rows, [], "a marker is no row");
}
