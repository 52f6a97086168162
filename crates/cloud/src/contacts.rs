//! The contacts table: one item per person, under [`PhoneKey`], so that every spelling of a number finds it.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use campaign::contact::Contact;
use campaign::phone::PhoneKey;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::Error;
use crate::campaigns::text;

/// Keys per `BatchGetItem` (DynamoDB quotas).
const PER_REQUEST: usize = 100;

/// Requests under way at once.
const IN_FLIGHT: usize = 8;

/// How often keys that DynamoDB left out of a successful answer are asked for again.
const TRIES: u32 = 8;

/// The contacts table.
#[derive(Clone, Debug)]
pub struct Contacts {
    client: Client,
    table: String,
}

impl Contacts {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Those of `people` who are on the standing list.
    pub async fn suppressed(&self, people: &[PhoneKey]) -> Result<HashSet<PhoneKey>, Error> {
        let distinct: HashSet<PhoneKey> = people.iter().copied().collect();
        let by_text: HashMap<String, PhoneKey> = distinct
            .into_iter()
            .map(|key| (key.to_string(), key))
            .collect();
        let keys: Vec<String> = by_text.keys().cloned().collect();
        let requests = stream::iter(keys.chunks(PER_REQUEST).map(<[String]>::to_vec))
            .map(|keys| self.ask(keys));
        let found: Vec<Vec<String>> = requests.buffer_unordered(IN_FLIGHT).try_collect().await?;
        Ok(found
            .into_iter()
            .flatten()
            .filter_map(|key| by_text.get(&key).copied())
            .collect())
    }

    /// Whether this person is on the standing list, as it is now.
    pub async fn is_suppressed(&self, person: PhoneKey) -> Result<bool, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("phone_key", text(&person.to_string()))
            .projection_expression("suppressed")
            .consistent_read(true);
        let item = get
            .send()
            .await
            .map_err(Error::aws("look somebody up"))?
            .item;
        Ok(item.is_some_and(|item| suppressed(&item)))
    }

    /// What is known of this person.
    pub async fn get(&self, person: PhoneKey) -> Result<Option<Contact>, Error> {
        let action = "read a contact";
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("phone_key", text(&person.to_string()));
        let item = get
            .consistent_read(true)
            .send()
            .await
            .map_err(Error::aws(action))?
            .item;
        item.map(|item| serde_dynamo::from_item(item).map_err(|error| Error::new(action, error)))
            .transpose()
    }

    /// Keeps what is known of this person, in the place of what was.
    pub async fn put(&self, contact: &Contact) -> Result<(), Error> {
        let action = "write a contact";
        let mut item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(contact).map_err(|error| Error::new(action, error))?;
        item.insert("phone_key".into(), text(&contact.phone.key().to_string()));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        put.send().await.map(drop).map_err(Error::aws(action))
    }

    async fn ask(&self, keys: Vec<String>) -> Result<Vec<String>, Error> {
        let action = "look people up";
        let mut found = Vec::new();
        let mut wanted = keys_of(keys)?;
        for attempt in 0..TRIES {
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted);
            let answer = request.send().await.map_err(Error::aws(action))?;
            let items = answer
                .responses
                .unwrap_or_default()
                .remove(&self.table)
                .unwrap_or_default();
            let on_list = items.into_iter().filter(suppressed);
            found.extend(on_list.filter_map(|item| item.get("phone_key")?.as_s().ok().cloned()));
            match answer
                .unprocessed_keys
                .unwrap_or_default()
                .remove(&self.table)
            {
                Some(left_out) => wanted = left_out,
                None => return Ok(found),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50 << attempt)).await;
        }
        Err(Error::new(
            action,
            format!("DynamoDB left some out {TRIES} times"),
        ))
    }
}

fn keys_of(keys: Vec<String>) -> Result<KeysAndAttributes, Error> {
    let keys = keys
        .iter()
        .map(|key| HashMap::from([("phone_key".to_owned(), text(key))]))
        .collect();
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression("phone_key, suppressed")
        .consistent_read(true)
        .build()
        .map_err(|error| Error::new("look people up", error))
}

fn suppressed(item: &HashMap<String, AttributeValue>) -> bool {
    item.get("suppressed")
        .and_then(|value| value.as_bool().ok())
        .copied()
        .unwrap_or_default()
}
