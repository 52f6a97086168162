//! The inbox: messages from contacts under their ids, listed by arrival (index `by_arrival`, one partition a
//! day). `inbox/conversation.rs` has both directions of the messages of one contact.

mod conversation;

use aws_sdk_dynamodb::Client;
use campaign::id::{CampaignId, RowNumber};
use campaign::import::phone::Phone;
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use crate::contacts::{contact_id, user_contact_id};
use crate::dynamodb::{Item, from_item, get_value, number, put_if, text, to_item};
use crate::hash::sha256_hex;
use crate::{Error, scan, ttl};

pub use self::conversation::{ConversationMessage, Conversations, SentReply};

/// The index by arrival.
const BY_ARRIVAL: &str = "by_arrival";

/// The key of the index of the messages of each contact.
const CONTACT: &str = "contact";

/// How many digits of the hash of its id stand for a message.
const KEY_CHARS: usize = 16;

const DAY_MS: Millis = 86_400_000;

/// The inbox.
#[derive(Clone, Debug)]
pub struct Inbox {
    client: Client,
    table: String,
    retention_days: u32,
}

/// A message from a contact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// Its id.
    pub id: String,
    /// When it was received.
    pub received_at: Millis,
    /// When it was written, as Meta reports.
    pub written_at: Millis,
    /// The contact's number.
    pub phone: Option<Phone>,
    /// The contact's business-scoped user id.
    pub user_id: Option<String>,
    /// The contact's profile name.
    pub name: Option<String>,
    /// Meta's type of the message: `text`, `image`, `button` …
    pub kind: String,
    /// The text in it.
    pub text: Option<String>,
    /// The payload of the button.
    pub payload: Option<String>,
    /// The id of the message it answers.
    pub context: Option<String>,
    /// The campaign it answers.
    pub campaign: Option<CampaignId>,
    /// The row.
    pub row: Option<RowNumber>,
    /// How the campaign is known: `context` from the message it answers, `latest` because that campaign
    /// messaged the contact last.
    pub attribution: Option<String>,
    /// The message object as Meta sent it: JSON.
    pub raw: String,
}

/// The position of a message in the inbox, behind which a list continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the message was received.
    pub received_at: Millis,
    /// What orders messages of the same millisecond: a hash of its id, since the id has the sender's number in it.
    pub key: String,
}

impl Cursor {
    /// The position of a message.
    pub fn of(message: &InboundMessage) -> Self {
        Self {
            received_at: message.received_at,
            key: message_key(&message.id),
        }
    }

    fn position(&self) -> (Millis, &str) {
        (self.received_at, &self.key)
    }
}

/// What names the sender of a message where no number must stand; `None` if the message names no sender.
pub fn sender_id(message: &InboundMessage) -> Option<String> {
    match (message.phone, &message.user_id) {
        (Some(phone), _) => Some(contact_id(phone)),
        (None, Some(user_id)) => Some(user_contact_id(user_id)),
        (None, None) => None,
    }
}

/// What stands for the id of a message in the inbox where the sender's number must not stand.
pub fn message_key(id: &str) -> String {
    sha256_hex(id)[..KEY_CHARS].to_owned()
}

impl Inbox {
    /// The table of that name; messages expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Stores a message; one that exists already stays as it was received first.
    pub async fn store(&self, message: &InboundMessage) -> Result<(), Error> {
        let action = "store a message in the inbox";
        let mut item = to_item(action, message)?;
        item.insert("day".into(), number(message.received_at / DAY_MS));
        if let Some(contact) = sender_id(message) {
            item.insert(CONTACT.into(), text(&contact));
        }
        let expires_at = ttl(message.received_at, self.retention_days);
        item.insert("expires_at".into(), number(expires_at));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)");
        if !put_if(action, put).await? {
            crate::sometimes!("a message that came again is in the inbox already");
        }
        Ok(())
    }

    /// Messages behind `after`, in order of arrival, up to `now`; `limit` at most.
    pub async fn list(
        &self,
        after: &Cursor,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<InboundMessage>, Error> {
        let action = "list the inbox";
        let oldest = now.saturating_sub(Millis::from(self.retention_days) * DAY_MS);
        let first = after.received_at.max(oldest);
        let mut messages: Vec<InboundMessage> = Vec::new();
        for day in first / DAY_MS..=now / DAY_MS {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(BY_ARRIVAL)
                .key_condition_expression("#day = :day AND received_at >= :first")
                .expression_attribute_names("#day", "day")
                .expression_attribute_values(":day", number(day))
                .expression_attribute_values(":first", number(first));
            let mut items = query.into_paginator().items().send();
            while let Some(item) = items.next().await {
                let item = item.map_err(Error::from_sdk(action))?;
                let message: InboundMessage = from_item(action, item)?;
                if Cursor::of(&message).position() <= after.position() {
                    continue;
                }
                messages.push(message);
                // The index does not order messages of the same millisecond, so all of them must be read.
                if messages.len() > limit
                    && messages[limit - 1].received_at < messages[messages.len() - 1].received_at
                {
                    return Ok(sort_and_truncate(messages, limit));
                }
            }
        }
        Ok(sort_and_truncate(messages, limit))
    }

    /// Erases every message whose JSON, number or user id `mentions` the contact; returns the number of
    /// messages.
    pub async fn erase(&self, mentions: impl Fn(&str) -> bool) -> Result<u64, Error> {
        let is_wanted = |item: &Item| {
            ["phone", "user_id", "raw"]
                .into_iter()
                .any(|name| scan::get_text(item, name).is_some_and(&mentions))
        };
        let delete = async |mut item: Item| {
            let delete = self.client.delete_item().table_name(&self.table);
            let delete = delete.set_key(item.remove_entry("id").map(|id| [id].into()));
            let deleted = delete.send().await;
            deleted
                .map(drop)
                .map_err(Error::from_sdk("erase a message from the inbox"))
        };
        let attributes = ["id", "phone", "user_id", "raw"];
        scan::for_each(&self.client, &self.table, &attributes, is_wanted, delete).await
    }

    /// Reads one message.
    pub async fn get(&self, id: &str) -> Result<Option<InboundMessage>, Error> {
        let get = self.client.get_item().table_name(&self.table);
        get_value("read a message of the inbox", get.key("id", text(id))).await
    }
}

fn sort_and_truncate(mut messages: Vec<InboundMessage>, limit: usize) -> Vec<InboundMessage> {
    messages.sort_by_cached_key(|message| (message.received_at, message_key(&message.id)));
    messages.truncate(limit);
    messages
}
