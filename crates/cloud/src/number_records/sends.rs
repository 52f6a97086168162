//! How many messages each number sent in each minute: one item of the campaigns table a minute (`id` = `number_sends`, `part` =
//! the number's id and the minute). Every sender adds its own count before its first row after the minute, or when its
//! invocation ends.

use campaign::id::NumberId;
use campaign::time::Millis;
use serde::Deserialize;

use super::NumberRecords;
use crate::dynamodb::{Item, get_value, number, text};
use crate::{Error, ttl};

const MINUTE_MS: Millis = 60_000;

/// How long after the end of a minute all senders have added theirs.
const LATEST_MS: Millis = 10_000;

/// An item is of no use after an hour; DynamoDB removes it within days.
const RETENTION_DAYS: u32 = 1;

#[derive(Default, Deserialize)]
struct SendsItem {
    #[serde(default)]
    sends: u64,
}

impl NumberRecords {
    /// Adds what one sender sent in the minute that began at `minute`.
    pub async fn add_sends(&self, id: &NumberId, minute: Millis, sends: u64) -> Result<(), Error> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .set_key(Some(key(id, minute)))
            .update_expression("ADD sends :sends SET expires_at = :expires")
            .expression_attribute_values(":sends", number(sends))
            .expression_attribute_values(":expires", number(ttl(minute, RETENTION_DAYS)));
        let updated = update.send().await;
        updated
            .map(drop)
            .map_err(Error::from_sdk("count the sends"))
    }

    /// Messages a second in the latest minute that all senders have counted; it ended 70 seconds ago at most.
    pub async fn rate_now(&self, id: &NumberId, now: Millis) -> Result<f64, Error> {
        let minute = latest_minute(now);
        let get = self.client.get_item().table_name(&self.table);
        let item: Option<SendsItem> =
            get_value("read the sends", get.set_key(Some(key(id, minute)))).await?;
        Ok(item.unwrap_or_default().sends as f64 / 60.0)
    }
}

/// The beginning of the latest minute that all senders have counted.
fn latest_minute(now: Millis) -> Millis {
    let counted = now.saturating_sub(LATEST_MS);
    (counted - counted % MINUTE_MS).saturating_sub(MINUTE_MS)
}

fn key(id: &NumberId, minute: Millis) -> Item {
    let part = format!("{id}#{minute:015}");
    [("id", text("number_sends")), ("part", text(&part))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minute_is_read_once_all_senders_had_time_to_count_it() {
        assert_eq!(latest_minute(600_000 + LATEST_MS), 540_000);
        assert_eq!(latest_minute(600_000 + LATEST_MS - 1), 480_000);
    }
}
