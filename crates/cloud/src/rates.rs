//! The record of a number's send rate, which all of its senders read: one item in the campaigns table (`id` = `rate`, `part` =
//! the number's id). The rules are in [`rate_change`](campaign::delivery::rate_change).

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use campaign::delivery::pacing::Rate;
use campaign::delivery::rate_change::{RateDecision, RateRecord, Role, decide};
use campaign::id::NumberId;
use campaign::time::Millis;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::cached::Cached;
use crate::dynamodb::{Item, get_value, number, put_if, text, to_item};
use crate::{Error, now};

/// The rate of this process, and the table with the record of the rate that senders keep.
#[derive(Debug)]
pub struct RateKeeper {
    client: Client,
    table: String,
    number: NumberId,
    own: Rate,
    process_started: Millis,
    /// The record with which this process sends.
    registered: Mutex<Option<RateRecord>>,
    /// The record as it was last read.
    known: Mutex<Option<Cached<Option<RateRecord>>>>,
}

impl RateKeeper {
    /// The keeper of a process that starts now with a rate of its `own` for `number`; the record is in the campaigns table.
    pub fn new(client: Client, table: String, number: NumberId, own: Rate) -> Self {
        Self {
            client,
            table,
            number,
            own,
            process_started: now(),
            registered: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// The rate of this process.
    pub fn own(&self) -> Rate {
        self.own
    }

    /// Makes our own rate that of all senders, unless a later one applies; for the beginning of an invocation, which was invoked
    /// at that time. Returns from when on it may send; `None` if it may not.
    pub async fn register(&self, invoked_at: Millis) -> Result<Option<Millis>, Error> {
        self.settle(Role::Sender { invoked_at }).await
    }

    /// Makes our own rate that of all senders, unless a process that started later has another one; for functions that do
    /// not send.
    pub async fn publish(&self) -> Result<(), Error> {
        self.settle(Role::Publisher).await.map(drop)
    }

    async fn settle(&self, role: Role) -> Result<Option<Millis>, Error> {
        loop {
            let record = self.read().await?;
            match decide(record, self.own, self.process_started, role, now()) {
                RateDecision::Send { not_before } => {
                    *self.registered.lock().await = record;
                    return Ok(Some(not_before));
                }
                RateDecision::Stop => return Ok(None),
                RateDecision::Write(new) => self.replace(record, new).await?,
            }
        }
    }

    /// Whether the record is still the one with which this process sends, from knowledge that is at most `max_age` old.
    pub async fn is_current(&self, max_age: Duration) -> Result<bool, Error> {
        let mut known = self.known.lock().await;
        let record = match known.as_ref().and_then(|known| known.get(max_age)) {
            Some(record) => record,
            None => {
                let read_at = Instant::now();
                let record = self.read().await?;
                *known = Some(Cached::new(record, read_at));
                record
            }
        };
        Ok(record.is_some() && record == *self.registered.lock().await)
    }

    async fn read(&self) -> Result<Option<RateRecord>, Error> {
        let get = self.client.get_item().table_name(&self.table);
        get_value("read the rate", get.set_key(Some(self.key()))).await
    }

    /// Replaces a record; another process may be faster.
    async fn replace(&self, old: Option<RateRecord>, new: RateRecord) -> Result<(), Error> {
        let action = "store the rate";
        let mut item = to_item(action, new)?;
        item.extend(self.key());
        let put = self.client.put_item().table_name(&self.table);
        let put = put.set_item(Some(item));
        let put = match old {
            None => put.condition_expression("attribute_not_exists(id)"),
            Some(old) => put
                .condition_expression("changed_at = :changed AND process_started = :started")
                .expression_attribute_values(":changed", number(old.changed_at))
                .expression_attribute_values(":started", number(old.process_started)),
        };
        put_if(action, put).await.map(drop)
    }

    fn key(&self) -> Item {
        let part = self.number.as_str();
        [("id", text("rate")), ("part", text(part))]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }
}
