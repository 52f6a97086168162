//! The records of the numbers: one item of the campaigns table each (`id` = `number`, `part` = the number's id), with the rate
//! that its senders keep, what stops it, and its phone. All of a number's senders read it once a second.
//!
//! - this file: reading, and the rate; [`crate::rates`] decides when it is replaced
//! - `suspensions`: pauses and cooldowns
//! - `phones`: which phone a number has
//! - `sends`: how many messages it sent in each minute, in items of their own

mod phones;
mod sends;
mod suspensions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use campaign::delivery::number_suspension::NumberSuspension;
use campaign::delivery::rate_change::RateRecord;
use campaign::id::NumberId;
use tokio::sync::Mutex;

use crate::Error;
use crate::dynamodb::{Item, from_attribute, from_item, get_item, number, send_if, text};

const NUMBER: &str = "number";

const READ: &str = "read a number's record";

/// The records.
#[derive(Clone, Debug)]
pub struct NumberRecords {
    client: Client,
    table: String,
    /// The phones that this process has stored.
    noted: Arc<Mutex<HashMap<NumberId, String>>>,
}

/// A number's record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberRecord {
    /// The rate that its senders keep; none before the first sender.
    pub rate: Option<RateRecord>,
    /// What stops it.
    pub suspension: NumberSuspension,
    /// Its phone, as digits, once a callback has named it.
    pub phone: Option<String>,
}

impl NumberRecord {
    fn from_item(mut item: Item) -> Result<Self, Error> {
        let phone = item.remove("phone");
        // A number may be paused before its first sender has stored a rate.
        let rate = match item.contains_key("slots") {
            true => Some(from_item(READ, item.clone())?),
            false => None,
        };
        Ok(Self {
            rate,
            suspension: from_item(READ, item)?,
            phone: phone.map(|phone| from_attribute(READ, phone)).transpose()?,
        })
    }
}

impl NumberRecords {
    /// In the campaigns table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            noted: Arc::default(),
        }
    }

    /// Every record; a number without one has been neither used nor stopped.
    pub async fn all(&self) -> Result<BTreeMap<NumberId, NumberRecord>, Error> {
        let query = self.client.query().table_name(&self.table);
        let query = query
            .key_condition_expression("id = :number")
            .expression_attribute_values(":number", text(NUMBER))
            .consistent_read(true);
        let mut items = query.into_paginator().items().send();
        let mut records = BTreeMap::new();
        while let Some(item) = items.next().await {
            let mut item = item.map_err(Error::from_sdk(READ))?;
            if let Some(part) = item.remove("part") {
                let id = from_attribute(READ, part)?;
                records.insert(id, NumberRecord::from_item(item)?);
            }
        }
        Ok(records)
    }

    /// The record of one number.
    pub(crate) async fn get(&self, id: &NumberId) -> Result<NumberRecord, Error> {
        let get = self.client.get_item().table_name(&self.table);
        let item = get_item(READ, get.set_key(Some(key(id)))).await?;
        item.map_or_else(|| Ok(NumberRecord::default()), NumberRecord::from_item)
    }

    /// Replaces the rate; another process may be faster.
    pub(crate) async fn replace_rate(
        &self,
        id: &NumberId,
        old: Option<RateRecord>,
        new: RateRecord,
    ) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression(
                "SET slots = :slots, per_slot = :per_slot, changed_at = :new_change, process_started = :new_start",
            )
            .expression_attribute_values(":slots", number(new.slots.into()))
            .expression_attribute_values(":per_slot", number(new.per_slot.into()))
            .expression_attribute_values(":new_change", number(new.changed_at))
            .expression_attribute_values(":new_start", number(new.process_started));
        let update = match old {
            None => update.condition_expression("attribute_not_exists(slots)"),
            Some(old) => update
                .condition_expression("changed_at = :changed AND process_started = :started")
                .expression_attribute_values(":changed", number(old.changed_at))
                .expression_attribute_values(":started", number(old.process_started)),
        };
        send_if("store the rate", update).await.map(drop)
    }

    fn update(&self, id: &NumberId) -> UpdateItemFluentBuilder {
        let update = self.client.update_item().table_name(&self.table);
        update.set_key(Some(key(id)))
    }
}

fn key(id: &NumberId) -> Item {
    [("id", text(NUMBER)), ("part", text(id.as_str()))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}
