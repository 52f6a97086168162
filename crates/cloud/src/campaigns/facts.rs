//! Facts that are written without a version. A cooldown only becomes longer, and an acceptance stays. The times may go
//! back if a write arrives late: the reconciler then requeues or scans once more, which is harmless.

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::Cooldown;
use campaign::time::Millis;

use super::Campaigns;
use crate::Error;
use crate::dynamodb::{number, send_if, to_attribute};

impl Campaigns {
    /// Starts a cooldown that the API asked for. A shorter one does not end a longer one early.
    pub async fn set_cooldown(&self, id: &CampaignId, cooldown: &Cooldown) -> Result<(), Error> {
        let action = "start a cooldown";
        let update = self
            .update(id)
            .update_expression("SET cooldown = :cooldown")
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(cooldown.#until) OR cooldown.#until < :until)",
            )
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", number(cooldown.until))
            .expression_attribute_values(":cooldown", to_attribute(action, cooldown)?);
        send_if(action, update).await.map(drop)
    }

    /// Stores that a row was accepted, which proves that the message itself is valid.
    pub async fn mark_accepted(&self, id: &CampaignId) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression("SET has_acceptance = :yes")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        let response = update.send().await;
        response
            .map(drop)
            .map_err(Error::from_sdk("store the first acceptance"))
    }

    /// Stores that all rows that are due were put into the queue at `now`.
    pub async fn mark_enqueued(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        self.set_time(id, "enqueued_at", now).await
    }

    /// Stores that a requeue of its rows began at `now`.
    pub async fn mark_requeue_begun(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        self.set_time(id, "requeue_began_at", now).await
    }

    /// Stores that the reconciler read the whole ledger of the campaign at `now`.
    pub async fn mark_reconciled(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        self.set_time(id, "reconciled_at", now).await
    }

    /// Stores that the window of the schedule opens at `at` for some rows, unless it opens for others before.
    pub async fn note_window_opening(&self, id: &CampaignId, at: Millis) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression("SET window_opens_at = :at")
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(window_opens_at) OR NOT window_opens_at <= :at)",
            )
            .expression_attribute_values(":at", number(at));
        send_if("store when the window opens", update)
            .await
            .map(drop)
    }

    /// Stores that the rows for which the window has opened by `now` are requeued.
    pub async fn clear_window_opening(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression("REMOVE window_opens_at")
            .condition_expression("window_opens_at <= :now")
            .expression_attribute_values(":now", number(now));
        send_if("store that the window has opened", update)
            .await
            .map(drop)
    }

    async fn set_time(
        &self,
        id: &CampaignId,
        attribute: &'static str,
        now: Millis,
    ) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression(format!("SET {attribute} = :now"))
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":now", number(now));
        send_if("store a time", update).await.map(drop)
    }
}
