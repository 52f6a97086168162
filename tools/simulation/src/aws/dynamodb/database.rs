//! Dynoxide with the tables of a stack.

use std::sync::{Arc, Mutex, PoisonError};

use dynoxide::storage_backend::Clock;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::resources::{Resources, TableSpec};
use crate::clock;

/// A database that has the tables and nothing in them, for the next world.
static PREPARED: Mutex<Option<Database>> = Mutex::new(None);

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

/// Makes the tables of the next world. Each process that is forked afterwards has a copy.
pub(super) fn prepare(resources: &Resources) {
    let database = create(resources);
    *PREPARED.lock().unwrap_or_else(PoisonError::into_inner) = Some(database);
}

/// The database that was prepared, or a new one.
pub(super) fn open(resources: &Resources) -> Database {
    let prepared = PREPARED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    prepared.unwrap_or_else(|| create(resources))
}

fn create(resources: &Resources) -> Database {
    let database = must(Database::memory_with_clock(Arc::new(VirtualClock)));
    for (name, spec) in &resources.tables {
        create_table(&database, name, spec);
    }
    database
}

/// Creates a table, without its stream.
fn create_table(database: &Database, name: &str, spec: &TableSpec) {
    let mut create = spec.create.clone();
    create["TableName"] = json!(name);
    if let Some(create) = create.as_object_mut() {
        create.remove("StreamSpecification");
    }
    must(database.create_table(from_value(create)));
    if let Some(time_to_live) = &spec.time_to_live {
        let update = json!({"TableName": name, "TimeToLiveSpecification": time_to_live});
        must(database.update_time_to_live(from_value(update)));
    }
}

/// Every item of a table.
pub(super) fn scan(database: &Database, table: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut request = json!({"TableName": table});
    loop {
        let mut page = to_value(&must(database.scan(from_value(request.clone()))));
        if let Some(Value::Array(found)) = page.get_mut("Items").map(Value::take) {
            items.extend(found);
        }
        let Some(last) = page.get("LastEvaluatedKey") else {
            return items;
        };
        request["ExclusiveStartKey"] = last.clone();
    }
}

pub(super) fn must<T>(result: Result<T, DynoxideError>) -> T {
    result.unwrap_or_else(|error| panic!("dynoxide: {error}"))
}

pub(super) fn to_value<T: Serialize>(answer: &T) -> Value {
    serde_json::to_value(answer).unwrap_or_else(|error| panic!("dynoxide's answer: {error}"))
}

pub(super) fn from_value<T: DeserializeOwned>(request: Value) -> T {
    serde_json::from_value(request).unwrap_or_else(|error| panic!("dynoxide's request: {error}"))
}
