//! What an import stores about its campaign when it got further.

use campaign::delivery::requeue::{
    Disposition, RequeueDecision, SkipReason, decide_requeue, disposition,
};
use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::event::{Conflict, FileChange};
use cloud::metrics::Metrics;
use futures::TryStreamExt;
use lambda_runtime::Error;

use crate::Splitter;
use crate::run::Remaining;

impl Splitter {
    /// Stores how the import got further with a file. Returns what is left to do if the campaign refused it.
    pub(crate) async fn change_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        change: FileChange,
    ) -> Result<Option<Remaining>, Error> {
        let stored = self.campaigns.change_file(campaign, index, change).await?;
        match stored {
            Ok(()) => Ok(None),
            Err(Conflict::Superseded) => {
                cloud::sometimes!("a file is to be read in another way while it is read");
                tracing::info!(campaign.id = %campaign.id, file = index + 1, "the file has changed: the import begins again");
                Ok(Some(Remaining::Import))
            }
            Err(conflict @ (Conflict::NotAllowed(_) | Conflict::Gone | Conflict::StillOpen)) => {
                tracing::info!(campaign.id = %campaign.id, file = index + 1, "the import ends: {conflict}");
                Ok(Some(Remaining::Nothing))
            }
        }
    }

    /// A file that was read before cannot be read any more: the object was deleted or replaced. Some of its rows may be
    /// in the queue, so it does not count as unusable: the campaign pauses. If it is not going to send any more, what the
    /// ledger has of the rows is settled, and the rest stays as it is.
    pub(crate) async fn give_up_reading(
        &self,
        campaign: &mut Campaign,
        problem: &str,
    ) -> Result<(), Error> {
        tracing::error!(campaign.id = %campaign.id, "the file cannot be read again: {problem}");
        if let Disposition::Skip(reason) = disposition(campaign, cloud::now()) {
            self.settle_ledger(campaign, reason).await?;
            for index in 0..campaign.files.len() {
                let problem = to_sentence(problem);
                let change = FileChange::Lost { problem };
                let lost = self.change_file(campaign, index, change).await?;
                tracing::warn!(campaign.id = %campaign.id, file = index + 1, is_lost = lost.is_none());
            }
            return Ok(());
        }
        let reason = format!(
            "A file that was read before cannot be read again: {}. Cancel this campaign, and create a new one, with allow_repeat, for the rows that wait.",
            problem.trim_end_matches('.')
        );
        self.campaigns.pause(&campaign.id, &reason).await?;
        Ok(())
    }

    /// Settles every row that is in the ledger and waits for a further attempt.
    async fn settle_ledger(&self, campaign: &Campaign, reason: SkipReason) -> Result<(), Error> {
        let mut rows = self.ledger.rows(&campaign.id, 1..=campaign.last_row());
        while let Some(row) = rows.try_next().await? {
            let now = cloud::now();
            let disposition = Disposition::Skip(reason);
            let decision = decide_requeue(Some(row.status()), row.not_before, disposition, now);
            let is_open = decision != RequeueDecision::Leave;
            if let Some(number) = row.row_number().filter(|_| is_open) {
                self.ledger
                    .skip_or_abandon(&campaign.id, number, "splitter", reason, now)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Logs and counts that the rows of a file, or its canary rows, are in the queue.
pub(crate) fn report_enqueued(
    campaign: &Campaign,
    index: usize,
    is_canary: bool,
    counts: ImportCounts,
) {
    let ImportCounts {
        rows,
        rejected,
        duplicates,
        suppressed,
        enqueued,
    } = counts;
    let (id, file) = (&campaign.id, index + 1);
    if is_canary {
        let canary = campaign.canary.and_then(|canary| canary.enqueued);
        tracing::info!(campaign.id = %id, file, rows = canary, "canary rows enqueued");
        return;
    }
    tracing::info!(campaign.id = %id, file, rows, rejected, duplicates, suppressed, enqueued, "file enqueued");
    Metrics::for_function("splitter")
        .add_count("Files", 1)
        .add_count("Rows", rows as usize)
        .add_count("Rejected", rejected as usize)
        .add_count("Enqueued", enqueued as usize)
        .emit();
}

/// Makes a sentence of an error text: a capital first and a full stop last.
pub(crate) fn to_sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first = letters
        .next()
        .map(|first| first.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_text_becomes_a_sentence() {
        assert_eq!(to_sentence("the file is empty"), "The file is empty.");
    }
}
