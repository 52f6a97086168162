//! The tally: repeated and overlapping batches add nothing.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use campaign::lifecycle::counters::Counters;
use counter::{Counter, StreamEvent};
use serde_json::{Value, json};

use crate::architecture::sample_event;
use crate::harness::TestEnv;

async fn handle_event(tally: &Counter, event: &Value) {
    let event: StreamEvent = serde_json::from_value(event.clone()).unwrap();
    tally.handle(event).await.unwrap();
}

fn slice_records(sample: &Value, records: std::ops::Range<usize>) -> Value {
    let mut part = sample.clone();
    part["Records"] = json!(sample["Records"].as_array().unwrap()[records]);
    part
}

fn counts(counters: &Counters) -> [i64; 5] {
    [
        counters.claimed,
        counters.accepted,
        counters.sent,
        counters.delivered,
        counters.attempts,
    ]
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn overlapping_and_repeated_batches_count_once() {
    let world = TestEnv::new().await;
    let campaign: CampaignId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    let sample = sample_event("counter.stream.json");
    let (one, two) = (
        Counter::new(world.counters.clone(), world.campaigns.clone(), None),
        Counter::new(world.counters.clone(), world.campaigns.clone(), None),
    );
    handle_event(&one, &slice_records(&sample, 0..1)).await;
    assert_eq!(
        counts(&world.counters.sum(&campaign).await.unwrap()),
        [1, 0, 0, 0, 1]
    );
    // Another process, cut differently; then the first again, which remembers an older count.
    handle_event(&two, &slice_records(&sample, 0..2)).await;
    handle_event(&one, &sample).await;
    handle_event(&two, &sample).await;
    handle_event(&one, &slice_records(&sample, 0..0)).await;
    let total = world.counters.sum(&campaign).await.unwrap();
    assert_eq!(counts(&total), [0, 1, 1, 1, 1]);
    assert_eq!(total.first_attempt_at, Some(1_790_000_000_000));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn shards_add_up_and_need_an_id() {
    let world = TestEnv::new().await;
    let campaign: CampaignId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    let sample = sample_event("counter.stream.json");
    let tally = Counter::new(world.counters.clone(), world.campaigns.clone(), None);
    handle_event(&tally, &slice_records(&sample, 0..2)).await;
    // The row's partition moved to a child shard, whose numbers are its own.
    let mut child = slice_records(&sample, 2..3);
    child["shardId"] = json!("shardId-child");
    child["Records"][0]["dynamodb"]["SequenceNumber"] = json!("1");
    handle_event(&tally, &child).await;
    assert_eq!(
        counts(&world.counters.sum(&campaign).await.unwrap()),
        [0, 1, 1, 1, 1]
    );
    let mut nameless = sample.clone();
    nameless.as_object_mut().unwrap().remove("shardId");
    let refused = tally
        .handle(serde_json::from_value(nameless).unwrap())
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("TumblingWindowInSeconds")
    );
}

/// `count` rows of a campaign that end in `state`, numbered from `first`.
fn final_records(id: &CampaignId, first: usize, count: usize, state: &str) -> Vec<Value> {
    let sample = sample_event("counter.stream.json")["Records"][0].clone();
    let record = |number: usize| {
        let mut record = sample.clone();
        let change = &mut record["dynamodb"];
        change["SequenceNumber"] = json!(number.to_string());
        change["NewImage"]["partition_key"]["S"] = json!(format!("{id}#0"));
        change["NewImage"]["row"]["S"] = json!(format!("{number:010}"));
        change["NewImage"]["state"]["S"] = json!(state);
        record
    };
    (first..first + count).map(record).collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn circuit_breaker_pauses_campaign_and_starts_anew_after_resume() {
    let world = TestEnv::new().await;
    let tally = Counter::new(world.counters.clone(), world.campaigns.clone(), None);
    let campaign = world.create_campaign(CampaignState::Sending).await.id;
    let batch = async |records: Vec<Value>| {
        handle_event(&tally, &json!({"Records": records, "shardId": "shard"})).await;
        world.load_campaign(&campaign).await
    };
    batch(final_records(&campaign, 1, 79, "accepted")).await;
    let fine = batch(final_records(&campaign, 80, 20, "rejected")).await;
    assert_eq!(fine.state, CampaignState::Sending, "too few to tell");
    let fine = batch(final_records(&campaign, 100, 1, "accepted")).await;
    assert_eq!(fine.state, CampaignState::Sending, "20 of 100 are allowed");
    let stopped = batch(final_records(&campaign, 101, 1, "unconfirmed")).await;
    assert_eq!(stopped.state, CampaignState::Paused);
    let reason = stopped.reason.unwrap();
    assert!(
        reason.contains("21 of the latest 101") && reason.contains("20 %"),
        "{reason}"
    );
    // An operator who looked at it and goes on is not stopped by the same rows again.
    let paused = [CampaignState::Paused];
    let resumed = world
        .campaigns
        .transition(&campaign, CampaignState::Sending, &paused, None);
    assert!(resumed.await.unwrap());
    let on = batch(final_records(&campaign, 102, 50, "rejected")).await;
    assert_eq!(on.state, CampaignState::Sending);
    let off = batch(final_records(&campaign, 152, 50, "rejected")).await;
    assert_eq!(off.state, CampaignState::Paused);
}
