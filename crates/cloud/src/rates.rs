//! The record of a number, which all of its senders read: its send rate, and what holds it back. The rules are in
//! [`rate_change`](campaign::delivery::rate_change) and [`number_hold`](campaign::delivery::number_hold).

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use campaign::delivery::number_hold::NumberHold;
use campaign::delivery::pacing::Rate;
use campaign::delivery::rate_change::{RateDecision, RateRecord, Role, decide};
use campaign::id::NumberId;
use campaign::time::Millis;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::cached::Cached;
use crate::dynamodb::{from_item, get_item, number, send_if};
use crate::number_records::record_key;
use crate::{Error, now};

const READ: &str = "read the rate";

/// What the record says.
#[derive(Clone, Debug, Default)]
struct NumberRecord {
    /// Nothing, before the first sender.
    rate: Option<RateRecord>,
    hold: NumberHold,
}

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
    known: Mutex<Option<Cached<NumberRecord>>>,
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
            let record = self.read().await?.rate;
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

    /// What holds the number back, from knowledge that is at most `max_age` old. `None` if the rate is no longer the one with
    /// which this process sends.
    pub async fn check(&self, max_age: Duration) -> Result<Option<NumberHold>, Error> {
        let mut known = self.known.lock().await;
        let record = match known.as_ref().and_then(|known| known.get(max_age)) {
            Some(record) => record,
            None => {
                let read_at = Instant::now();
                let record = self.read().await?;
                *known = Some(Cached::new(record.clone(), read_at));
                record
            }
        };
        let is_current = record.rate.is_some() && record.rate == *self.registered.lock().await;
        Ok(is_current.then_some(record.hold))
    }

    /// Has the next check read the record: this process has just changed it.
    pub async fn forget(&self) {
        *self.known.lock().await = None;
    }

    async fn read(&self) -> Result<NumberRecord, Error> {
        let get = self.client.get_item().table_name(&self.table);
        let item = get_item(READ, get.set_key(Some(record_key(&self.number)))).await?;
        let Some(item) = item else {
            return Ok(NumberRecord::default());
        };
        // A number may be paused before its first sender has stored a rate.
        let rate = match item.contains_key("slots") {
            true => Some(from_item(READ, item.clone())?),
            false => None,
        };
        let hold = from_item(READ, item)?;
        Ok(NumberRecord { rate, hold })
    }

    /// Replaces the rate; another process may be faster.
    async fn replace(&self, old: Option<RateRecord>, new: RateRecord) -> Result<(), Error> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .set_key(Some(record_key(&self.number)))
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
}
