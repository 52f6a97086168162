//! Records of batches that failed five times, beside their campaign in the campaigns table
//! (`part` = `dead_letter#{first row}`).

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use campaign::delivery::batch::Batch;
use campaign::time::Millis;

use crate::dynamodb::{number, text};
use crate::{Error, part_ttl};

/// The records.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
    table: String,
    retention_days: u32,
}

impl DeadLetters {
    /// In the campaigns table of that name; records expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Records that the message with this id brought a batch to the dead-letter queue. Returns how many
    /// messages with the same first row did so far; the same message counts once.
    pub async fn record(
        &self,
        batch: &Batch,
        message_id: &str,
        now: Millis,
    ) -> Result<usize, Error> {
        let action = "record a dead letter";
        let first = batch.rows.first().map_or(0, |row| row.row);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(batch.campaign.as_str()))
            .key("part", text(&format!("dead_letter#{first:010}")))
            .update_expression(
                "ADD messages :message SET #rows = :rows, noted_at = :now, expires_at = :expires_at",
            )
            .expression_attribute_names("#rows", "rows")
            .expression_attribute_values(
                ":message",
                AttributeValue::Ss(vec![message_id.to_owned()]),
            )
            .expression_attribute_values(":rows", number(batch.rows.len() as u64))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires_at", number(part_ttl(now, self.retention_days)))
            .return_values(ReturnValue::AllNew);
        let response = update.send().await.map_err(Error::from_sdk(action))?;
        let item = response.attributes.unwrap_or_default();
        let messages = item.get("messages");
        Ok(messages
            .and_then(|messages| messages.as_ss().ok())
            .map_or(0, Vec::len))
    }
}
