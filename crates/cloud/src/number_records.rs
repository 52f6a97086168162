//! The records of the numbers: one item of the campaigns table each (`id` = `number`, `part` = the number's id). Here is what
//! holds a number back, and its phone; the rate that its senders keep is in the same item ([`crate::rates`]).
//!
//! - `sends`: how many messages it sent in each minute, in items of their own

mod sends;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use campaign::delivery::number_hold::{CampaignHold, NumberHold, NumberPause};
use campaign::id::NumberId;
use campaign::lifecycle::campaign::Cooldown;
use campaign::time::Millis;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::Error;
use crate::dynamodb::{Item, number, query_values, send_if, text, to_attribute};
use crate::metrics::count_pause;

/// The records.
#[derive(Clone, Debug)]
pub struct NumberRecords {
    client: Client,
    table: String,
    /// The phones that this process has stored.
    noted: Arc<Mutex<HashMap<NumberId, String>>>,
}

/// A number's record, as far as it is read here.
#[derive(Debug, Deserialize)]
struct Record {
    part: NumberId,
    #[serde(default)]
    phone: Option<String>,
    #[serde(flatten)]
    hold: NumberHold,
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

    /// What holds each number back; a number that is not named is free.
    pub async fn holds(&self) -> Result<BTreeMap<NumberId, NumberHold>, Error> {
        let records = self.records().await?.into_iter();
        Ok(records.map(|record| (record.part, record.hold)).collect())
    }

    /// What holds these numbers back together.
    pub async fn hold_of<'a>(
        &self,
        numbers: impl IntoIterator<Item = &'a NumberId>,
    ) -> Result<CampaignHold, Error> {
        let holds = self.holds().await?;
        let free = NumberHold::default();
        let holds_of = numbers
            .into_iter()
            .map(|number| holds.get(number).unwrap_or(&free));
        Ok(CampaignHold::of(holds_of))
    }

    /// Pauses a number. Returns whether this call paused it: it may be paused already, or, if the reason is something that
    /// happened at `caused_at`, an operator may have resumed it since. If so, it is logged and counted, and the alarm on the
    /// metric notifies the operator.
    pub async fn pause(
        &self,
        id: &NumberId,
        pause: &NumberPause,
        caused_at: Option<Millis>,
    ) -> Result<bool, Error> {
        let action = "pause a number";
        let update = self
            .update(id)
            .update_expression("SET paused = :pause")
            .expression_attribute_values(":pause", to_attribute(action, pause)?);
        let update = match caused_at {
            None => update.condition_expression("attribute_not_exists(paused)"),
            Some(caused_at) => update
                .condition_expression(
                    "attribute_not_exists(paused) AND (attribute_not_exists(resumed_at) OR resumed_at <= :caused)",
                )
                .expression_attribute_values(":caused", number(caused_at)),
        };
        let is_paused = send_if(action, update).await?;
        if is_paused {
            tracing::error!(number = %id, "number paused: {}", pause.reason);
            count_pause();
        }
        Ok(is_paused)
    }

    /// Ends the pause of a number, and a cooldown. Returns whether it was paused.
    pub async fn resume(&self, id: &NumberId, now: Millis) -> Result<bool, Error> {
        let update = self
            .update(id)
            .update_expression("REMOVE paused, cooldown SET resumed_at = :now")
            .condition_expression("attribute_exists(paused)")
            .expression_attribute_values(":now", number(now));
        send_if("resume a number", update).await
    }

    /// Starts a cooldown that the API asked for. A shorter one does not end a longer one early.
    pub async fn start_cooldown(&self, id: &NumberId, cooldown: &Cooldown) -> Result<(), Error> {
        let action = "start a cooldown";
        let update = self
            .update(id)
            .update_expression("SET cooldown = :cooldown")
            .condition_expression(
                "attribute_not_exists(cooldown.#until) OR cooldown.#until < :until",
            )
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", number(cooldown.until))
            .expression_attribute_values(":cooldown", to_attribute(action, cooldown)?);
        if send_if(action, update).await? {
            tracing::warn!(number = %id, until = cooldown.until, "cooldown: {}", cooldown.reason);
        }
        Ok(())
    }

    /// Stores the phone of a number, as digits: Meta's notifications name no id. A process does so once.
    pub async fn note_phone(&self, id: &NumberId, phone: &str) -> Result<(), Error> {
        let mut noted = self.noted.lock().await;
        if noted.get(id).is_some_and(|known| known == phone) {
            return Ok(());
        }
        let update = self
            .update(id)
            .update_expression("SET phone = :phone")
            .condition_expression("attribute_not_exists(phone) OR phone <> :phone")
            .expression_attribute_values(":phone", text(phone));
        send_if("store the phone of a number", update).await?;
        noted.insert(id.clone(), phone.to_owned());
        Ok(())
    }

    /// The number with this phone, as digits.
    pub async fn find_by_phone(&self, phone: &str) -> Result<Option<NumberId>, Error> {
        let mut records = self.records().await?.into_iter();
        let found = records.find(|record| record.phone.as_deref() == Some(phone));
        Ok(found.map(|record| record.part))
    }

    async fn records(&self) -> Result<Vec<Record>, Error> {
        let query = self.client.query().table_name(&self.table);
        let query = query
            .key_condition_expression("id = :number")
            .expression_attribute_values(":number", text(NUMBER))
            .consistent_read(true);
        query_values("read the numbers' records", query).await
    }

    fn update(&self, id: &NumberId) -> UpdateItemFluentBuilder {
        let update = self.client.update_item().table_name(&self.table);
        update.set_key(Some(record_key(id)))
    }
}

const NUMBER: &str = "number";

/// The key of a number's record.
pub(crate) fn record_key(id: &NumberId) -> Item {
    [("id", text(NUMBER)), ("part", text(id.as_str()))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}
