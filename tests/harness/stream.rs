//! The ledger's stream, made of what the table holds.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use campaign::id::{CampaignId, ROWS_PER_PARTITION};
use counter::StreamEvent;
use serde_dynamo::{AttributeValue, Item};
use serde_json::{Value, json};

use super::json::sample_event;
use super::{TIMEOUT, TestEnv};

impl TestEnv {
    /// The rows of a campaign as the table has them.
    pub(crate) async fn ledger_items(&self, id: &CampaignId) -> Vec<Item> {
        let items = self.items_of(id).await.into_iter();
        items.filter(|item| marker_set(item).is_none()).collect()
    }

    /// The markers of a campaign as the table has them.
    pub(crate) async fn markers(&self, id: &CampaignId) -> Vec<Item> {
        let items = self.items_of(id).await.into_iter();
        items.filter(|item| marker_set(item).is_some()).collect()
    }

    /// A complete set of markers that is not the one before.
    pub(crate) async fn wait_for_markers(&self, id: &CampaignId, before: &[Item]) -> Vec<Item> {
        let last = self.load_campaign(id).await.last_row();
        let partitions = 1 + last / ROWS_PER_PARTITION;
        let before = before.first().and_then(marker_set);
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let markers = self.markers(id).await;
            let sets: HashSet<Option<String>> = markers.iter().map(marker_set).collect();
            if markers.len() == partitions as usize && sets.len() == 1 && !sets.contains(&before) {
                return markers;
            }
            assert!(Instant::now() < deadline, "no markers in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn items_of(&self, id: &CampaignId) -> Vec<Item> {
        let scan = self.aws.dynamodb.scan();
        let scan = scan.table_name(self.table("MessagesTable"));
        let mut items = scan.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            let item = Item::from(item.unwrap());
            if text_of(&item, "partition_key").is_some_and(|key| key.starts_with(id.as_str())) {
                found.push(item);
            }
        }
        found
    }

    /// An event in which these items are new, in this order, and the first is the stream's `first` record.
    pub(crate) fn stream_event(first: usize, items: &[Item]) -> StreamEvent {
        event(first, items, |_| json!({}))
    }

    /// An event in which these items were written once more.
    pub(crate) fn rewrite_event(first: usize, items: &[Item]) -> StreamEvent {
        event(first, items, |item| json!(item))
    }
}

fn event(first: usize, items: &[Item], old_image: impl Fn(&Item) -> Value) -> StreamEvent {
    let sample = sample_event("counter.stream.json")["Records"][0].clone();
    let record = |(number, item): (usize, &Item)| {
        let mut record = sample.clone();
        let change = &mut record["dynamodb"];
        change["ApproximateCreationDateTime"] = json!(cloud::now() / 1000);
        change["NewImage"] = json!(item);
        change["OldImage"] = old_image(item);
        change["SequenceNumber"] = json!((first + number).to_string());
        record
    };
    let records: Vec<Value> = items.iter().enumerate().map(record).collect();
    serde_json::from_value(json!({"Records": records, "shardId": "ledger-stream"})).unwrap()
}

fn marker_set(item: &Item) -> Option<String> {
    text_of(item, "marker_set").map(str::to_owned)
}

fn text_of<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    }
}
