//! The suppression list: which of many recipients must not be messaged.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use campaign::import::phone::CanonicalPhone;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{Contacts, hash_phone};
use crate::dynamodb::{Item, text};
use crate::{Error, ErrorKind};

/// Keys per `BatchGetItem` (DynamoDB quotas).
const MAX_KEYS_PER_REQUEST: usize = 100;

const MAX_CONCURRENT_REQUESTS: usize = 8;

/// How often keys are requested that DynamoDB left unprocessed in a successful response.
const MAX_ATTEMPTS: u32 = 8;

const ACTION: &str = "look up the suppression list";

impl Contacts {
    /// Those of `phones` that are on the suppression list.
    pub async fn find_suppressed(
        &self,
        phones: &[CanonicalPhone],
    ) -> Result<HashSet<CanonicalPhone>, Error> {
        let by_hash: HashMap<String, CanonicalPhone> = phones
            .iter()
            .map(|&phone| (hash_phone(phone), phone))
            .collect();
        let hashes: Vec<String> = by_hash.keys().cloned().collect();
        let requests = hashes.chunks(MAX_KEYS_PER_REQUEST).map(<[String]>::to_vec);
        let found: Vec<Vec<String>> = stream::iter(requests)
            .map(|hashes| self.query_suppressed(hashes))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        let hashes = found.into_iter().flatten();
        Ok(hashes
            .filter_map(|hash| by_hash.get(&hash).copied())
            .collect())
    }

    async fn query_suppressed(&self, hashes: Vec<String>) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        let mut keys = keys_and_attributes(hashes)?;
        for attempt in 0..MAX_ATTEMPTS {
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.table, keys);
            let response = request.send().await.map_err(Error::from_sdk(ACTION))?;
            let mut responses = response.responses.unwrap_or_default();
            let items = responses.remove(&self.table).unwrap_or_default();
            let suppressed = items.into_iter().filter(is_suppressed);
            found.extend(suppressed.filter_map(|item| item.get("phone_key")?.as_s().ok().cloned()));
            let mut unprocessed = response.unprocessed_keys.unwrap_or_default();
            match unprocessed.remove(&self.table) {
                Some(unprocessed) => keys = unprocessed,
                None => return Ok(found),
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        Err(Error::with_kind(
            ACTION,
            ErrorKind::Throttled,
            format!("DynamoDB left keys unprocessed {MAX_ATTEMPTS} times"),
        ))
    }
}

fn keys_and_attributes(hashes: Vec<String>) -> Result<KeysAndAttributes, Error> {
    let keys = hashes
        .iter()
        .map(|hash| HashMap::from([("phone_key".to_owned(), text(hash))]))
        .collect();
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression("phone_key, suppressed")
        .consistent_read(true)
        .build()
        .map_err(|error| Error::new(ACTION, error))
}

fn is_suppressed(item: &Item) -> bool {
    item.get("suppressed")
        .and_then(|value| value.as_bool().ok())
        .copied()
        .unwrap_or_default()
}
