//! Consent events, and the number behind a user id.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use campaign::contacts::contact::{ConsentEvent, Contact};
use campaign::import::phone::Phone;
use campaign::time::Millis;

use super::{ContactKey, Contacts, NEVER_EXPIRES_SECONDS, SHARD, shard};
use crate::Error;
use crate::dynamodb::{Update, from_item, number, text, to_attribute, update_if};

/// Where a consent event belongs among those of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    /// At its time.
    ByTime,
    /// Behind all that are recorded: whoever decides now knows of them, and the clock of this host may be behind that of the one
    /// that recorded them.
    Last,
}

impl Contacts {
    /// Records an event that suppresses a contact, and once it is recorded, nothing more. Returns the contact; `None` for one
    /// whom something else has suppressed before, and who stays as they are.
    pub async fn suppress(
        &self,
        key: &ContactKey,
        event: ConsentEvent,
        order: EventOrder,
    ) -> Result<Option<Contact>, Error> {
        let known = self.get(key).await?.unwrap_or_default();
        if known.consent.contains(&event) {
            return Ok(Some(known));
        }
        if known.suppressed {
            return Ok(None);
        }
        self.record(key, known, event, order).await.map(Some)
    }

    /// Records a consent event at its time; the contact never expires from then on. Returns the contact.
    pub async fn record_consent(
        &self,
        key: &ContactKey,
        event: ConsentEvent,
    ) -> Result<Contact, Error> {
        let known = self.get(key).await?.unwrap_or_default();
        self.record(key, known, event, EventOrder::ByTime).await
    }

    /// Records what an operator decides about a contact now; the contact never expires from then on. Returns the contact.
    pub async fn record_decision(
        &self,
        key: &ContactKey,
        event: ConsentEvent,
    ) -> Result<Contact, Error> {
        let known = self.get(key).await?.unwrap_or_default();
        self.record(key, known, event, EventOrder::Last).await
    }

    /// `known` is the contact as it was just read.
    async fn record(
        &self,
        key: &ContactKey,
        mut known: Contact,
        mut event: ConsentEvent,
        order: EventOrder,
    ) -> Result<Contact, Error> {
        let action = "record a consent event";
        // Repeats until no other event was recorded between the read and the write.
        loop {
            if order == EventOrder::Last && !known.consent.contains(&event) {
                let latest = known.last_consent().map_or(0, |latest| latest.at + 1);
                event.at = event.at.max(latest);
            }
            let Some(changed) = known.with_consent(event.clone()) else {
                return Ok(known);
            };
            let update = self.update_consent(action, key, &known, &changed)?;
            if let Update::Written(item) = update_if(action, update).await? {
                return from_item(action, item.unwrap_or_default());
            }
            known = self.get(key).await?.unwrap_or_default();
        }
    }

    fn update_consent(
        &self,
        action: &'static str,
        key: &ContactKey,
        known: &Contact,
        changed: &Contact,
    ) -> Result<UpdateItemFluentBuilder, Error> {
        let mut set =
            "SET consent = :consent, suppressed = :suppressed, keep_until = :never, expires_at = :never".to_owned();
        let mut update = self
            .update(key)
            .expression_attribute_values(":consent", to_attribute(action, &changed.consent)?)
            .expression_attribute_values(":suppressed", AttributeValue::Bool(changed.suppressed))
            .expression_attribute_values(":never", number(NEVER_EXPIRES_SECONDS))
            .return_values(ReturnValue::AllNew);
        if let ContactKey::Phone(phone) = key {
            set.push_str(", phone = :phone");
            update = update.expression_attribute_values(":phone", text(&phone.to_string()));
        }
        if changed.suppressed {
            set.push_str(&format!(", {SHARD} = :shard"));
            update = update.expression_attribute_values(":shard", shard(&key.hash()));
        } else {
            set.push_str(&format!(" REMOVE {SHARD}"));
        }
        let update = update.update_expression(set);
        if known.consent.is_empty() {
            return Ok(update.condition_expression("attribute_not_exists(consent)"));
        }
        Ok(update
            .condition_expression("consent = :known")
            .expression_attribute_values(":known", to_attribute(action, &known.consent)?))
    }

    /// Stores which number a user id belongs to. Consent that was recorded under the id alone is copied to
    /// the number. The id is stored with the number last: if the process dies before that, the next callback
    /// links them again.
    pub async fn link_user_id(
        &self,
        phone: Phone,
        user_id: &str,
        now: Millis,
    ) -> Result<(), Error> {
        let user_key = ContactKey::User(user_id.to_owned());
        let user = self
            .set_text(&user_key, "phone", &phone.to_string(), now)
            .await?;
        let key = ContactKey::Phone(phone);
        for event in user.consent {
            self.record_consent(&key, event).await?;
        }
        self.set_text(&key, "user_id", user_id, now).await.map(drop)
    }

    async fn set_text(
        &self,
        key: &ContactKey,
        attribute: &'static str,
        value: &str,
        now: Millis,
    ) -> Result<Contact, Error> {
        let action = "link a user id with a phone number";
        let update = self
            .update(key)
            .update_expression(format!(
                "SET {attribute} = :value, expires_at = if_not_exists(keep_until, :expires_at)"
            ))
            .expression_attribute_values(":value", text(value))
            .expression_attribute_values(":expires_at", self.expires_at(now))
            .return_values(ReturnValue::AllNew);
        let response = update.send().await.map_err(Error::from_sdk(action))?;
        from_item(action, response.attributes.unwrap_or_default())
    }
}
