//! Notes on batches that failed five times: beside their campaign in the campaigns table (`part` = `dead_letter#{first row}`).

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnValue;
use campaign::delivery::batch::Batch;
use campaign::delivery::outcome::Millis;

use crate::campaigns::{number, text};
use crate::{Error, ttl};

/// The notes.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
    table: String,
    retention_days: u32,
}

impl DeadLetters {
    /// In the campaigns table of that name.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Notes that a batch came back dead; gives how many messages with that first row did so far. The same message noted
    /// twice counts once.
    pub async fn record(&self, batch: &Batch, message: &str, now: Millis) -> Result<usize, Error> {
        let action = "note a dead letter";
        let first = batch.rows.first().map_or(0, |row| row.row);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(batch.campaign.as_str()))
            .key("part", text(&format!("dead_letter#{first:010}")))
            .update_expression(
                "ADD messages :message SET #rows = :rows, noted_at = :now, expires_at = :expiry",
            )
            .expression_attribute_names("#rows", "rows")
            .expression_attribute_values(
                ":message",
                aws_sdk_dynamodb::types::AttributeValue::Ss(vec![message.to_owned()]),
            )
            .expression_attribute_values(":rows", number(batch.rows.len() as u64))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expiry", number(ttl(now, self.retention_days)))
            .return_values(ReturnValue::AllNew);
        let item = update
            .send()
            .await
            .map_err(Error::from_sdk(action))?
            .attributes;
        let messages = item.as_ref().and_then(|item| item.get("messages"));
        Ok(messages
            .and_then(|messages| messages.as_ss().ok())
            .map_or(0, Vec::len))
    }
}
