//! Suppression of rows that the operator chose: their recipients get no message of any campaign any more.

use campaign::contacts::contact::{ConsentEvent, ConsentSource};
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::retry::RetrySelection;
use campaign::lifecycle::summary::DeliveryRecord;
use cloud::contacts::ContactKey;
use futures::stream::{self, StreamExt, TryStreamExt};
use recipients::chunks::{Verdict, open_rows};
use recipients::ledger_reader::LedgerReader;

use crate::Reporter;
use crate::job::{JobError, JobRun};

/// Contacts that are written at once.
const CONCURRENT_WRITES: usize = 16;

/// Recipients whose contacts are written before more rows are read.
const RECIPIENTS_PER_ROUND: usize = 1_000;

/// What became of the recipients.
#[derive(Default)]
struct Suppressed {
    newly: u64,
    before: u64,
}

impl Reporter {
    /// Suppresses the recipients of the chosen rows. Returns how many, as a sentence.
    pub(crate) async fn suppress(
        &self,
        campaign: &Campaign,
        selection: &RetrySelection,
        reason: &str,
        run: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        let mut suppressed = Suppressed::default();
        run.reset_rows();
        for index in 0..campaign.files.len() {
            if campaign.files[index].stage == FileStage::Enqueued {
                self.suppress_rows(campaign, index, selection, reason, &mut suppressed, run)
                    .await?;
            }
        }
        let Suppressed { newly, before } = suppressed;
        tracing::info!(campaign.id = %campaign.id, newly, before, "recipients suppressed");
        Ok(format!(
            "{newly} recipients are suppressed now; {before} were before."
        ))
    }

    /// Suppresses the recipients of the chosen rows of one file.
    async fn suppress_rows(
        &self,
        campaign: &Campaign,
        index: usize,
        selection: &RetrySelection,
        reason: &str,
        suppressed: &mut Suppressed,
        run: &mut JobRun<'_>,
    ) -> Result<(), JobError> {
        let (_, mut imported) = open_rows(&self.files, campaign, index, 0).await?;
        let mut ledger = LedgerReader::new(&self.ledger, campaign, index);
        let mut chosen = Vec::new();
        while let Some(imported_row) = imported.next_row().await? {
            run.count_row().await?;
            let Verdict::Usable(row) = imported_row.verdict else {
                continue;
            };
            let entry = ledger.take_row(row.row).await?;
            let record = entry.as_ref().map(DeliveryRecord::from);
            if selection.includes(record.as_ref()) {
                chosen.push(row.to);
            }
            if chosen.len() >= RECIPIENTS_PER_ROUND {
                let round = std::mem::take(&mut chosen);
                Box::pin(self.suppress_recipients(round, reason, suppressed)).await?;
            }
        }
        self.suppress_recipients(chosen, reason, suppressed).await
    }

    async fn suppress_recipients(
        &self,
        recipients: Vec<Phone>,
        reason: &str,
        suppressed: &mut Suppressed,
    ) -> Result<(), JobError> {
        let writes = recipients.into_iter().map(async |phone| {
            let event = ConsentEvent {
                at: cloud::now(),
                suppressed: true,
                source: ConsentSource::Operator,
                text: Some(reason.to_owned()),
            };
            self.contacts
                .suppress(&ContactKey::Phone(phone), event)
                .await
        });
        let mut writes = stream::iter(writes).buffer_unordered(CONCURRENT_WRITES);
        while let Some(contact) = writes.try_next().await? {
            match contact {
                Some(_) => suppressed.newly += 1,
                None => suppressed.before += 1,
            }
        }
        Ok(())
    }
}
