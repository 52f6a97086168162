//! The contacts table. It has one item per recipient, under a hash of the [`CanonicalPhone`]: every spelling
//! of a number leads to the same item, and what remains after an erasure does not name the recipient. It also
//! has one item per business-scoped user id of Meta's, which leads to the number once that is known.
//!
//! An item with a consent event never expires; others do. `contacts/consent.rs` records consent,
//! `contacts/suppression.rs` looks up many recipients at once, `contacts/list.rs` lists contacts with what is known of them.

mod consent;
mod list;
mod suppression;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use campaign::contacts::contact::{ConsentEvent, ConsentSource, Contact};
use campaign::id::{CampaignId, NumberId, RowNumber};
use campaign::import::phone::{CanonicalPhone, Phone};
use campaign::time::Millis;

use crate::dynamodb::{Update, from_item, get_value, number, text, to_attribute, update_if};
use crate::hash::sha256_hex;
use crate::{Error, ttl};

pub use consent::EventOrder;
pub use list::SuppressedPage;
pub use suppression::{RecipientStates, SuppressionList};

/// The expiry of an item that never expires, in seconds since the Unix epoch: the end of the year 9999.
const NEVER_EXPIRES_SECONDS: u64 = 253_402_300_799;

/// How many digits of a contact's hash name it.
const CONTACT_ID_CHARS: usize = 16;

/// The attribute by which a suppressed contact is in the index; no other contact has it.
const SHARD: &str = "suppressed_shard";

/// The shard of a contact.
fn shard(hash: &str) -> AttributeValue {
    text(hash.get(..1).unwrap_or_default())
}

/// The contacts table.
#[derive(Clone, Debug)]
pub struct Contacts {
    client: Client,
    table: String,
    retention_days: u32,
}

/// The key of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactKey {
    /// A phone number.
    Phone(Phone),
    /// A business-scoped user id of Meta's whose number is not known.
    User(String),
}

/// What became of the note that a message is about to be sent.
enum Reservation {
    Made(Box<Contact>),
    Suppressed,
    /// A message was sent at this time, which is later.
    Overtaken(Millis),
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
    /// The table of that name; contacts without a consent event expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Checks that the recipient is not suppressed, and stores that a message is about to be sent, in one
    /// conditional write. An earlier opt-out wins; a later one sees the time of the send. `None` if the
    /// recipient is suppressed. Whoever has not heard from one of our numbers yet hears from this one, `sender`, from now on;
    /// with `takes_over`, whoever has, too.
    ///
    /// The time of a contact only moves on: the write of a request that arrives late, after its repetition and another
    /// campaign's message, is refused, so that the answers belong to the message that was last.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row))]
    pub async fn reserve_send(
        &self,
        phone: Phone,
        campaign: &CampaignId,
        row: RowNumber,
        (sender, takes_over): (&NumberId, bool),
        now: Millis,
    ) -> Result<Option<Contact>, Error> {
        let mut at = now;
        loop {
            let reservation = self.try_reserve_send(phone, campaign, row, (sender, takes_over), at);
            match reservation.await? {
                Reservation::Made(contact) => return Ok(Some(*contact)),
                Reservation::Suppressed => return Ok(None),
                // The clock of whoever messaged the recipient is ahead.
                Reservation::Overtaken(latest) => at = latest + 1,
            }
        }
    }

    async fn try_reserve_send(
        &self,
        phone: Phone,
        campaign: &CampaignId,
        row: RowNumber,
        (sender, takes_over): (&NumberId, bool),
        now: Millis,
    ) -> Result<Reservation, Error> {
        let action = "check that the recipient is not suppressed";
        let known = match takes_over {
            true => ":number",
            false => "if_not_exists(#number, :number)",
        };
        let update = self
            .update(&ContactKey::Phone(phone))
            .update_expression(format!(
                "SET phone = if_not_exists(phone, :phone), #number = {known}, last_campaign = :campaign, \
                 last_row = :row, last_messaged_at = :now, expires_at = if_not_exists(keep_until, :expires_at)",
            ))
            .condition_expression(
                "(attribute_not_exists(suppressed) OR suppressed = :no) \
                 AND (attribute_not_exists(last_messaged_at) OR last_messaged_at <= :now)",
            )
            .expression_attribute_names("#number", "number")
            .expression_attribute_values(":phone", text(&phone.to_string()))
            .expression_attribute_values(":number", text(sender.as_str()))
            .expression_attribute_values(":campaign", text(campaign.as_str()))
            .expression_attribute_values(":row", number(row.into()))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires_at", self.expires_at(now))
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update_if(action, update).await? {
            Update::Written(item) => {
                let contact: Contact = from_item(action, item.unwrap_or_default())?;
                Ok(Reservation::Made(Box::new(contact)))
            }
            Update::ConditionFailed(item) => {
                let known: Contact = from_item(action, item.unwrap_or_default())?;
                Ok(match known.last_messaged_at {
                    Some(latest) if !known.suppressed => Reservation::Overtaken(latest),
                    Some(_) | None => Reservation::Suppressed,
                })
            }
        }
    }

    /// Reads a contact as it is now.
    pub async fn get(&self, key: &ContactKey) -> Result<Option<Contact>, Error> {
        let get = self.client.get_item().table_name(&self.table);
        get_value("read a contact", get.key("phone_key", text(&key.hash()))).await
    }

    /// The key of the contact whose number, user id or both a callback names.
    pub async fn resolve_key(
        &self,
        phone: Option<Phone>,
        user_id: Option<&str>,
    ) -> Result<Option<ContactKey>, Error> {
        match (phone, user_id) {
            (Some(phone), _) => Ok(Some(ContactKey::Phone(phone))),
            (None, Some(user_id)) => {
                let user = ContactKey::User(user_id.to_owned());
                let phone = self.get(&user).await?.and_then(|contact| contact.phone);
                Ok(Some(phone.map_or(user, ContactKey::Phone)))
            }
            (None, None) => Ok(None),
        }
    }

    /// Stores that the contact wrote or called at `at`, which opens the customer service window of the number that
    /// was written to, `sender`. Returns the contact.
    pub async fn record_inbound(
        &self,
        key: &ContactKey,
        sender: Option<&NumberId>,
        at: Millis,
        now: Millis,
    ) -> Result<Contact, Error> {
        let action = "store when a contact wrote or called";
        let mut update = self
            .update(key)
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":expires_at", self.expires_at(now))
            .condition_expression("attribute_not_exists(last_inbound_at) OR last_inbound_at < :at")
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut set =
            "SET last_inbound_at = :at, expires_at = if_not_exists(keep_until, :expires_at)"
                .to_owned();
        if let ContactKey::Phone(phone) = key {
            set.push_str(", phone = if_not_exists(phone, :phone)");
            update = update.expression_attribute_values(":phone", text(&phone.to_string()));
        }
        if let Some(sender) = sender {
            set.push_str(", last_inbound_number = :number");
            update = update.expression_attribute_values(":number", text(sender.as_str()));
        }
        match update_if(action, update.update_expression(set)).await? {
            Update::Written(item) | Update::ConditionFailed(item) => {
                from_item(action, item.unwrap_or_default())
            }
        }
    }

    /// Stores the stage of the contact's erasure.
    pub async fn set_erasure_stage(&self, key: &ContactKey, stage: &str) -> Result<(), Error> {
        let update = self
            .update(key)
            .update_expression("SET erasure = :erasure")
            .expression_attribute_values(":erasure", text(stage));
        let updated = update.send().await;
        updated
            .map(drop)
            .map_err(Error::from_sdk("store the stage of an erasure"))
    }

    /// Erases everything about a contact, except that it is suppressed.
    pub async fn erase(&self, key: &ContactKey, now: Millis) -> Result<(), Error> {
        let action = "erase a contact";
        let event = ConsentEvent {
            at: now,
            suppressed: true,
            source: ConsentSource::Erasure,
            text: None,
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("phone_key", text(&key.hash()))
            .item("suppressed", AttributeValue::Bool(true))
            .item(SHARD, shard(&key.hash()))
            .item("consent", to_attribute(action, vec![event])?)
            .item("erasure", text("done"))
            .item("keep_until", number(NEVER_EXPIRES_SECONDS))
            .item("expires_at", number(NEVER_EXPIRES_SECONDS));
        put.send().await.map(drop).map_err(Error::from_sdk(action))
    }

    fn update(&self, key: &ContactKey) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("phone_key", text(&key.hash()))
    }

    fn expires_at(&self, now: Millis) -> AttributeValue {
        number(ttl(now, self.retention_days))
    }
}

/// What names a contact where its number must not stand: the beginning of the hash under which it is stored. It stays after an
/// erasure.
pub fn contact_id(phone: Phone) -> String {
    hash_phone(phone.canonical())[..CONTACT_ID_CHARS].to_owned()
}

/// The same for a contact of whom only Meta's business-scoped user id is known.
pub fn user_contact_id(user_id: &str) -> String {
    ContactKey::User(user_id.to_owned()).hash()[..CONTACT_ID_CHARS].to_owned()
}

fn hash_phone(phone: CanonicalPhone) -> String {
    hash_text(&phone.to_string())
}

/// The hash is pseudonymous, not anonymous: phone numbers can be brute-forced.
fn hash_text(text: &str) -> String {
    sha256_hex(&format!("crier {text}"))
}
