//! Contacts with what is known of them: some by their numbers, and everybody on the suppression list, page by page.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::contacts::contact::Contact;
use campaign::import::phone::Phone;

use super::suppression::{BY_SUPPRESSED, KnownContact, MAX_KEYS_PER_REQUEST, SHARDS};
use super::{CONTACT_ID_CHARS, Contacts, SHARD, hash_phone};
use crate::Error;
use crate::dynamodb::{Item, text};

/// What a list of conversations needs to know of a contact.
const STATE: &str = "phone_key, suppressed, last_inbound_at";

/// A part of the suppression list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuppressedPage {
    /// The contacts.
    pub contacts: Vec<Contact>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

impl Contacts {
    /// What is known of many contacts, by what names them ([`super::contact_id`]): whether they are suppressed, and when they
    /// last wrote.
    pub async fn find_many(&self, phones: &[Phone]) -> Result<HashMap<String, Contact>, Error> {
        let mut hashes: Vec<String> = phones
            .iter()
            .map(|phone| hash_phone(phone.canonical()))
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        let mut contacts = HashMap::new();
        for hashes in hashes.chunks(MAX_KEYS_PER_REQUEST) {
            for known in self.query_contacts(hashes.to_vec(), Some(STATE)).await? {
                let KnownContact { phone_key, contact } = known;
                contacts.insert(phone_key[..CONTACT_ID_CHARS].to_owned(), contact);
            }
        }
        Ok(contacts)
    }

    /// A part of the suppression list behind the contact whose key is `after`: `limit` contacts at most.
    pub async fn export_suppressed(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<SuppressedPage, Error> {
        let mut page = SuppressedPage::default();
        let mut after = after.map(str::to_owned);
        let first = after.as_deref().and_then(|key| key.chars().next());
        let shards = SHARDS
            .into_iter()
            .filter(|&shard| first.is_none_or(|first| shard >= first));
        for shard in shards {
            loop {
                let start = after.take().filter(|key| key.starts_with(shard));
                let (keys, next) = self.suppressed_keys(shard, start.as_deref()).await?;
                for known in self.query_contacts(keys, None).await? {
                    page.contacts.push(known.contact);
                }
                after.clone_from(&next);
                if page.contacts.len() + MAX_KEYS_PER_REQUEST > limit && next.is_some() {
                    page.next = next;
                    return Ok(page);
                }
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(page)
    }

    /// The keys of suppressed contacts of a shard behind `after`, as many as one request reads, and the last of them if there
    /// are more.
    async fn suppressed_keys(
        &self,
        shard: char,
        after: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_SUPPRESSED)
            // Keys begin with a digit or a letter, which are behind a space.
            .key_condition_expression(format!("{SHARD} = :shard AND phone_key > :after"))
            .expression_attribute_values(":shard", text(&shard.to_string()))
            .expression_attribute_values(":after", text(after.unwrap_or(" ")))
            .projection_expression("phone_key")
            .limit(MAX_KEYS_PER_REQUEST as i32);
        let response = query.send().await;
        let response = response.map_err(Error::from_sdk("read the suppression list"))?;
        let key = |item: &Item| -> Option<String> {
            item.get("phone_key")
                .and_then(|key: &AttributeValue| key.as_s().ok())
                .cloned()
        };
        let items = response.items.unwrap_or_default();
        let keys = items.iter().filter_map(&key).collect();
        let next = response.last_evaluated_key.as_ref().and_then(key);
        Ok((keys, next))
    }
}
