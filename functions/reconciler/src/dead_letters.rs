//! Batches that failed five times. Nobody in them is lost: they are noted, with their campaign, and go back into the
//! queue. Whatever fails again and again stops its campaign, so that somebody looks.

use std::time::Duration;

use campaign::delivery::outcome::Millis;
use lambda_runtime::{Error, tracing};

use crate::{ReconcileStats, Reconciler, SHUTDOWN_RESERVE_MS};

/// A message that is looked at is hidden from other sweeps for this long.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(120);

/// A batch that died this often stops its campaign.
const MAX_DEAD_DELIVERIES: usize = 3;

impl Reconciler {
    /// Empties the dead-letter queue; leaves in it what is no batch, where the alarm shows it.
    pub(crate) async fn drain_dead_letters(
        &self,
        now: Millis,
        deadline: Millis,
        swept: &mut ReconcileStats,
    ) -> Result<(), Error> {
        while cloud::now() + SHUTDOWN_RESERVE_MS < deadline {
            let messages = self
                .dead_letter_queue
                .receive(10, VISIBILITY_TIMEOUT, Duration::from_secs(1))
                .await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                let batch = match message.parse_batch() {
                    Ok(batch) => batch,
                    Err(error) => {
                        tracing::error!(
                            message.id = message.id,
                            "a dead letter is no batch: {error}"
                        );
                        continue;
                    }
                };
                let times = self.dead_letters.record(&batch, &message.id, now).await?;
                let (rows, first) = (batch.rows.len(), batch.rows.first().map(|row| row.row));
                tracing::error!(campaign.id = %batch.campaign, rows, first, times, "a batch failed for good");
                if times < MAX_DEAD_DELIVERIES {
                    self.send_queue.enqueue(&[batch], Duration::ZERO).await?;
                } else {
                    let reason = format!(
                        "A batch of {rows} rows failed {times} × 5 times. Read the sender's log for why, mend it, then resume: every row is offered again."
                    );
                    self.campaigns.pause(&batch.campaign, &reason).await?;
                }
                self.dead_letter_queue
                    .delete(&[message.receipt_handle])
                    .await?;
                swept.dead_letters += 1;
            }
        }
        Ok(())
    }
}
