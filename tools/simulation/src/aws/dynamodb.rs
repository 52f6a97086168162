//! DynamoDB: dynoxide in memory, and what it lacks: streams of several shards, without updates that changed
//! nothing.
//!
//! - [`database`]: dynoxide with the tables
//! - [`stream`]: the streams
//! - [`plain`], [`request_text`]: items and requests for people and the checker

mod database;
mod plain;
mod request_text;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::message::Response;
use super::resources::{Resources, TableSpec};
use tokio::sync::Notify;

use self::database::{from_value, must, scan, to_value};
use self::plain::to_plain_item;
pub use self::stream::StreamRecord;
use self::stream::{SHARDS, Stream};

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

impl State {
    fn count_write(&mut self) {
        self.writes += 1;
        self.written.notify_waiters();
    }

    /// Executes a write, and notes in the streams what it changed.
    fn write(&mut self, operation: &str, request: Value) -> Response {
        if operation == "UpdateItem" {
            return self.update(request);
        }
        let writes = self.writes_of(operation, &request);
        let database = &self.database;
        let response = match operation {
            "PutItem" => execute(request, |request| database.put_item(request)),
            "DeleteItem" => execute(request, |request| database.delete_item(request)),
            _ => execute(request, |request| database.batch_write_item(request)),
        };
        if response.status == 200 {
            for (table, key, item) in writes {
                if let Some(stream) = self.stream(&table) {
                    stream.written(key, item);
                }
            }
        }
        response
    }

    /// What a request writes into tables with a stream: table, key, and the item unless it is deleted.
    fn writes_of(
        &mut self,
        operation: &str,
        request: &Value,
    ) -> Vec<(String, Value, Option<Value>)> {
        let mut writes = Vec::new();
        let mut add = |table: &str, key: &Value, item: Option<&Value>| {
            if let Some(stream) = self.stream(table) {
                let key = stream.key_of(item.unwrap_or(key));
                writes.push((table.to_owned(), key, item.cloned()));
            }
        };
        let table = request["TableName"].as_str().unwrap_or_default();
        match operation {
            "PutItem" => add(table, &Value::Null, request.get("Item")),
            "DeleteItem" => add(table, &request["Key"], None),
            _ => {
                for (table, entries) in request["RequestItems"].as_object().into_iter().flatten() {
                    for entry in entries.as_array().into_iter().flatten() {
                        let (put, delete) = (entry.get("PutRequest"), &entry["DeleteRequest"]);
                        add(table, &delete["Key"], put.map(|put| &put["Item"]));
                    }
                }
            }
        }
        writes
    }

    /// Executes `UpdateItem`, and notes what the item is now.
    fn update(&mut self, mut request: Value) -> Response {
        let database = &self.database;
        let table = request["TableName"].as_str().unwrap_or_default().to_owned();
        let stream = self.tables.get_mut(&table);
        let Some(stream) = stream.and_then(|table| table.stream.as_mut()) else {
            return execute(request, |request| database.update_item(request));
        };
        let key = request["Key"].clone();
        let wanted = request["ReturnValues"]
            .as_str()
            .unwrap_or("NONE")
            .to_owned();
        assert!(
            matches!(&*wanted, "NONE" | "ALL_NEW"),
            "UpdateItem returns {wanted}"
        );
        request["ReturnValues"] = json!("ALL_NEW");
        execute(request, |request| {
            let mut answer = database.update_item(request)?;
            stream.written(
                stream.key_of(&key),
                answer.attributes.as_ref().map(to_value),
            );
            if wanted == "NONE" {
                answer.attributes = None;
            }
            Ok(answer)
        })
    }

    fn stream(&mut self, table: &str) -> Option<&mut Stream> {
        self.tables.get_mut(table)?.stream.as_mut()
    }
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DynamoDb")
    }
}

impl DynamoDb {
    pub(super) fn new(resources: &Resources) -> Self {
        let tables = resources.tables.iter().map(|(name, spec)| {
            let (spec, stream) = (spec.clone(), Stream::of(spec));
            (name.clone(), Table { spec, stream })
        });
        let tables = tables.collect();
        Self(Arc::new(Mutex::new(State {
            database: database::open(resources),
            tables,
            writes: 1,
            written: Arc::default(),
        })))
    }

    /// Makes the tables of the next world, once for all processes that are forked afterwards.
    pub fn prepare(resources: &Resources) {
        database::prepare(resources);
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
        let stream = get(&mut state.tables, table).stream.as_ref();
        let stream = stream.unwrap_or_else(|| panic!("a table without a stream"));
        stream.records(shard, after).to_vec()
    }

    /// Deletes the items that have expired. The real service does this within a few days.
    pub fn sweep_ttl(&self) -> usize {
        let state = &mut *self.lock();
        state.count_write();
        let expired = must(state.database.sweep_ttl());
        if expired > 0 {
            for (name, table) in &mut state.tables {
                let items = table.stream.as_ref().map(|_| scan(&state.database, name));
                if let (Some(stream), Some(items)) = (&mut table.stream, items) {
                    let keys = items.iter().map(|item| stream.key_of(item).to_string());
                    let keys: BTreeSet<String> = keys.collect();
                    stream.expired(&keys);
                }
            }
        }
        expired
    }

    /// The names of all tables, in order.
    pub fn tables(&self) -> Vec<String> {
        self.lock().tables.keys().cloned().collect()
    }

    /// Every item of a table as plain JSON, such as `{"attempt": 1}`, in the order of their keys.
    pub fn all_items(&self, table: &str) -> Vec<Value> {
        let mut state = self.lock();
        let key = get(&mut state.tables, table).spec.key.clone();
        let items = scan(&state.database, table);
        let mut items: Vec<Value> = items.iter().map(to_plain_item).collect();
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
        if matches!(
            operation,
            "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem"
        ) {
            let response = state.write(operation, request);
            return with_undone(response, "UnprocessedItems", undone);
        }
        let database = &state.database;
        match operation {
            "GetItem" => execute(request, |request| database.get_item(request)),
            "Query" => execute(request, |request| database.query(request)),
            "Scan" => execute(request, |request| database.scan(request)),
            "BatchGetItem" => with_undone(
                execute(request, |request| database.batch_get_item(request)),
                "UnprocessedKeys",
                undone,
            ),
            other => panic!("the simulation's DynamoDB has no {other}"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
