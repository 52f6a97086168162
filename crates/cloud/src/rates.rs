//! The send rate of a number, in its record, which all of its senders read. The rules are in
//! [`rate_change`](campaign::delivery::rate_change); with the rate, senders read what stops the number.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use campaign::delivery::number_suspension::NumberSuspension;
use campaign::delivery::pacing::Rate;
use campaign::delivery::rate_change::{RateDecision, RateRecord, Role, decide};
use campaign::id::NumberId;
use campaign::time::Millis;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::cached::Cached;
use crate::number_records::{NumberRecord, NumberRecords};
use crate::{Error, now};

/// The rate of this process, and the table with the record of the rate that senders keep.
#[derive(Debug)]
pub struct RateKeeper {
    records: NumberRecords,
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
            records: NumberRecords::new(client, table),
            number,
            own,
            process_started: now(),
            registered: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// The same keeper as of `process_started`: it replaces no record of a process that started later.
    pub(crate) fn started_at(self, process_started: Millis) -> Self {
        Self {
            process_started,
            ..self
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
            let record = self.records.get(&self.number).await?.rate;
            match decide(record, self.own, self.process_started, role, now()) {
                RateDecision::Send { not_before } => {
                    *self.registered.lock().await = record;
                    return Ok(Some(not_before));
                }
                RateDecision::Stop => return Ok(None),
                RateDecision::Write(new) => {
                    self.records.replace_rate(&self.number, record, new).await?;
                }
            }
        }
    }

    /// What stops the number, from knowledge that is at most `max_age` old. `None` if the rate is no longer the one with
    /// which this process sends.
    pub async fn suspension_if_rate_is_current(
        &self,
        max_age: Duration,
    ) -> Result<Option<NumberSuspension>, Error> {
        let mut known = self.known.lock().await;
        let record = match known.as_ref().and_then(|known| known.get(max_age)) {
            Some(record) => record,
            None => {
                let read_at = Instant::now();
                let record = self.records.get(&self.number).await?;
                *known = Some(Cached::new(record.clone(), read_at));
                record
            }
        };
        let is_current = record.rate.is_some() && record.rate == *self.registered.lock().await;
        Ok(is_current.then_some(record.suspension))
    }

    /// Has the next check read the record: this process has just changed it.
    pub async fn forget(&self) {
        *self.known.lock().await = None;
    }
}
