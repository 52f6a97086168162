//! The suppression list: which of many recipients must not be messaged, and which are inside their service window.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use campaign::contacts::contact::Contact;
use campaign::import::phone::CanonicalPhone;
use campaign::time::Millis;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;

use super::{Contacts, hash_phone};
use crate::dynamodb::{from_item, text};
use crate::{Error, ErrorKind};

/// Keys per `BatchGetItem` (DynamoDB quotas).
const MAX_KEYS_PER_REQUEST: usize = 100;

const MAX_CONCURRENT_REQUESTS: usize = 8;

/// How often keys are requested that DynamoDB left unprocessed in a successful response.
const MAX_ATTEMPTS: u32 = 8;

const ACTION: &str = "look up the suppression list";

/// A contact, as far as it is read here.
#[derive(Deserialize)]
struct KnownContact {
    phone_key: String,
    #[serde(flatten)]
    contact: Contact,
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
    /// Those of `phones` that are on the suppression list.
    pub async fn find_suppressed(
        &self,
        phones: &[CanonicalPhone],
    ) -> Result<HashSet<CanonicalPhone>, Error> {
        Ok(self.find_states(phones, crate::now()).await?.suppressed)
    }

    /// The states of `phones` at `now`.
    pub async fn find_states(
        &self,
        phones: &[CanonicalPhone],
        now: Millis,
    ) -> Result<RecipientStates, Error> {
        let by_hash: HashMap<String, CanonicalPhone> = phones
            .iter()
            .map(|&phone| (hash_phone(phone), phone))
            .collect();
        let hashes: Vec<String> = by_hash.keys().cloned().collect();
        let requests = hashes.chunks(MAX_KEYS_PER_REQUEST).map(<[String]>::to_vec);
        let found: Vec<Vec<KnownContact>> = stream::iter(requests)
            .map(|hashes| self.query_contacts(hashes))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        let mut states = RecipientStates::default();
        for known in found.into_iter().flatten() {
            if known.contact.suppressed {
                states.suppressed.extend(by_hash.get(&known.phone_key));
            } else if known.contact.service_window_end(now).is_some() {
                states.in_service_window += 1;
            }
        }
        Ok(states)
    }

    async fn query_contacts(&self, hashes: Vec<String>) -> Result<Vec<KnownContact>, Error> {
        let mut found = Vec::new();
        let mut keys = keys_and_attributes(hashes)?;
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

fn keys_and_attributes(hashes: Vec<String>) -> Result<KeysAndAttributes, Error> {
    let keys = hashes
        .iter()
        .map(|hash| HashMap::from([("phone_key".to_owned(), text(hash))]))
        .collect();
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression("phone_key, suppressed, last_inbound_at")
        .consistent_read(true)
        .build()
        .map_err(|error| Error::new(ACTION, error))
}
