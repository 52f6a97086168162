//! The callbacks table: every update as Meta sent it, under its natural key, so that a repeat changes
//! nothing.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use campaign::time::Millis;

use crate::dynamodb::{Item, get_item, number, text};
use crate::{Error, batch_write, scan, ttl};

/// The stored part of an update: an item holds 400 KB (DynamoDB quotas), real updates have a few.
const MAX_RAW_BYTES: usize = 350_000;

const STORE: &str = "store callbacks";

/// The callbacks table.
#[derive(Clone, Debug)]
pub struct Callbacks {
    client: Client,
    table: String,
    retention_days: u32,
}

/// An update to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCallback {
    /// Its natural key.
    pub key: String,
    /// Its JSON.
    pub json: String,
}

impl Callbacks {
    /// The table of that name; callbacks expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Stores all updates, or fails; storing one again changes nothing.
    #[tracing::instrument(skip_all, fields(updates = updates.len()))]
    pub async fn store(&self, updates: Vec<RawCallback>, now: Millis) -> Result<(), Error> {
        // A request must not name a key twice; updates with the same key are equal.
        let distinct: HashMap<String, String> =
            updates.into_iter().map(|raw| (raw.key, raw.json)).collect();
        let writes = distinct
            .into_iter()
            .map(|(key, json)| self.put_request(&key, json, now))
            .collect::<Result<Vec<_>, _>>()?;
        batch_write::write_all(&self.client, &self.table, STORE, writes).await
    }

    fn put_request(&self, key: &str, mut json: String, now: Millis) -> Result<WriteRequest, Error> {
        json.truncate(json.floor_char_boundary(MAX_RAW_BYTES));
        let put = PutRequest::builder()
            .item("key", text(key))
            .item("raw", text(&json))
            .item("received_at", number(now))
            .item("expires_at", number(ttl(now, self.retention_days)))
            .build()
            .map_err(|error| Error::new(STORE, error))?;
        Ok(WriteRequest::builder().put_request(put).build())
    }

    /// Erases every callback whose JSON `mentions` the contact; returns the number of callbacks.
    pub async fn erase(&self, mentions: impl Fn(&str) -> bool) -> Result<u64, Error> {
        let is_wanted = |item: &Item| scan::get_text(item, "raw").is_some_and(&mentions);
        let delete = async |mut item: Item| {
            let delete = self.client.delete_item().table_name(&self.table);
            let delete = delete.set_key(item.remove_entry("key").map(|key| [key].into()));
            let deleted = delete.send().await;
            deleted
                .map(drop)
                .map_err(Error::from_sdk("erase a callback"))
        };
        let attributes = ["key", "raw"];
        scan::for_each(&self.client, &self.table, &attributes, is_wanted, delete).await
    }

    /// The JSON under the first of these keys that exists.
    pub async fn get_first(&self, keys: &[String]) -> Result<Option<String>, Error> {
        for key in keys {
            if let Some(json) = self.get(key).await? {
                return Ok(Some(json));
            }
        }
        Ok(None)
    }

    /// The JSON under a key.
    pub async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let get = self.client.get_item().table_name(&self.table);
        let item = get_item("read a callback", get.key("key", text(key))).await?;
        Ok(item
            .and_then(|mut item| item.remove("raw"))
            .and_then(|raw| raw.as_s().ok().cloned()))
    }
}
