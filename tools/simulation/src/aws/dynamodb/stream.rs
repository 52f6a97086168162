//! The stream of a table: what each write changed. Dynoxide has streams, but reads all records of a table for each write.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::resources::TableSpec;
use crate::clock;
use crate::random::hash;

/// Shards of a stream: several, so that nobody relies on an order across partition keys.
pub(super) const SHARDS: usize = 2;

/// Sequence numbers have 21 digits.
const FIRST_SEQUENCE: u128 = 100_000_000_000_000_000_000;

/// A record of a table's stream.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// Its position in its shard, from 1.
    pub position: usize,
    /// The record as Lambda's event has it.
    pub record: Value,
}

/// A table's stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// The names of the key's attributes: the partition key's first.
    key: Vec<String>,
    view: String,
    /// What the table has now, by the text of the key.
    items: BTreeMap<String, Value>,
    last_sequence: u128,
    shards: [Vec<StreamRecord>; SHARDS],
}

impl Stream {
    /// The stream of a new table, if it has one.
    pub(super) fn of(spec: &TableSpec) -> Option<Self> {
        let view = spec.create["StreamSpecification"]["StreamViewType"].as_str()?;
        Some(Self {
            key: spec.key.clone(),
            view: view.to_owned(),
            items: BTreeMap::new(),
            last_sequence: FIRST_SEQUENCE,
            shards: Default::default(),
        })
    }

    /// The key of an item, or of a request's `Key`.
    pub(super) fn key_of(&self, item: &Value) -> Value {
        let fields = self.key.iter();
        let fields: Map<_, _> = fields
            .map(|name| (name.clone(), item[name].clone()))
            .collect();
        Value::Object(fields)
    }

    /// The records of a shard after the position `after`.
    pub(super) fn records(&self, shard: usize, after: usize) -> &[StreamRecord] {
        &self.shards[shard][after..]
    }

    /// Takes note that a request wrote this item, or deleted it.
    pub(super) fn written(&mut self, key: Value, item: Option<Value>) {
        let text = key.to_string();
        let old = match &item {
            Some(item) => self.items.insert(text, item.clone()),
            None => self.items.remove(&text),
        };
        self.push(key, old, item, None);
    }

    /// Takes note that everything but `present` has expired.
    pub(super) fn expired(&mut self, present: &BTreeSet<String>) {
        let expired: Vec<String> = self
            .items
            .keys()
            .filter(|text| !present.contains(*text))
            .cloned()
            .collect();
        for text in expired {
            if let Some(old) = self.items.remove(&text) {
                let service = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
                self.push(self.key_of(&old), Some(old), None, Some(service));
            }
        }
    }

    fn push(&mut self, key: Value, old: Option<Value>, new: Option<Value>, user: Option<Value>) {
        // A write that changed nothing has no record (AWS, "Change data capture for DynamoDB Streams").
        if old == new {
            return;
        }
        let event = match (&old, &new) {
            (None, _) => "INSERT",
            (_, None) => "REMOVE",
            _ => "MODIFY",
        };
        let now_ms = clock::now_ms();
        let sequence = FIRST_SEQUENCE + 1_000 * u128::from(now_ms);
        self.last_sequence = sequence.max(self.last_sequence + 1);
        let sequence = self.last_sequence.to_string();
        let partition = key[&self.key[0]].to_string();
        let shard = hash(0, partition.as_bytes()) as usize % SHARDS;
        let size = [Some(&key), old.as_ref(), new.as_ref()]
            .into_iter()
            .flatten();
        let mut change = json!({
            "ApproximateCreationDateTime": (now_ms / 1_000) as f64,
            "SequenceNumber": sequence, "SizeBytes": size.map(bytes).sum::<usize>(),
            "StreamViewType": self.view, "Keys": key,
        });
        if let Some(old) = old.filter(|_| self.view == "NEW_AND_OLD_IMAGES") {
            change["OldImage"] = old;
        }
        if let Some(new) = new {
            change["NewImage"] = new;
        }
        let mut record = json!({
            "eventID": format!("{:032x}", hash(1, sequence.as_bytes())),
            "eventName": event, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": super::super::REGION, "dynamodb": change,
        });
        if let Some(user) = user {
            record["userIdentity"] = user;
        }
        let position = self.shards[shard].len() + 1;
        self.shards[shard].push(StreamRecord { position, record });
    }
}

/// The size of names and values.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + bytes(value))
            .sum(),
        _ => 1,
    }
}
