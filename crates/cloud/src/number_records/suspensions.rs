//! Pauses and cooldowns of numbers. The rules are in [`number_suspension`](campaign::delivery::number_suspension).

use campaign::delivery::number_suspension::NumberPause;
use campaign::id::NumberId;
use campaign::lifecycle::campaign::{Cooldown, PausedBy};
use campaign::time::Millis;

use super::NumberRecords;
use crate::Error;
use crate::dynamodb::{number, send_if, to_attribute};
use crate::metrics::count_pause;

impl NumberRecords {
    /// Pauses a number. Returns whether this call paused it: it may be paused already, or, if the reason is something that
    /// happened at `caused_at`, an operator may have resumed it since. A pause that no operator wanted is logged and counted,
    /// and the alarm on the metric notifies them.
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
        if is_paused && pause.by != PausedBy::Operator {
            tracing::error!(number = %id, "number paused: {}", pause.reason);
            count_pause();
        }
        Ok(is_paused)
    }

    /// Ends the pause of a number, and a cooldown.
    pub async fn resume(&self, id: &NumberId, now: Millis) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression("REMOVE paused, cooldown SET resumed_at = :now")
            .condition_expression("attribute_exists(paused) OR attribute_exists(cooldown)")
            .expression_attribute_values(":now", number(now));
        send_if("resume a number", update).await.map(drop)
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
}
