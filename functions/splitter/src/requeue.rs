//! Requeuing: rows that were in the queue before and are not settled are put into it again. If the campaign is cancelled
//! or expired, they are settled here instead. The ledger is read one partition at a time, so a settled row costs no queue
//! message.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use campaign::delivery::batch::{Batcher, Row};
use campaign::delivery::requeue::{
    Disposition, RequeueDecision, SkipReason, decide_requeue, disposition,
};
use campaign::id::{RowNumber, partition_of};
use campaign::import::row::{ImportCounts, RowVerdict};
use campaign::lifecycle::campaign::{Campaign, FileStage};
use cloud::import_queue::Position;
use cloud::imports::RowSet;
use cloud::ledger::LedgerRow;
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::Error;
use recipients::files::OpenedFile;

use crate::Splitter;
use crate::enqueue::{RowSetSelector, to_batches};
use crate::run::{ImportError, ImportRun};

/// Rows looked up in the ledger together: about thirty partitions.
const ROWS_PER_LOOKUP: usize = 2_000;

/// Concurrent requests to the ledger.
const MAX_CONCURRENT_REQUESTS: usize = 16;

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

/// The rows of one file that are looked up and requeued together.
struct Requeuer<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    disposition: Disposition,
    batcher: Batcher,
    pending: Vec<Row>,
    stats: RequeueStats,
}

/// What was done, for the log.
#[derive(Debug, Default)]
struct RequeueStats {
    enqueued: u64,
    skipped: u64,
    abandoned: u64,
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
        run.allow_full_time();
        for file in from.file..campaign.files.len() {
            let after = if file == from.file { from.after } else { 0 };
            let stage = campaign.files[file].stage;
            if !matches!(stage, FileStage::Validated | FileStage::Enqueued) {
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
        let (id, file) = (&campaign.id, &mut campaign.files[index]);
        if matches!(disposition, Disposition::Skip(_)) && file.stage == FileStage::Validated {
            let suppressed = self.imports.get_suppressed_rows(id, index).await?;
            file.counts = counts.with_suppressed(suppressed.len() as u64);
            file.stage = FileStage::Enqueued;
            self.campaigns.update_file(id, index, file).await?;
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
        let OpenedFile { mut recipients, .. } = self.open_file(campaign, index, run).await?;
        let enqueued = self.already_enqueued(campaign, index, disposition).await?;
        let mut requeuer = Requeuer::new(self, campaign, disposition);
        let mut usable = 0;
        while let Some(verdict) = recipients.next_verdict().await? {
            self.heartbeat(campaign, run).await?;
            let RowVerdict::Usable(row) = verdict else {
                continue;
            };
            usable += 1;
            let last = row.row;
            if last > after && enqueued.contains(usable - 1, last) {
                requeuer.pending.push(row);
            }
            if requeuer.pending.len() == ROWS_PER_LOOKUP {
                requeuer.requeue_pending().await?;
                if run.is_out_of_time() {
                    requeuer.finish().await?;
                    return Ok(FileOutcome::Partial(last));
                }
            }
        }
        let RequeueStats {
            enqueued,
            skipped,
            abandoned,
        } = requeuer.finish().await?;
        tracing::info!(campaign.id = %campaign.id, file = index + 1, enqueued, skipped, abandoned, "rows requeued");
        Ok(FileOutcome::Complete(recipients.counts()))
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

impl<'a> Requeuer<'a> {
    fn new(splitter: &'a Splitter, campaign: &'a Campaign, disposition: Disposition) -> Self {
        Self {
            splitter,
            campaign,
            disposition,
            batcher: Batcher::new(splitter.rate),
            pending: Vec::new(),
            stats: RequeueStats::default(),
        }
    }

    /// Requeues or settles what is pending, and sends the last batches.
    async fn finish(mut self) -> Result<RequeueStats, Error> {
        self.requeue_pending().await?;
        let Self {
            splitter,
            campaign,
            batcher,
            stats,
            ..
        } = self;
        send_batches(splitter, campaign, batcher.finish()).await?;
        Ok(stats)
    }

    /// Looks the pending rows up in the ledger, and requeues or settles each one.
    async fn requeue_pending(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.pending);
        let ledger = self.load_ledger_rows(&rows).await?;
        let now = cloud::now();
        let (mut batches, mut to_settle) = (Vec::new(), Vec::new());
        for row in rows {
            let entry = ledger.get(&row.row);
            let status = entry.map(LedgerRow::status);
            let due = entry.and_then(|entry| entry.not_before);
            let decision = decide_requeue(status, due, self.disposition, now);
            match (decision, self.disposition) {
                (RequeueDecision::Enqueue, _) => {
                    self.stats.enqueued += 1;
                    batches.extend(self.batcher.push(row));
                }
                (RequeueDecision::Skip(reason), _) => {
                    self.stats.skipped += 1;
                    to_settle.push((row.row, reason));
                }
                (RequeueDecision::Abandon, Disposition::Skip(reason)) => {
                    self.stats.abandoned += 1;
                    to_settle.push((row.row, reason));
                }
                (RequeueDecision::Abandon | RequeueDecision::Leave, _) => {}
            }
        }
        send_batches(self.splitter, self.campaign, batches).await?;
        stream::iter(to_settle)
            .map(|(row, reason)| self.skip_or_abandon(row, reason))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect::<()>()
            .await
    }

    /// Reads the ledger partitions of the rows.
    async fn load_ledger_rows(&self, rows: &[Row]) -> Result<HashMap<RowNumber, LedgerRow>, Error> {
        let partitions: BTreeSet<_> = rows.iter().map(|row| partition_of(row.row)).collect();
        let ledger = &self.splitter.ledger;
        let reads = stream::iter(partitions)
            .map(|partition| ledger.list_partition(&self.campaign.id, partition));
        let partitions: Vec<Vec<LedgerRow>> = reads
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        Ok(partitions
            .into_iter()
            .flatten()
            .filter_map(|row| Some((row.row_number()?, row)))
            .collect())
    }

    #[tracing::instrument(skip_all, fields(campaign.id = %self.campaign.id, row))]
    async fn skip_or_abandon(&self, row: RowNumber, reason: SkipReason) -> Result<(), Error> {
        let ledger = &self.splitter.ledger;
        ledger
            .skip_or_abandon(&self.campaign.id, row, "splitter", reason, cloud::now())
            .await?;
        Ok(())
    }
}

async fn send_batches(
    splitter: &Splitter,
    campaign: &Campaign,
    rows: Vec<Vec<Row>>,
) -> Result<(), Error> {
    let batches = to_batches(campaign, rows);
    Ok(splitter.queue.enqueue(&batches, Duration::ZERO).await?)
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
