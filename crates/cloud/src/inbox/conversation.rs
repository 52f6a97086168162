//! Conversations: the messages of one contact in both directions (index `by_contact`), and whose are the latest.

use std::collections::HashSet;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use campaign::id::CampaignId;
use campaign::import::phone::Phone;
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use super::{BY_ARRIVAL, CONTACT, Cursor, DAY_MS, InboundMessage, Inbox, sender_id};
use crate::contacts::contact_id;
use crate::dynamodb::{Item, from_item, number, put_if, text, to_item};
use crate::{Error, ttl};

/// The index of the messages of each contact.
const BY_CONTACT: &str = "by_contact";

/// The attribute by which replies differ from messages that were received.
const DIRECTION: &str = "direction";
const OUT: &str = "out";

/// Messages of one query while conversations are looked for.
const PAGE: i32 = 200;

/// Messages that one request looks through for conversations.
const MAX_SEARCHED: usize = 2_000;

/// A message that an operator sent to a contact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentReply {
    /// The id of the campaign of one row that sends it.
    pub id: String,
    /// When it was written. The index sorts by it, so it has the name that it has in messages that are received.
    #[serde(rename = "received_at")]
    pub sent_at: Millis,
    /// The contact's number.
    pub phone: Phone,
    /// Who wrote it: the name of a token.
    pub by: String,
    /// The message object: JSON.
    pub raw: String,
}

impl SentReply {
    /// The campaign that sends it.
    pub fn campaign(&self) -> Option<CampaignId> {
        self.id.parse().ok()
    }
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum ConversationMessage {
    /// The contact wrote it.
    Received(Box<InboundMessage>),
    /// An operator wrote it.
    Sent(SentReply),
}

/// Conversations by their latest message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversations {
    /// What names the contact, and the latest message of it.
    pub latest: Vec<(String, InboundMessage)>,
    /// Where the next list begins; `None` at the end.
    pub next: Option<Cursor>,
}

impl Inbox {
    /// Stores a message that an operator sends to a contact; one that exists already stays as it is.
    pub async fn store_reply(&self, reply: &SentReply) -> Result<(), Error> {
        let action = "store a reply";
        let mut item = to_item(action, reply)?;
        item.insert(CONTACT.into(), text(&contact_id(reply.phone)));
        item.insert(DIRECTION.into(), text(OUT));
        let expires_at = ttl(reply.sent_at, self.retention_days);
        item.insert("expires_at".into(), number(expires_at));
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)");
        put_if(action, put).await.map(drop)
    }

    /// The messages of a contact before `before`, newest first, `limit` at most.
    pub async fn list_conversation(
        &self,
        contact: &str,
        before: Millis,
        limit: i32,
    ) -> Result<Vec<ConversationMessage>, Error> {
        let action = "read a conversation";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_CONTACT)
            .key_condition_expression("#contact = :contact AND received_at < :before")
            .expression_attribute_names("#contact", CONTACT)
            .expression_attribute_values(":contact", text(contact))
            .expression_attribute_values(":before", number(before))
            .scan_index_forward(false)
            .limit(limit);
        let response = query.send().await.map_err(Error::from_sdk(action))?;
        let items = response.items.unwrap_or_default().into_iter();
        items.map(|item| parse_message(action, item)).collect()
    }

    /// Contacts by their latest message, newest first, `limit` at most, up to `now` or behind `after`. Whoever wrote again since
    /// the list before this one, is in both.
    pub async fn list_conversations(
        &self,
        after: Option<&Cursor>,
        now: Millis,
        limit: usize,
    ) -> Result<Conversations, Error> {
        let action = "list the conversations";
        let newest = after.map_or(now, |after| after.received_at);
        let oldest = now.saturating_sub(Millis::from(self.retention_days) * DAY_MS);
        let (mut seen, mut searched) = (HashSet::new(), 0);
        let mut found = Conversations::default();
        for day in (oldest / DAY_MS..=newest / DAY_MS).rev() {
            let mut start: Option<Item> = None;
            loop {
                let query = self.query_day(day, newest).set_exclusive_start_key(start);
                let response = query.send().await.map_err(Error::from_sdk(action))?;
                for item in response.items.unwrap_or_default() {
                    let message: InboundMessage = from_item(action, item)?;
                    let position = Cursor::of(&message);
                    if after.is_some_and(|after| position.position() >= after.position()) {
                        continue;
                    }
                    searched += 1;
                    if let Some(contact) = sender_id(&message)
                        && seen.insert(contact.clone())
                    {
                        found.latest.push((contact, message));
                    }
                    if found.latest.len() == limit || searched == MAX_SEARCHED {
                        found.next = Some(position);
                        return Ok(found);
                    }
                }
                start = response.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn query_day(&self, day: u64, newest: Millis) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name(BY_ARRIVAL)
            .key_condition_expression("#day = :day AND received_at <= :newest")
            .expression_attribute_names("#day", "day")
            .expression_attribute_values(":day", number(day))
            .expression_attribute_values(":newest", number(newest))
            .scan_index_forward(false)
            .limit(PAGE)
    }
}

fn parse_message(action: &'static str, item: Item) -> Result<ConversationMessage, Error> {
    match item.contains_key(DIRECTION) {
        true => from_item(action, item).map(ConversationMessage::Sent),
        false => {
            from_item(action, item).map(|message| ConversationMessage::Received(Box::new(message)))
        }
    }
}
