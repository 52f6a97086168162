//! The inbox: what people wrote, under the message's id, listed by when it came (index `by_arrival`, one partition a day).

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::outcome::Millis;
use campaign::id::{CampaignId, RowNumber};
use campaign::import::phone::Phone;
use serde::{Deserialize, Serialize};

use crate::campaigns::{already_exists, number, text};
use crate::{Error, scan, ttl};

/// The index by arrival.
const BY_ARRIVAL: &str = "by_arrival";

const DAY_MS: Millis = 86_400_000;

/// The inbox.
#[derive(Clone, Debug)]
pub struct Inbox {
    client: Client,
    table: String,
    retention_days: u32,
}

/// A message from somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// Its id.
    pub id: String,
    /// When it came here.
    pub received_at: Millis,
    /// When it was written, as Meta says.
    pub written_at: Millis,
    /// From whom.
    pub phone: Option<Phone>,
    /// From whom, as Meta calls them.
    pub user_id: Option<String>,
    /// What they call themselves.
    pub name: Option<String>,
    /// `text`, `image`, `button` … as Meta has it.
    pub kind: String,
    /// The words in it.
    pub text: Option<String>,
    /// What the button stands for.
    pub payload: Option<String>,
    /// The id of the message it answers.
    pub context: Option<String>,
    /// The campaign it is an answer to.
    pub campaign: Option<CampaignId>,
    /// The row.
    pub row: Option<RowNumber>,
    /// How that is known: `context` from the message it answers, `latest` because that campaign wrote last.
    pub attribution: Option<String>,
    /// The message object as Meta sent it: JSON.
    pub raw: String,
}

/// A place in the inbox, to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the last letter came.
    pub received_at: Millis,
    /// Its id.
    pub id: String,
}

impl Inbox {
    /// The table of that name; letters expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Keeps a letter; one that is there already stays as it came first.
    pub async fn store(&self, letter: &InboundMessage) -> Result<(), Error> {
        let action = "keep a message";
        let mut item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(letter).map_err(|error| Error::new(action, error))?;
        item.insert("day".into(), number(letter.received_at / DAY_MS));
        let expiry = ttl(letter.received_at, self.retention_days);
        item.insert("expires_at".into(), number(expiry));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)");
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if already_exists(&error) => Ok(()),
            Err(error) => Err(Error::from_sdk(action)(error)),
        }
    }

    /// Letters that came behind `after`, in order, up to `now`; at most `limit`.
    pub async fn list(
        &self,
        after: &Cursor,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<InboundMessage>, Error> {
        let action = "list messages";
        let oldest = now.saturating_sub(Millis::from(self.retention_days) * DAY_MS);
        let first = after.received_at.max(oldest);
        let mut letters = Vec::new();
        for day in first / DAY_MS..=now / DAY_MS {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(BY_ARRIVAL)
                .key_condition_expression("#day = :day AND received_at >= :from")
                .expression_attribute_names("#day", "day")
                .expression_attribute_values(":day", number(day))
                .expression_attribute_values(":from", number(first));
            let mut items = query.into_paginator().items().send();
            while let Some(item) = items.next().await {
                let item = item.map_err(Error::from_sdk(action))?;
                let letter: InboundMessage =
                    serde_dynamo::from_item(item).map_err(|error| Error::new(action, error))?;
                let place = (letter.received_at, letter.id.as_str());
                if place <= (after.received_at, after.id.as_str()) {
                    continue;
                }
                letters.push(letter);
                // Letters of one moment are in no order of their own in the index.
                if letters.len() > limit
                    && letters[limit - 1].received_at < letters[letters.len() - 1].received_at
                {
                    return Ok(sort_and_truncate(letters, limit));
                }
            }
        }
        Ok(sort_and_truncate(letters, limit))
    }

    /// Deletes every letter whose JSON or sender `is_about` picks; gives how many.
    pub async fn erase(&self, is_about: impl Fn(&str) -> bool) -> Result<u64, Error> {
        let about = |item: &scan::Item, name| scan::get_text(item, name).is_some_and(&is_about);
        let wanted = |item: &scan::Item| {
            ["phone", "user_id", "raw"]
                .into_iter()
                .any(|name| about(item, name))
        };
        let delete = async |mut item: scan::Item| {
            let delete = self.client.delete_item().table_name(&self.table);
            let delete = delete.set_key(item.remove_entry("id").map(|id| [id].into()));
            let deleted = delete.send().await;
            deleted
                .map(drop)
                .map_err(Error::from_sdk("erase a message"))
        };
        let names = ["id", "phone", "user_id", "raw"];
        scan::for_each(&self.client, &self.table, &names, wanted, delete).await
    }

    /// One letter.
    pub async fn get(&self, id: &str) -> Result<Option<InboundMessage>, Error> {
        let action = "read a message";
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("id", text(id))
            .consistent_read(true);
        let item = get.send().await.map_err(Error::from_sdk(action))?.item;
        item.map(|item| serde_dynamo::from_item(item).map_err(|error| Error::new(action, error)))
            .transpose()
    }
}

fn sort_and_truncate(mut letters: Vec<InboundMessage>, limit: usize) -> Vec<InboundMessage> {
    letters.sort_by(|one, other| (one.received_at, &one.id).cmp(&(other.received_at, &other.id)));
    letters.truncate(limit);
    letters
}
