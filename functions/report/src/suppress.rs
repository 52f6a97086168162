//! Suppression of rows that the operator chose: their recipients get no message of any campaign any more.
//!
//! It counts from when it was requested, so whoever consents later stays reachable, and a job that runs again does nothing to
//! those whom it has suppressed before. It goes on behind the last row whose recipients were done.

use campaign::contacts::contact::{ConsentEvent, ConsentSource};
use campaign::id::RowNumber;
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::retry::RetrySelection;
use campaign::lifecycle::summary::DeliveryRecord;
use cloud::contacts::{ContactKey, EventOrder};
use futures::stream::{self, StreamExt, TryStreamExt};
use recipients::chunks::{ImportedRow, Verdict, open_rows};
use recipients::ledger_reader::LedgerReader;

use crate::Reporter;
use crate::job::{JobError, JobRun};

/// Contacts that are written at once.
const CONCURRENT_WRITES: usize = 64;

/// Recipients whose contacts are written before more rows are read.
const RECIPIENTS_PER_ROUND: usize = 1_000;

/// Rows that are read before the recipients are written and the progress is stored.
const ROWS_PER_ROUND: RowNumber = 50_000;

impl Reporter {
    /// Suppresses the recipients of the chosen rows, each with this event. Returns the outcome, as a sentence.
    pub(crate) async fn suppress(
        &self,
        campaign: &Campaign,
        selection: &RetrySelection,
        reason: &str,
        run: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        let event = ConsentEvent {
            at: run.requested_at(),
            suppressed: true,
            source: ConsentSource::Operator,
            text: Some(reason.to_owned()),
        };
        for (index, file) in campaign.files.iter().enumerate() {
            // Of a validated file, canary rows may have been sent.
            if matches!(file.stage, FileStage::Validated | FileStage::Enqueued) {
                self.suppress_rows(campaign, index, selection, &event, run)
                    .await?;
            }
        }
        let suppressed = run.affected();
        tracing::info!(campaign.id = %campaign.id, suppressed, "recipients suppressed");
        Ok(format!(
            "{suppressed} recipients are on the suppression list now who were not before."
        ))
    }

    /// Suppresses the recipients of the chosen rows of one file.
    async fn suppress_rows(
        &self,
        campaign: &Campaign,
        index: usize,
        selection: &RetrySelection,
        event: &ConsentEvent,
        run: &mut JobRun<'_>,
    ) -> Result<(), JobError> {
        let done = RowNumber::try_from(run.rows()).unwrap_or(RowNumber::MAX);
        let (_, mut imported) = open_rows(&self.files, campaign, index, done).await?;
        let mut ledger = LedgerReader::new(&self.ledger, campaign, index);
        let mut chosen = Vec::new();
        let mut last = done;
        while let Some(ImportedRow {
            number, verdict, ..
        }) = imported.next_row().await?
        {
            last = number;
            if let Verdict::Usable(row) = verdict {
                let entry = ledger.take_row(number).await?;
                let record = entry.as_ref().map(DeliveryRecord::from);
                if selection.includes(record.as_ref()) {
                    chosen.push(row.to);
                }
            }
            if chosen.len() >= RECIPIENTS_PER_ROUND || number.is_multiple_of(ROWS_PER_ROUND) {
                let round = std::mem::take(&mut chosen);
                Box::pin(self.suppress_recipients(round, event, number, run)).await?;
            }
        }
        self.suppress_recipients(chosen, event, last, run).await
    }

    /// Suppresses the recipients of rows up to this one, then stores that they are done.
    async fn suppress_recipients(
        &self,
        recipients: Vec<Phone>,
        event: &ConsentEvent,
        up_to: RowNumber,
        run: &mut JobRun<'_>,
    ) -> Result<(), JobError> {
        let writes = recipients.into_iter().map(async |phone| {
            let key = ContactKey::Phone(phone);
            self.contacts
                .suppress(&key, event.clone(), EventOrder::ByTime)
                .await
        });
        let mut writes = stream::iter(writes).buffer_unordered(CONCURRENT_WRITES);
        let mut suppressed = 0;
        while let Some(contact) = writes.try_next().await? {
            suppressed += u64::from(contact.is_some_and(|contact| contact.suppressed));
        }
        Ok(run.finish_rows(up_to, suppressed).await?)
    }
}
