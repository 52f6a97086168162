//! The counter: repeated and overlapping stream batches add nothing; too many failures pause a campaign.

use std::ops::Range;

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use campaign::lifecycle::counters::Counters;
use campaign::lifecycle::event::Event;
use counter::{Counter, StreamEvent};
use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::harness::json::{assert_says, sample_event};

/// The campaign of the sample event.
const SAMPLE_CAMPAIGN: &str = "0198c0de-0000-7000-8000-000000000001";

async fn handle_event(counter: &Counter, event: &Value) {
    let event: StreamEvent = serde_json::from_value(event.clone()).unwrap();
    counter.handle(event).await.unwrap();
}

/// The sample event with some of its records only.
fn slice_records(sample: &Value, records: Range<usize>) -> Value {
    let mut slice = sample.clone();
    slice["Records"] = json!(sample["Records"].as_array().unwrap()[records]);
    slice
}

/// The sample campaign's counters: claimed, accepted, sent, delivered, attempts.
async fn counts(env: &TestEnv) -> [i64; 5] {
    let counters = sample_counters(env).await;
    [
        counters.claimed,
        counters.accepted,
        counters.sent,
        counters.delivered,
        counters.attempts,
    ]
}

async fn sample_counters(env: &TestEnv) -> Counters {
    let campaign: CampaignId = SAMPLE_CAMPAIGN.parse().unwrap();
    env.counters.sum(&campaign).await.unwrap()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn overlapping_and_repeated_batches_count_once() {
    let env = TestEnv::new().await;
    let sample = sample_event("counter.stream.json");
    let (first, second) = (env.counter(), env.counter());
    handle_event(&first, &slice_records(&sample, 0..1)).await;
    assert_eq!(counts(&env).await, [1, 0, 0, 0, 1]);
    // Another process gets other batches; then the first one goes on, which remembers older counters.
    handle_event(&second, &slice_records(&sample, 0..2)).await;
    handle_event(&first, &sample).await;
    handle_event(&second, &sample).await;
    handle_event(&first, &slice_records(&sample, 0..0)).await;
    assert_eq!(counts(&env).await, [0, 1, 1, 1, 1]);
    let counters = sample_counters(&env).await;
    assert_eq!(counters.first_attempt_at, Some(1_790_000_000_000));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn shards_add_up_and_need_an_id() {
    let env = TestEnv::new().await;
    let sample = sample_event("counter.stream.json");
    let counter = env.counter();
    handle_event(&counter, &slice_records(&sample, 0..2)).await;
    // The row's partition moved to a child shard, which has sequence numbers of its own.
    let mut child = slice_records(&sample, 2..3);
    child["shardId"] = json!("shardId-child");
    child["Records"][0]["dynamodb"]["SequenceNumber"] = json!("1");
    handle_event(&counter, &child).await;
    assert_eq!(counts(&env).await, [0, 1, 1, 1, 1]);

    let mut without_id = sample.clone();
    without_id.as_object_mut().unwrap().remove("shardId");
    let event = serde_json::from_value(without_id).unwrap();
    let error = counter.handle(event).await.unwrap_err();
    assert_says(&error.to_string(), &["TumblingWindowInSeconds"]);
}

/// `count` stream records of rows that end in `state`, numbered from `first`.
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
    let env = TestEnv::new().await;
    let counter = env.counter();
    let id = env.create_campaign(CampaignState::Sending).await.id;
    let after = async |first, count, state| -> Campaign {
        let records = final_records(&id, first, count, state);
        handle_event(&counter, &json!({"Records": records, "shardId": "shard"})).await;
        env.load_campaign(&id).await
    };
    after(1, 79, "accepted").await;
    let few = after(80, 20, "rejected").await;
    assert_eq!(
        few.state(cloud::now()),
        CampaignState::Sending,
        "too few outcomes"
    );
    let allowed = after(100, 1, "accepted").await;
    assert_eq!(
        allowed.state(cloud::now()),
        CampaignState::Sending,
        "20 of 100 are allowed"
    );
    let paused = after(101, 1, "unconfirmed").await;
    assert_eq!(paused.state(cloud::now()), CampaignState::Paused);
    assert_says(
        paused.reason(cloud::now()).unwrap(),
        &["21 of the latest 101", "20 %"],
    );

    // The operator resumes: the same rows do not pause the campaign again.
    env.apply(&id, Event::Resume).await;
    assert_eq!(
        after(102, 50, "rejected").await.state(cloud::now()),
        CampaignState::Sending
    );
    assert_eq!(
        after(152, 50, "rejected").await.state(cloud::now()),
        CampaignState::Paused
    );
}
