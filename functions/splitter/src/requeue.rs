//! Requeuing: rows that were in the queue before and are not settled are put into it again. If the campaign is cancelled
//! or expired, they are settled here instead. The ledger is read for thousands of rows at a time, so a settled row costs no
//! queue message.

use std::collections::HashSet;

use campaign::delivery::requeue::{Disposition, disposition};
use campaign::id::RowNumber;
use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::event::FileChange;
use cloud::import_queue::Position;
use cloud::imports::RowSet;
use lambda_runtime::Error;
use recipients::chunks::{ImportedRow, ImportedRows, Verdict, open_rows};

use crate::Splitter;
use crate::enqueue::RowSetSelector;
use crate::requeuer::{MAX_PENDING_ROWS, PendingRow, RequeueStats, Requeuer};
use crate::run::{ImportError, ImportRun};

/// How requeuing ended.
pub(crate) enum RequeueOutcome {
    /// At the end of the last file.
    Complete,
    /// Time ran out; the next invocation continues from here.
    Partial(Position),
}

/// How requeuing one file ended.
enum FileOutcome {
    Complete(ImportCounts),
    /// Time ran out after this row.
    Partial(RowNumber),
}

impl Splitter {
    /// Requeues the unsettled rows of every file, from the position on.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id))]
    pub(crate) async fn requeue(
        &self,
        campaign: &mut Campaign,
        from: Position,
        run: &mut ImportRun<'_>,
    ) -> Result<RequeueOutcome, ImportError> {
        let disposition = disposition(campaign, cloud::now());
        if disposition == Disposition::Wait {
            return Ok(RequeueOutcome::Complete);
        }
        if from == Position::default() {
            let (id, now) = (&campaign.id, cloud::now());
            // A job for rows whose window has just opened leaves those of a resumed number out.
            if run.window_opened_at().is_none() {
                self.campaigns.mark_requeue_begun(id, now).await?;
            }
            // Rows for which the window opens from here on are noted anew.
            if campaign.window_opens_at.is_some() {
                self.campaigns.clear_window_opening(id, now).await?;
            }
        }
        if let Some(row) = &campaign.single_row {
            let mut requeuer = Requeuer::new(self, campaign, disposition, run).await?;
            requeuer.requeue(vec![row.clone().into()]).await?;
            requeuer.finish().await?;
        }
        for file in from.file..campaign.files.len() {
            let after = if file == from.file { from.after } else { 0 };
            if campaign.files[file].chunk_set.is_none()
                || campaign.files[file].stage == FileStage::Failed
            {
                continue;
            }
            let outcome = self
                .requeue_file(campaign, file, after, disposition, run)
                .await?;
            match outcome {
                FileOutcome::Partial(after) => {
                    return Ok(RequeueOutcome::Partial(Position { file, after }));
                }
                FileOutcome::Complete(counts) => {
                    self.close_file(campaign, file, disposition, counts).await?;
                }
            }
        }
        self.campaigns
            .mark_enqueued(&campaign.id, cloud::now())
            .await?;
        Ok(RequeueOutcome::Complete)
    }

    /// If the rest of a file is not going to be sent, the file counts as enqueued: none of its rows waits any more.
    async fn close_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        disposition: Disposition,
        counts: ImportCounts,
    ) -> Result<(), Error> {
        let stage = campaign.files[index].stage;
        if matches!(disposition, Disposition::Skip(_)) && stage == FileStage::Validated {
            let suppressed = self
                .imports
                .get_suppressed_rows(&campaign.id, index)
                .await?;
            let counts = counts.with_suppressed(suppressed.len() as u64);
            let change = FileChange::Enqueued { counts };
            self.change_file(campaign, index, change).await?;
        }
        Ok(())
    }

    async fn requeue_file(
        &self,
        campaign: &Campaign,
        index: usize,
        after: RowNumber,
        disposition: Disposition,
        run: &mut ImportRun<'_>,
    ) -> Result<FileOutcome, ImportError> {
        let enqueued = self.already_enqueued(campaign, index, disposition).await?;
        let mut requeuer = Requeuer::new(self, campaign, disposition, run).await?;
        let (file, imported) = open_rows(&self.files, campaign, index, after).await?;
        let mut source = PendingRowSource {
            splitter: self,
            campaign,
            run,
            imported,
            enqueued,
        };
        let mut rows = source.next_rows().await?;
        while let Some(last) = rows.last().map(|row| row.number) {
            // The next rows are read while these are looked up and sent.
            let (requeued, next) = tokio::join!(requeuer.requeue(rows), source.next_rows());
            requeued?;
            rows = next?;
            if !rows.is_empty() && source.run.is_out_of_time() {
                requeuer.finish().await?;
                return Ok(FileOutcome::Partial(last));
            }
        }
        let RequeueStats {
            enqueued,
            skipped,
            abandoned,
        } = requeuer.finish().await?;
        tracing::info!(campaign.id = %campaign.id, file = index + 1, enqueued, skipped, abandoned, "rows requeued");
        Ok(FileOutcome::Complete(file.counts))
    }

    /// Reads which rows of a file were in the queue before.
    async fn already_enqueued(
        &self,
        campaign: &Campaign,
        index: usize,
        disposition: Disposition,
    ) -> Result<AlreadyEnqueued, Error> {
        let (id, file) = (&campaign.id, &campaign.files[index]);
        // When rows are skipped, the rows behind the checkpoint are too: no later pass is going to reach them.
        let is_all =
            file.stage == FileStage::Enqueued || matches!(disposition, Disposition::Skip(_));
        let last_enqueued = async |row_set| -> Result<RowNumber, Error> {
            if is_all {
                return Ok(RowNumber::MAX);
            }
            let checkpoint = self.imports.get_checkpoint(id, index, row_set).await?;
            Ok(checkpoint.map_or(0, |checkpoint| checkpoint.completed_row))
        };
        Ok(AlreadyEnqueued {
            selector: RowSetSelector::for_file(campaign, index),
            canary_up_to: last_enqueued(RowSet::Canary).await?,
            remainder_up_to: last_enqueued(RowSet::Remainder).await?,
            suppressed: self.imports.get_suppressed_rows(id, index).await?,
        })
    }
}

/// Reads the rows of a file that may have to be requeued.
struct PendingRowSource<'a, 'r, 'm> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    run: &'r mut ImportRun<'m>,
    imported: ImportedRows<'a>,
    enqueued: AlreadyEnqueued,
}

impl PendingRowSource<'_, '_, '_> {
    /// The rows that are requeued together next; none at the end of the file.
    async fn next_rows(&mut self) -> Result<Vec<PendingRow>, ImportError> {
        let mut rows = Vec::with_capacity(MAX_PENDING_ROWS);
        while rows.len() < MAX_PENDING_ROWS
            && let Some(ImportedRow {
                number, verdict, ..
            }) = self.imported.next_row().await?
        {
            self.splitter.heartbeat(self.campaign, self.run).await?;
            match verdict {
                Verdict::Usable(row)
                    if self.enqueued.contains(self.imported.usable() - 1, number) =>
                {
                    rows.push(row.into());
                }
                // A callback may have reopened it. Then it is settled.
                Verdict::Erased => rows.push(PendingRow { number, row: None }),
                _ => {}
            }
        }
        Ok(rows)
    }
}

/// Rows of a file that were in the queue before.
struct AlreadyEnqueued {
    selector: RowSetSelector,
    canary_up_to: RowNumber,
    remainder_up_to: RowNumber,
    suppressed: HashSet<RowNumber>,
}

impl AlreadyEnqueued {
    /// Whether the row was in the queue: the file's usable row at `index` (from 0).
    fn contains(&self, index: u64, row: RowNumber) -> bool {
        let up_to = match self.selector.row_set(index) {
            RowSet::Canary => self.canary_up_to,
            RowSet::Remainder => self.remainder_up_to,
        };
        row <= up_to && !self.suppressed.contains(&row)
    }
}
