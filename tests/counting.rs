//! The tally: repeated and overlapping batches add nothing.

use campaign::id::CampaignId;
use campaign::record::CampaignState;
use campaign::tally::Counters;
use serde_json::{Value, json};
use tally::{StreamEvent, Tally};

use crate::architecture::event;
use crate::world::World;

async fn take(tally: &Tally, event: &Value) {
    let event: StreamEvent = serde_json::from_value(event.clone()).unwrap();
    tally.handle(event).await.unwrap();
}

fn part(sample: &Value, records: std::ops::Range<usize>) -> Value {
    let mut part = sample.clone();
    part["Records"] = json!(sample["Records"].as_array().unwrap()[records]);
    part
}

fn figures(counters: &Counters) -> [i64; 5] {
    [
        counters.claimed,
        counters.accepted,
        counters.sent,
        counters.delivered,
        counters.calls,
    ]
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_batch_counts_once_however_it_is_cut_and_repeated() {
    let world = World::new().await;
    let campaign: CampaignId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    let sample = event("tally.stream.json");
    let (one, two) = (
        Tally::new(world.counters.clone(), world.campaigns.clone(), None),
        Tally::new(world.counters.clone(), world.campaigns.clone(), None),
    );
    take(&one, &part(&sample, 0..1)).await;
    assert_eq!(
        figures(&world.counters.total(&campaign).await.unwrap()),
        [1, 0, 0, 0, 1]
    );
    // Another process, cut differently; then the first again, which remembers an older count.
    take(&two, &part(&sample, 0..2)).await;
    take(&one, &sample).await;
    take(&two, &sample).await;
    take(&one, &part(&sample, 0..0)).await;
    let total = world.counters.total(&campaign).await.unwrap();
    assert_eq!(figures(&total), [0, 1, 1, 1, 1]);
    assert_eq!(total.first_call_at, Some(1_790_000_000_000));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn shards_add_up_and_must_be_told_apart() {
    let world = World::new().await;
    let campaign: CampaignId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    let sample = event("tally.stream.json");
    let tally = Tally::new(world.counters.clone(), world.campaigns.clone(), None);
    take(&tally, &part(&sample, 0..2)).await;
    // The row's partition moved to a child shard, whose numbers are its own.
    let mut child = part(&sample, 2..3);
    child["shardId"] = json!("shardId-child");
    child["Records"][0]["dynamodb"]["SequenceNumber"] = json!("1");
    take(&tally, &child).await;
    assert_eq!(
        figures(&world.counters.total(&campaign).await.unwrap()),
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
fn ended(id: &CampaignId, first: usize, count: usize, state: &str) -> Vec<Value> {
    let sample = event("tally.stream.json")["Records"][0].clone();
    let record = |number: usize| {
        let mut record = sample.clone();
        let change = &mut record["dynamodb"];
        change["SequenceNumber"] = json!(number.to_string());
        change["NewImage"]["page"]["S"] = json!(format!("{id}#0"));
        change["NewImage"]["row"]["S"] = json!(format!("{number:010}"));
        change["NewImage"]["state"]["S"] = json!(state);
        record
    };
    (first..first + count).map(record).collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_campaign_stops_where_too_many_of_its_latest_rows_fail_and_counts_anew_then() {
    let world = World::new().await;
    let tally = Tally::new(world.counters.clone(), world.campaigns.clone(), None);
    let campaign = world.campaign(CampaignState::Sending).await.id;
    let batch = async |records: Vec<Value>| {
        take(&tally, &json!({"Records": records, "shardId": "shard"})).await;
        world.now(&campaign).await
    };
    batch(ended(&campaign, 1, 79, "accepted")).await;
    let fine = batch(ended(&campaign, 80, 20, "rejected")).await;
    assert_eq!(fine.state, CampaignState::Sending, "too few to tell");
    let fine = batch(ended(&campaign, 100, 1, "accepted")).await;
    assert_eq!(fine.state, CampaignState::Sending, "20 of 100 are allowed");
    let stopped = batch(ended(&campaign, 101, 1, "unconfirmed")).await;
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
        .enter(&campaign, CampaignState::Sending, &paused, None);
    assert!(resumed.await.unwrap());
    let on = batch(ended(&campaign, 102, 50, "rejected")).await;
    assert_eq!(on.state, CampaignState::Sending);
    let off = batch(ended(&campaign, 152, 50, "rejected")).await;
    assert_eq!(off.state, CampaignState::Paused);
}
