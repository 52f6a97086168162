//! The callbacks table: every update as Meta sent it, under its natural key, so repeats collapse.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use campaign::delivery::outcome::Millis;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::{Error, scan, ttl};

/// Items per `BatchWriteItem` (DynamoDB quotas).
const MAX_ITEMS_PER_REQUEST: usize = 25;

/// The most of an update that is kept, in bytes: an item holds 400 KB (DynamoDB quotas), real updates a few.
const MAX_RAW_BYTES: usize = 350_000;

/// Requests under way at once.
const MAX_CONCURRENT_REQUESTS: usize = 4;

/// How often items that DynamoDB left out of a successful answer are written again.
const MAX_ATTEMPTS: u32 = 8;

/// The callbacks table.
#[derive(Clone, Debug)]
pub struct Callbacks {
    client: Client,
    table: String,
    retention_days: u32,
}

/// An update to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCallback {
    /// Its natural key.
    pub key: String,
    /// Its JSON.
    pub json: String,
}

impl Callbacks {
    /// The table of that name; what it holds expires after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Writes every update or fails; writing one again changes nothing.
    pub async fn store(&self, updates: Vec<RawCallback>, now: Millis) -> Result<(), Error> {
        // A request may not name a key twice; of two with the same key either will do.
        let distinct: HashMap<String, String> =
            updates.into_iter().map(|raw| (raw.key, raw.json)).collect();
        let writes = distinct
            .into_iter()
            .map(|raw| self.put_request(raw, now))
            .collect::<Result<Vec<_>, _>>()?;
        let requests: Vec<Vec<WriteRequest>> = writes
            .chunks(MAX_ITEMS_PER_REQUEST)
            .map(<[_]>::to_vec)
            .collect();
        let written = stream::iter(requests).map(|request| self.write_batch(request));
        written
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect::<()>()
            .await
    }

    async fn write_batch(&self, mut writes: Vec<WriteRequest>) -> Result<(), Error> {
        for attempt in 0..MAX_ATTEMPTS {
            let request = self
                .client
                .batch_write_item()
                .request_items(&self.table, writes);
            let answer = request
                .send()
                .await
                .map_err(Error::from_sdk("store callbacks"))?;
            let left_out = answer
                .unprocessed_items
                .and_then(|mut items| items.remove(&self.table));
            writes = left_out.unwrap_or_default();
            if writes.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20 << attempt)).await;
        }
        Err(Error::new(
            "store callbacks",
            format!("DynamoDB left {} out {MAX_ATTEMPTS} times", writes.len()),
        ))
    }

    fn put_request(
        &self,
        (key, mut json): (String, String),
        now: Millis,
    ) -> Result<WriteRequest, Error> {
        json.truncate(json.floor_char_boundary(MAX_RAW_BYTES));
        let number = |value: u64| AttributeValue::N(value.to_string());
        let put = PutRequest::builder()
            .item("key", AttributeValue::S(key))
            .item("raw", AttributeValue::S(json))
            .item("received_at", number(now))
            .item("expires_at", number(ttl(now, self.retention_days)))
            .build()
            .map_err(|error| Error::new("store callbacks", error))?;
        Ok(WriteRequest::builder().put_request(put).build())
    }

    /// Deletes every callback whose JSON `is_about` picks; gives how many.
    pub async fn erase(&self, is_about: impl Fn(&str) -> bool) -> Result<u64, Error> {
        let wanted = |item: &scan::Item| scan::get_text(item, "raw").is_some_and(&is_about);
        let delete = async |mut item: scan::Item| {
            let delete = self.client.delete_item().table_name(&self.table);
            let delete = delete.set_key(item.remove_entry("key").map(|key| [key].into()));
            let deleted = delete.send().await;
            deleted
                .map(drop)
                .map_err(Error::from_sdk("erase a callback"))
        };
        scan::for_each(&self.client, &self.table, &["key", "raw"], wanted, delete).await
    }

    /// The raw JSON under the first of these keys that is there.
    pub async fn get_first(&self, keys: &[String]) -> Result<Option<String>, Error> {
        for key in keys {
            if let Some(raw) = self.get(key).await? {
                return Ok(Some(raw));
            }
        }
        Ok(None)
    }

    /// The raw JSON under a key.
    pub async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("key", AttributeValue::S(key.to_owned()));
        let item = get
            .consistent_read(true)
            .send()
            .await
            .map_err(Error::from_sdk("read a callback"))?
            .item;
        Ok(item
            .and_then(|mut item| item.remove("raw"))
            .and_then(|raw| raw.as_s().ok().cloned()))
    }
}
