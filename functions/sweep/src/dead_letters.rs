//! Batches that failed five times. Nobody in them is lost: they are noted, with their campaign, and go back into the
//! queue. Whatever fails again and again stops its campaign, so that somebody looks.

use std::time::Duration;

use campaign::outcome::Millis;
use lambda_runtime::{Error, tracing};

use crate::{Sweep, Swept, WIND_UP_MS};

/// A message that is looked at is hidden from other sweeps for this long.
const HIDDEN: Duration = Duration::from_secs(120);

/// A batch that died this often stops its campaign.
const TOO_OFTEN: usize = 3;

impl Sweep {
    /// Empties the dead-letter queue; leaves in it what is no batch, where the alarm shows it.
    pub(crate) async fn dead_letters(
        &self,
        now: Millis,
        deadline: Millis,
        swept: &mut Swept,
    ) -> Result<(), Error> {
        while cloud::now() + WIND_UP_MS < deadline {
            let messages = self
                .dead
                .receive(10, HIDDEN, Duration::from_secs(1))
                .await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                let batch = match message.batch() {
                    Ok(batch) => batch,
                    Err(error) => {
                        tracing::error!(
                            message.id = message.id,
                            "a dead letter is no batch: {error}"
                        );
                        continue;
                    }
                };
                let times = self.notes.note(&batch, &message.id, now).await?;
                let (rows, first) = (batch.rows.len(), batch.rows.first().map(|row| row.row));
                tracing::error!(campaign.id = %batch.campaign, rows, first, times, "a batch failed for good");
                if times < TOO_OFTEN {
                    self.sends.send(&[batch], Duration::ZERO).await?;
                } else {
                    let reason = format!(
                        "A batch of {rows} rows failed {times} × 5 times. Read the sender's log for why, mend it, then resume: every row is offered again."
                    );
                    self.campaigns.pause(&batch.campaign, &reason).await?;
                }
                self.dead.delete(&[message.receipt]).await?;
                swept.dead_letters += 1;
            }
        }
        Ok(())
    }
}
