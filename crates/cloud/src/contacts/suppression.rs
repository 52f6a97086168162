//! The suppression list: which of many recipients must not be messaged, and which are inside their service window.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use campaign::contacts::contact::Contact;
use campaign::id::NumberId;
use campaign::import::phone::CanonicalPhone;
use campaign::time::Millis;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;

use super::{Contacts, SHARD, hash_phone};
use crate::dynamodb::{from_item, text};
use crate::{Error, ErrorKind};

/// Keys per `BatchGetItem` (DynamoDB quotas).
pub(super) const MAX_KEYS_PER_REQUEST: usize = 100;

/// What an import needs to know of a contact.
const PROJECTION: &str = "phone_key, suppressed, last_inbound_at, last_inbound_number";

const MAX_CONCURRENT_REQUESTS: usize = 8;

/// How often keys are requested that DynamoDB left unprocessed in a successful response.
const MAX_ATTEMPTS: u32 = 8;

const ACTION: &str = "look up the suppression list";

const LIST_ACTION: &str = "read the suppression list";

/// The index of suppressed contacts.
pub(super) const BY_SUPPRESSED: &str = "by_suppressed";

/// The index is divided by the first digit of the hash, so that no partition of it has all writes and its parts can be read
/// at once.
pub(super) const SHARDS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

/// Everybody on the suppression list, in 16 bytes each.
#[derive(Debug, Default)]
pub struct SuppressionList {
    hashes: HashSet<u128>,
}

impl SuppressionList {
    /// Whether the recipient is on the list.
    pub fn contains(&self, phone: CanonicalPhone) -> bool {
        let is_listed = |hash| self.hashes.contains(&hash);
        !self.hashes.is_empty() && hash_prefix(&hash_phone(phone)).is_some_and(is_listed)
    }
}

/// The first 16 bytes of a hash.
fn hash_prefix(hash: &str) -> Option<u128> {
    u128::from_str_radix(hash.get(..32)?, 16).ok()
}

/// A contact, as far as it is read here.
#[derive(Deserialize)]
pub(super) struct KnownContact {
    pub(super) phone_key: String,
    #[serde(flatten)]
    pub(super) contact: Contact,
}

/// What an import needs to know of many recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientStates {
    /// Those on the suppression list.
    pub suppressed: HashSet<CanonicalPhone>,
    /// How many of the others are inside their service window.
    pub in_service_window: u64,
}

impl Contacts {
    /// Reads the whole suppression list, from the index that has nobody else. It may lack who was added in the last moments:
    /// [`Contacts::reserve_send`] looks again before each send.
    pub async fn list_suppressed(&self) -> Result<SuppressionList, Error> {
        let shards: Vec<HashSet<u128>> = stream::iter(SHARDS)
            .map(|shard| self.query_shard(shard))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        let hashes = shards.into_iter().flatten().collect();
        Ok(SuppressionList { hashes })
    }

    async fn query_shard(&self, shard: char) -> Result<HashSet<u128>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_SUPPRESSED)
            .key_condition_expression(format!("{SHARD} = :shard"))
            .expression_attribute_values(":shard", text(&shard.to_string()))
            .projection_expression("phone_key");
        let mut keys = query.into_paginator().items().send();
        let mut hashes = HashSet::new();
        while let Some(item) = keys.next().await {
            let item = item.map_err(Error::from_sdk(LIST_ACTION))?;
            let key = item.get("phone_key").and_then(|key| key.as_s().ok());
            hashes.extend(key.and_then(|key| hash_prefix(key)));
        }
        Ok(hashes)
    }

    /// The states of `phones` at `now`, each as seen by the number of ours that `sender` gives for it.
    pub async fn find_states<'n>(
        &self,
        phones: &[CanonicalPhone],
        sender: impl Fn(CanonicalPhone) -> &'n NumberId,
        now: Millis,
    ) -> Result<RecipientStates, Error> {
        let by_hash: HashMap<String, CanonicalPhone> = phones
            .iter()
            .map(|&phone| (hash_phone(phone), phone))
            .collect();
        let hashes: Vec<String> = by_hash.keys().cloned().collect();
        let requests = hashes.chunks(MAX_KEYS_PER_REQUEST).map(<[String]>::to_vec);
        let found: Vec<Vec<KnownContact>> = stream::iter(requests)
            .map(|hashes| self.query_contacts(hashes, Some(PROJECTION)))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        let mut states = RecipientStates::default();
        for KnownContact { phone_key, contact } in found.into_iter().flatten() {
            let Some(&phone) = by_hash.get(&phone_key) else {
                continue;
            };
            if contact.suppressed {
                states.suppressed.insert(phone);
            } else if contact.service_window_end(sender(phone), now).is_some() {
                states.in_service_window += 1;
            }
        }
        Ok(states)
    }

    /// The contacts of these hashes, 100 at most; all of their attributes, or some.
    pub(super) async fn query_contacts(
        &self,
        hashes: Vec<String>,
        projection: Option<&str>,
    ) -> Result<Vec<KnownContact>, Error> {
        let mut found = Vec::new();
        // DynamoDB refuses a request without keys.
        if hashes.is_empty() {
            return Ok(found);
        }
        let mut keys = keys_and_attributes(hashes, projection)?;
        for attempt in 0..MAX_ATTEMPTS {
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.table, keys);
            let response = request.send().await.map_err(Error::from_sdk(ACTION))?;
            let mut responses = response.responses.unwrap_or_default();
            for item in responses.remove(&self.table).unwrap_or_default() {
                found.push(from_item(ACTION, item)?);
            }
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

fn keys_and_attributes(
    hashes: Vec<String>,
    projection: Option<&str>,
) -> Result<KeysAndAttributes, Error> {
    let keys = hashes
        .iter()
        .map(|hash| HashMap::from([("phone_key".to_owned(), text(hash))]))
        .collect();
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .set_projection_expression(projection.map(str::to_owned))
        .consistent_read(true)
        .build()
        .map_err(|error| Error::new(ACTION, error))
}
