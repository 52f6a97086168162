//! The contacts table: one item per person, under the hash of [`PhoneKey`], so that every spelling of a number finds it and
//! what is left of somebody who was erased does not tell who it was; and one per business-scoped id that Meta named, which
//! leads to the number once it is known.
//!
//! What somebody said about consent is kept for good; of others an item expires.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use campaign::contacts::contact::{ConsentEvent, ConsentSource, Contact};
use campaign::delivery::outcome::Millis;
use campaign::id::{CampaignId, RowNumber};
use campaign::import::phone::{CanonicalPhone, Phone};
use futures::stream::{self, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};

use crate::campaigns::{condition_failed, number, text, to_attribute};
use crate::{Error, ttl};

/// Keys per `BatchGetItem` (DynamoDB quotas).
const MAX_KEYS_PER_REQUEST: usize = 100;

/// Requests under way at once.
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// How often keys that DynamoDB left out of a successful answer are asked for again.
const MAX_ATTEMPTS: u32 = 8;

/// When what is kept for good expires, in seconds: the end of the year 9999.
const NEVER_EXPIRES_SECONDS: u64 = 253_402_300_799;

/// The contacts table.
#[derive(Clone, Debug)]
pub struct Contacts {
    client: Client,
    table: String,
    retention_days: u32,
}

/// Somebody's item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactKey {
    /// By number.
    Phone(Phone),
    /// By Meta's id, whose number is not known.
    User(String),
}

impl ContactKey {
    fn hash(&self) -> String {
        match self {
            ContactKey::Phone(phone) => hash_phone(phone.canonical()),
            ContactKey::User(id) => hash_text(&format!("user {id}")),
        }
    }
}

impl Contacts {
    /// The table of that name; people who said nothing about consent are forgotten after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Those of `people` who are on the standing list.
    pub async fn find_suppressed(
        &self,
        people: &[CanonicalPhone],
    ) -> Result<HashSet<CanonicalPhone>, Error> {
        let distinct: HashSet<CanonicalPhone> = people.iter().copied().collect();
        let by_text: HashMap<String, CanonicalPhone> = distinct
            .into_iter()
            .map(|key| (hash_phone(key), key))
            .collect();
        let keys: Vec<String> = by_text.keys().cloned().collect();
        let requests = stream::iter(keys.chunks(MAX_KEYS_PER_REQUEST).map(<[String]>::to_vec))
            .map(|keys| self.query_suppressed(keys));
        let found: Vec<Vec<String>> = requests
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        Ok(found
            .into_iter()
            .flatten()
            .filter_map(|key| by_text.get(&key).copied())
            .collect())
    }

    /// Asks whether somebody may be called for this row, and notes that they are about to be, in one step: a word that
    /// forbids comes before it, and is obeyed, or after it, and sees when the call was. `None` where they may not.
    pub async fn reserve_send(
        &self,
        phone: Phone,
        campaign: &CampaignId,
        row: RowNumber,
        now: Millis,
    ) -> Result<Option<Contact>, Error> {
        let action = "ask whether somebody may be called";
        let update = self
            .update(&ContactKey::Phone(phone))
            .update_expression(
                "SET phone = if_not_exists(phone, :phone), last_campaign = :campaign, last_row = :row, \
                 last_messaged_at = :now, expires_at = if_not_exists(keep_until, :expiry)",
            )
            .condition_expression("attribute_not_exists(suppressed) OR suppressed = :no")
            .expression_attribute_values(":phone", text(&phone.to_string()))
            .expression_attribute_values(":campaign", text(campaign.as_str()))
            .expression_attribute_values(":row", number(row.into()))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expiry", number(ttl(now, self.retention_days)))
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .return_values(ReturnValue::AllNew);
        match update.send().await {
            Ok(answer) => answer
                .attributes
                .map(|item| parse_contact(action, item))
                .transpose(),
            Err(error) if condition_failed(&error).is_some() => Ok(None),
            Err(error) => Err(Error::from_sdk(action)(error)),
        }
    }

    /// What is known of somebody.
    pub async fn get(&self, who: &ContactKey) -> Result<Option<Contact>, Error> {
        let action = "read a contact";
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("phone_key", text(&who.hash()))
            .consistent_read(true);
        let item = get.send().await.map_err(Error::from_sdk(action))?.item;
        item.map(|item| parse_contact(action, item)).transpose()
    }

    /// Who somebody is of whom a callback names the number, Meta's id, or both.
    pub async fn resolve_key(
        &self,
        phone: Option<Phone>,
        user_id: Option<&str>,
    ) -> Result<Option<ContactKey>, Error> {
        match (phone, user_id) {
            (Some(phone), _) => Ok(Some(ContactKey::Phone(phone))),
            (None, Some(user_id)) => {
                let user = ContactKey::User(user_id.to_owned());
                let known = self.get(&user).await?.and_then(|contact| contact.phone);
                Ok(Some(known.map_or(user, ContactKey::Phone)))
            }
            (None, None) => Ok(None),
        }
    }

    /// Keeps a word about consent for good; gives what is known of them then.
    pub async fn record_consent(
        &self,
        who: &ContactKey,
        word: ConsentEvent,
    ) -> Result<Contact, Error> {
        let action = "write down a word about consent";
        loop {
            let known = self.get(who).await?.unwrap_or_default();
            let Some(told) = known.with_consent(word.clone()) else {
                return Ok(known);
            };
            let mut update = self
                .update(who)
                .expression_attribute_values(":consent", to_attribute(action, &told.consent)?)
                .expression_attribute_values(":suppressed", AttributeValue::Bool(told.suppressed))
                .expression_attribute_values(":keep", number(NEVER_EXPIRES_SECONDS))
                .return_values(ReturnValue::AllNew);
            let mut set =
                "SET consent = :consent, suppressed = :suppressed, keep_until = :keep, expires_at = :keep".to_owned();
            if let ContactKey::Phone(phone) = who {
                set.push_str(", phone = :phone");
                update = update.expression_attribute_values(":phone", text(&phone.to_string()));
            }
            update = if known.consent.is_empty() {
                update.condition_expression("attribute_not_exists(consent)")
            } else {
                update
                    .condition_expression("consent = :seen")
                    .expression_attribute_values(":seen", to_attribute(action, &known.consent)?)
            };
            match update.update_expression(set).send().await {
                Ok(answer) => return parse_contact(action, answer.attributes.unwrap_or_default()),
                // Another word came in between.
                Err(error) if condition_failed(&error).is_some() => {}
                Err(error) => return Err(Error::from_sdk(action)(error)),
            }
        }
    }

    /// They wrote at this time: the window opens. Gives what is known of them.
    pub async fn record_inbound(
        &self,
        who: &ContactKey,
        at: Millis,
        now: Millis,
    ) -> Result<Contact, Error> {
        let action = "note when somebody wrote";
        let mut update = self
            .update(who)
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":expiry", number(ttl(now, self.retention_days)))
            .condition_expression("attribute_not_exists(last_inbound_at) OR last_inbound_at < :at")
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut set =
            "SET last_inbound_at = :at, expires_at = if_not_exists(keep_until, :expiry)".to_owned();
        if let ContactKey::Phone(phone) = who {
            set.push_str(", phone = if_not_exists(phone, :phone)");
            update = update.expression_attribute_values(":phone", text(&phone.to_string()));
        }
        match update.update_expression(set).send().await {
            Ok(answer) => parse_contact(action, answer.attributes.unwrap_or_default()),
            Err(error) => match condition_failed(&error) {
                Some(item) => parse_contact(action, item.unwrap_or_default()),
                None => Err(Error::from_sdk(action)(error)),
            },
        }
    }

    /// Learns which number Meta's id stands for. What was said under the id alone holds for the number from now on; the
    /// last step marks it as learned, so that a process that dies before is followed by another that learns it again.
    pub async fn link_user_id(
        &self,
        phone: Phone,
        user_id: &str,
        now: Millis,
    ) -> Result<(), Error> {
        let action = "note whose id this is";
        let set = async |who: &ContactKey, name: &'static str, value: &str| {
            let update = self
                .update(who)
                .update_expression(format!(
                    "SET {name} = :value, expires_at = if_not_exists(keep_until, :expiry)"
                ))
                .expression_attribute_values(":value", text(value))
                .expression_attribute_values(":expiry", number(ttl(now, self.retention_days)))
                .return_values(ReturnValue::AllNew);
            let answer = update.send().await.map_err(Error::from_sdk(action))?;
            parse_contact(action, answer.attributes.unwrap_or_default())
        };
        let user = set(
            &ContactKey::User(user_id.to_owned()),
            "phone",
            &phone.to_string(),
        )
        .await?;
        let who = ContactKey::Phone(phone);
        for word in user.consent {
            self.record_consent(&who, word).await?;
        }
        set(&who, "user_id", user_id).await.map(drop)
    }

    /// Notes how far the erasure of somebody is.
    pub async fn set_erasure_stage(&self, who: &ContactKey, how_far: &str) -> Result<(), Error> {
        let update = self
            .update(who)
            .update_expression("SET erasure = :erasure")
            .expression_attribute_values(":erasure", text(how_far));
        let updated = update.send().await;
        updated
            .map(drop)
            .map_err(Error::from_sdk("note an erasure"))
    }

    /// Forgets all about somebody but that nobody is to message them.
    pub async fn erase(&self, who: &ContactKey, now: Millis) -> Result<(), Error> {
        let action = "erase a contact";
        let word = ConsentEvent {
            at: now,
            suppressed: true,
            source: ConsentSource::Erasure,
            text: None,
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("phone_key", text(&who.hash()))
            .item("suppressed", AttributeValue::Bool(true))
            .item("consent", to_attribute(action, vec![word])?)
            .item("erasure", text("done"))
            .item("keep_until", number(NEVER_EXPIRES_SECONDS))
            .item("expires_at", number(NEVER_EXPIRES_SECONDS));
        put.send().await.map(drop).map_err(Error::from_sdk(action))
    }

    fn update(&self, who: &ContactKey) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("phone_key", text(&who.hash()))
    }

    async fn query_suppressed(&self, keys: Vec<String>) -> Result<Vec<String>, Error> {
        let action = "look people up";
        let mut found = Vec::new();
        let mut wanted = keys_and_attributes(keys)?;
        for attempt in 0..MAX_ATTEMPTS {
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted);
            let answer = request.send().await.map_err(Error::from_sdk(action))?;
            let items = answer
                .responses
                .unwrap_or_default()
                .remove(&self.table)
                .unwrap_or_default();
            let on_list = items.into_iter().filter(is_suppressed);
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
            format!("DynamoDB left some out {MAX_ATTEMPTS} times"),
        ))
    }
}

fn hash_phone(key: CanonicalPhone) -> String {
    hash_text(&key.to_string())
}

/// Numbers are few enough to be tried one by one: this keeps from reading them, not from looking for one.
fn hash_text(text: &str) -> String {
    let hash = Sha256::digest(format!("crier {text}").as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_contact(
    action: &'static str,
    item: HashMap<String, AttributeValue>,
) -> Result<Contact, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::new(action, error))
}

fn keys_and_attributes(keys: Vec<String>) -> Result<KeysAndAttributes, Error> {
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

fn is_suppressed(item: &HashMap<String, AttributeValue>) -> bool {
    item.get("suppressed")
        .and_then(|value| value.as_bool().ok())
        .copied()
        .unwrap_or_default()
}
