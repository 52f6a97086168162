//! DynamoDB: dynoxide in memory, and what it lacks: streams of several shards, without updates that changed
//! nothing.

mod plain;
mod request_text;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynoxide::storage_backend::Clock;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::message::Response;
use super::resources::{Resources, TableSpec};
use tokio::sync::Notify;

use self::plain::to_plain_item;
use crate::clock;
use crate::random::hash;

/// Shards of a stream: several, so that nobody relies on an order across partition keys.
const SHARDS: usize = 2;

/// DynamoDB. Clones are the same.
#[derive(Clone)]
pub struct DynamoDb(Arc<Mutex<State>>);

struct State {
    database: Database,
    tables: BTreeMap<String, Table>,
    /// The number of requests that may have written something.
    writes: u64,
    written: Arc<Notify>,
}

struct Table {
    spec: TableSpec,
    stream: Option<Stream>,
}

#[derive(Default)]
struct Stream {
    iterator: String,
    /// The number of writes when the stream was last read: nothing is new if there are no more.
    read_at: u64,
    shards: [Vec<StreamRecord>; SHARDS],
}

/// A record of a table's stream.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// Its position in its shard, from 1.
    pub position: usize,
    /// The record as Lambda's event has it.
    pub record: Value,
}

/// Virtual time without skew.
struct VirtualClock;

impl Clock for VirtualClock {
    fn now_unix_secs(&self) -> u64 {
        clock::now_ms() / 1000
    }

    fn now_unix_secs_f64(&self) -> f64 {
        clock::now_ms() as f64 / 1000.0
    }
}

impl State {
    fn count_write(&mut self) {
        self.writes += 1;
        self.written.notify_waiters();
    }
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DynamoDb")
    }
}

impl DynamoDb {
    pub(super) fn new(resources: &Resources) -> Self {
        let database = must(Database::memory_with_clock(Arc::new(VirtualClock)));
        let tables = resources.tables.iter().map(|(name, spec)| {
            let spec = spec.clone();
            let stream = create_table(&database, name, &spec);
            (name.clone(), Table { spec, stream })
        });
        let tables = tables.collect();
        Self(Arc::new(Mutex::new(State {
            database,
            tables,
            writes: 1,
            written: Arc::default(),
        })))
    }

    /// The shards of a table's stream are numbered from 0; this is their number.
    pub fn shards(&self) -> usize {
        SHARDS
    }

    /// Waits until there are more than `seen` requests that may have written something; returns their number.
    pub async fn wait_for_write(&self, seen: u64) -> u64 {
        loop {
            let (writes, written) = {
                let state = self.lock();
                (state.writes, Arc::clone(&state.written))
            };
            let written = written.notified();
            if writes > seen {
                return writes;
            }
            written.await;
        }
    }

    /// The records of a shard after the position `after` (0: all).
    pub fn take_records(&self, table: &str, shard: usize, after: usize) -> Vec<StreamRecord> {
        let state = &mut *self.lock();
        let (database, table) = (&state.database, get(&mut state.tables, table));
        let stream = table.stream.as_mut();
        let stream = stream.unwrap_or_else(|| panic!("a table without a stream"));
        if stream.read_at < state.writes {
            stream.read_new_records(database, &table.spec);
            stream.read_at = state.writes;
        }
        stream.shards[shard][after..].to_vec()
    }

    /// Deletes the items that have expired. The real service does this within a few days.
    pub fn sweep_ttl(&self) -> usize {
        let mut state = self.lock();
        state.count_write();
        must(state.database.sweep_ttl())
    }

    /// Every item of a table as plain JSON, such as `{"attempt": 1}`, in the order of their keys.
    pub fn all_items(&self, table: &str) -> Vec<Value> {
        let mut state = self.lock();
        let key = get(&mut state.tables, table).spec.key.clone();
        let mut items = Vec::new();
        let mut request = json!({"TableName": table});
        loop {
            let page = to_value(&must(state.database.scan(from_value(request.clone()))));
            let found = page["Items"].as_array().into_iter().flatten();
            items.extend(found.map(to_plain_item));
            let Some(last) = page.get("LastEvaluatedKey") else {
                break;
            };
            request["ExclusiveStartKey"] = last.clone();
        }
        items.sort_by_cached_key(|item| {
            key.iter()
                .map(|name| item[name].to_string())
                .collect::<Vec<_>>()
        });
        items
    }

    /// Executes an operation. If `is_partial`, a batch leaves the second half of its entries undone.
    pub(super) fn call(&self, operation: &str, mut request: Value, is_partial: bool) -> Response {
        let undone = if is_partial {
            take_second_half(&mut request)
        } else {
            json!({})
        };
        let state = &mut *self.lock();
        if !matches!(operation, "GetItem" | "Query" | "Scan" | "BatchGetItem") {
            state.count_write();
        }
        let database = &state.database;
        match operation {
            "GetItem" => execute(request, |request| database.get_item(request)),
            "PutItem" => execute(request, |request| database.put_item(request)),
            "UpdateItem" => execute(request, |request| database.update_item(request)),
            "DeleteItem" => execute(request, |request| database.delete_item(request)),
            "Query" => execute(request, |request| database.query(request)),
            "Scan" => execute(request, |request| database.scan(request)),
            "BatchGetItem" => with_undone(
                execute(request, |request| database.batch_get_item(request)),
                "UnprocessedKeys",
                undone,
            ),
            "BatchWriteItem" => with_undone(
                execute(request, |request| database.batch_write_item(request)),
                "UnprocessedItems",
                undone,
            ),
            other => panic!("the simulation's DynamoDB has no {other}"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn read_new_records(&mut self, database: &Database, spec: &TableSpec) {
        loop {
            let request = json!({"ShardIterator": self.iterator});
            let page = to_value(&must(database.get_records(from_value(request))));
            let records = page["Records"].as_array().cloned().unwrap_or_default();
            let next = page["NextShardIterator"].as_str();
            self.iterator = next.unwrap_or(&self.iterator).to_owned();
            if records.is_empty() {
                return;
            }
            for record in records {
                self.push(record, spec);
            }
        }
    }

    fn push(&mut self, mut record: Value, spec: &TableSpec) {
        let images = &mut record["dynamodb"];
        // An update that changed nothing has no record (AWS, "Change data capture for DynamoDB Streams").
        if images["NewImage"] == images["OldImage"] {
            return;
        }
        let view = &spec.create["StreamSpecification"]["StreamViewType"];
        if view == "NEW_IMAGE" {
            images
                .as_object_mut()
                .map(|images| images.remove("OldImage"));
        }
        images["StreamViewType"] = view.clone();
        let partition_key = images["Keys"][&spec.key[0]].to_string();
        let shard = hash(0, partition_key.as_bytes()) as usize % SHARDS;
        let position = self.shards[shard].len() + 1;
        self.shards[shard].push(StreamRecord { position, record });
    }
}

/// What a request is about.
pub(super) fn describe(dynamodb: &DynamoDb, request: &Value) -> String {
    let state = dynamodb.lock();
    let key_of = |table: &str| match state.tables.get(table) {
        Some(table) => table.spec.key.clone(),
        None => Vec::new(),
    };
    request_text::describe(request, key_of)
}

/// Creates a table; the stream's iterator, if it has one.
fn create_table(database: &Database, name: &str, spec: &TableSpec) -> Option<Stream> {
    let mut create = spec.create.clone();
    create["TableName"] = json!(name);
    if spec.has_stream {
        // Both images, to find the updates that changed nothing.
        create["StreamSpecification"]["StreamViewType"] = json!("NEW_AND_OLD_IMAGES");
    }
    let created = to_value(&must(database.create_table(from_value(create))));
    if let Some(time_to_live) = &spec.time_to_live {
        let update = json!({"TableName": name, "TimeToLiveSpecification": time_to_live});
        must(database.update_time_to_live(from_value(update)));
    }
    let stream = created["TableDescription"]["LatestStreamArn"].as_str()?;
    let described = database.describe_stream(from_value(json!({"StreamArn": stream})));
    let described = to_value(&must(described));
    let request = json!({
        "StreamArn": stream,
        "ShardId": described["StreamDescription"]["Shards"][0]["ShardId"],
        "ShardIteratorType": "TRIM_HORIZON",
    });
    let iterator = to_value(&must(database.get_shard_iterator(from_value(request))));
    Some(Stream {
        iterator: iterator["ShardIterator"].as_str()?.to_owned(),
        ..Stream::default()
    })
}

fn execute<Q: DeserializeOwned, A: Serialize>(
    request: Value,
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Response {
    match call(from_value(request)) {
        Ok(answer) => Response {
            body: serde_json::to_vec(&answer)
                .unwrap_or_else(|error| panic!("dynoxide's answer: {error}")),
            ..Response::json(&Value::Null)
        },
        Err(error) => {
            let code = error.error_type().rsplit('#').next();
            Response {
                status: error.status_code(),
                body: error.to_json().into_bytes(),
                code: code.map(str::to_owned),
                ..Response::json(&Value::Null)
            }
        }
    }
}

/// Takes the second half of a batch's entries out of it.
fn take_second_half(request: &mut Value) -> Value {
    let mut taken = json!({});
    let requests = request["RequestItems"].as_object_mut();
    for (table, entries) in requests.into_iter().flatten() {
        let mut undone = entries.clone();
        let halve = |entries: &mut Value, first: bool| {
            let list = match entries.get("Keys") {
                Some(_) => &mut entries["Keys"],
                None => entries,
            };
            if let Some(list) = list.as_array_mut() {
                let second = list.split_off(list.len().div_ceil(2));
                if !first {
                    *list = second;
                }
                return list.len();
            }
            0
        };
        halve(entries, true);
        if halve(&mut undone, false) > 0 {
            taken[table] = undone;
        }
    }
    taken
}

fn with_undone(response: Response, name: &str, undone: Value) -> Response {
    let is_complete = undone.as_object().is_none_or(|undone| undone.is_empty());
    if response.status != 200 || is_complete {
        return response;
    }
    let mut answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    answer[name] = undone;
    Response::json(&answer)
}

fn get<'t>(tables: &'t mut BTreeMap<String, Table>, name: &str) -> &'t mut Table {
    tables
        .get_mut(name)
        .unwrap_or_else(|| panic!("the simulation has no table {name}"))
}

fn must<T>(result: Result<T, DynoxideError>) -> T {
    result.unwrap_or_else(|error| panic!("dynoxide: {error}"))
}

fn to_value<T: Serialize>(answer: &T) -> Value {
    serde_json::to_value(answer).unwrap_or_else(|error| panic!("dynoxide's answer: {error}"))
}

fn from_value<T: DeserializeOwned>(request: Value) -> T {
    serde_json::from_value(request).unwrap_or_else(|error| panic!("dynoxide's request: {error}"))
}
