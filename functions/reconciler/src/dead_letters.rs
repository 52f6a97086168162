//! Batches that failed five times. They are recorded and go back into the queue, so that no row is lost. A batch that
//! fails again and again pauses its campaign, so that an operator finds the cause.

use std::time::Duration;

use campaign::delivery::batch::Batch;
use cloud::ErrorKind;
use cloud::batch_queue::QueueMessage;
use lambda_runtime::Error;

use crate::Reconciler;
use crate::run::Run;

/// How long a received message is hidden from other runs.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(120);

/// A batch that came back from the dead-letter queue this often pauses its campaign.
const MAX_DEAD_DELIVERIES: usize = 3;

impl Reconciler {
    /// Empties the dead-letter queue. A message that is no batch stays in it, where the alarm shows it.
    pub(crate) async fn drain_dead_letters(&self, run: &mut Run) -> Result<(), Error> {
        while !run.is_over() {
            let messages = self
                .dead_letter_queue
                .receive(10, VISIBILITY_TIMEOUT, Duration::from_secs(1))
                .await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                match message.parse_batch() {
                    Ok(batch) => self.process_dead_letter(message, batch, run).await?,
                    Err(error) => tracing::error!(
                        message.id = message.id,
                        "a dead letter is not a batch: {error}"
                    ),
                }
            }
        }
        Ok(())
    }

    #[tracing::instrument(skip_all, fields(campaign.id = %batch.campaign, rows = batch.rows.len()))]
    async fn process_dead_letter(
        &self,
        message: QueueMessage,
        batch: Batch,
        run: &mut Run,
    ) -> Result<(), Error> {
        let deliveries = self
            .dead_letters
            .record(&batch, &message.id, run.now)
            .await?;
        let first_row = batch.rows.first().map(|row| row.row);
        tracing::error!(row = first_row, deliveries, "a batch failed too often");
        if deliveries < MAX_DEAD_DELIVERIES {
            cloud::sometimes!("a dead letter goes back into the queue");
            match self.enqueue_again(&batch).await {
                // Its number is not registered any more.
                Err(error) if error.kind == ErrorKind::NotFound => {
                    let reason = format!("{error}; then resume");
                    self.campaigns.pause(&batch.campaign, &reason).await?;
                }
                enqueued => enqueued?,
            }
        } else {
            let rows = batch.rows.len();
            let reason = format!(
                "A batch of {rows} rows failed {deliveries} × 5 times. \
                 Find the cause in the sender's log and remove it, then resume: every row without a final state is sent again."
            );
            self.campaigns.pause(&batch.campaign, &reason).await?;
        }
        self.dead_letter_queue
            .delete(&[message.receipt_handle])
            .await?;
        run.stats.dead_letters += 1;
        Ok(())
    }

    /// Puts the rows into the queues that a splitter would choose.
    async fn enqueue_again(&self, batch: &Batch) -> Result<(), cloud::Error> {
        if batch.rows.is_empty() {
            // It wakes a sender for an urgent batch.
            let first = &self.numbers.first().bulk;
            return first
                .enqueue(std::slice::from_ref(batch), Duration::ZERO)
                .await;
        }
        let Some(campaign) = self.campaigns.get(&batch.campaign).await? else {
            return Ok(());
        };
        let senders = self.numbers.of_campaign(&campaign).await?;
        let mut batcher = senders.batcher();
        batch.rows.iter().cloned().for_each(|row| batcher.push(row));
        senders
            .enqueue_rows(&campaign, batcher.finish(), batch.hops)
            .await
            .map(drop)
    }
}
