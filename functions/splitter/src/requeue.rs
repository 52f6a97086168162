//! Offering again: rows that were in the queue before and are not settled go into it once more; those of a campaign that
//! will not go on are settled here. The ledger says which are which, page by page, so a settled row costs no message.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use campaign::delivery::batch::{Batch, Batcher, Row};
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
use lambda_runtime::{Error, tracing};
use recipients::files::OpenedFile;

use crate::enqueue::RowSetSelector;
use crate::{ImportError, ImportRun, Splitter};

/// Rows looked up in the ledger together: some thirty pages.
const ROWS_PER_LOOKUP: usize = 2_000;

/// Requests to the ledger under way at once.
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// Where offering ended.
pub(crate) enum RequeueOutcome {
    /// At the end of the last file.
    Complete,
    /// Time runs out; the next invocation goes on from here.
    Partial(Position),
}

/// What was done about rows, for the log.
#[derive(Debug, Default)]
struct RequeueStats {
    enqueued: u64,
    skipped: u64,
    abandoned: u64,
}

impl Splitter {
    /// Offers what is open of every file, from the position on.
    pub(crate) async fn requeue(
        &self,
        campaign: &mut Campaign,
        from: Position,
        turn: &mut ImportRun<'_>,
    ) -> Result<RequeueOutcome, ImportError> {
        let fate = disposition(campaign, cloud::now());
        if fate == Disposition::Wait {
            return Ok(RequeueOutcome::Complete);
        }
        turn.read_deadline = turn.deadline;
        for file in from.file..campaign.files.len() {
            let after = if file == from.file { from.after } else { 0 };
            let stage = campaign.files[file].stage;
            if !matches!(stage, FileStage::Validated | FileStage::Enqueued) {
                continue;
            }
            match self.requeue_file(campaign, file, after, fate, turn).await? {
                FileOutcome::Partial(after) => {
                    return Ok(RequeueOutcome::Partial(Position { file, after }));
                }
                FileOutcome::Complete(counts) => {
                    self.close_file(campaign, file, fate, counts).await?
                }
            }
        }
        self.campaigns
            .mark_enqueued(&campaign.id, cloud::now())
            .await?;
        Ok(RequeueOutcome::Complete)
    }

    /// Where nothing more of a file will be sent, it counts as split: nobody in it waits any more.
    async fn close_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        fate: Disposition,
        counts: ImportCounts,
    ) -> Result<(), Error> {
        let file = &mut campaign.files[index];
        if matches!(fate, Disposition::Skip(_)) && file.stage == FileStage::Validated {
            let kept_back = self
                .imports
                .get_suppressed_rows(&campaign.id, index)
                .await?;
            file.counts = counts.with_suppressed(kept_back.len() as u64);
            file.stage = FileStage::Enqueued;
            self.campaigns
                .update_file(&campaign.id, index, file)
                .await?;
        }
        Ok(())
    }

    async fn requeue_file(
        &self,
        campaign: &Campaign,
        index: usize,
        after: RowNumber,
        fate: Disposition,
        turn: &mut ImportRun<'_>,
    ) -> Result<FileOutcome, ImportError> {
        let OpenedFile {
            recipients: mut people,
            ..
        } = self.open_file(campaign, index, turn).await?;
        let before = self.already_enqueued(campaign, index, fate).await?;
        let mut cutter = Batcher::new(self.rate);
        let (mut rows, mut usable, mut tally) = (Vec::new(), 0, RequeueStats::default());
        while let Some(verdict) = people.next_verdict().await? {
            self.heartbeat(campaign, turn).await?;
            let RowVerdict::Usable(row) = verdict else {
                continue;
            };
            usable += 1;
            let last = row.row;
            if last > after && before.contains(usable - 1, last) {
                rows.push(row);
            }
            if rows.len() == ROWS_PER_LOOKUP {
                let rows = std::mem::take(&mut rows);
                self.requeue_rows(campaign, rows, fate, &mut cutter, &mut tally)
                    .await?;
                if turn.is_out_of_time() {
                    self.send_batches(campaign, cutter.finish()).await?;
                    return Ok(FileOutcome::Partial(last));
                }
            }
        }
        self.requeue_rows(campaign, rows, fate, &mut cutter, &mut tally)
            .await?;
        self.send_batches(campaign, cutter.finish()).await?;
        let RequeueStats {
            enqueued,
            skipped,
            abandoned: given_up,
        } = tally;
        tracing::info!(campaign.id = %campaign.id, file = index + 1, enqueued, skipped, given_up, "rows offered again");
        Ok(FileOutcome::Complete(people.counts()))
    }

    /// Which rows of a file were in the queue before.
    async fn already_enqueued(
        &self,
        campaign: &Campaign,
        index: usize,
        fate: Disposition,
    ) -> Result<AlreadyEnqueued, Error> {
        let (id, file) = (&campaign.id, &campaign.files[index]);
        // Nothing comes behind them: all rows are settled, those that never were in the queue, too.
        let all = file.stage == FileStage::Enqueued || matches!(fate, Disposition::Skip(_));
        let up_to = async |share| -> Result<RowNumber, Error> {
            if all {
                return Ok(RowNumber::MAX);
            }
            let checkpoint = self.imports.get_checkpoint(id, index, share).await?;
            Ok(checkpoint.map_or(0, |checkpoint| checkpoint.completed_row))
        };
        Ok(AlreadyEnqueued {
            row_sets: RowSetSelector::for_file(campaign, index),
            canary_up_to: up_to(RowSet::Canary).await?,
            remainder_up_to: up_to(RowSet::Remainder).await?,
            suppressed: self.imports.get_suppressed_rows(id, index).await?,
        })
    }

    /// Looks rows up in the ledger, and does what is to be done about each.
    async fn requeue_rows(
        &self,
        campaign: &Campaign,
        rows: Vec<Row>,
        fate: Disposition,
        cutter: &mut Batcher,
        tally: &mut RequeueStats,
    ) -> Result<(), Error> {
        let known = self.load_ledger_rows(campaign, &rows).await?;
        let now = cloud::now();
        let (mut batches, mut settle) = (Vec::new(), Vec::new());
        for row in rows {
            let entry = known.get(&row.row);
            let standing = entry.map(LedgerRow::status);
            let due = entry.and_then(|entry| entry.not_before);
            match (decide_requeue(standing, due, fate, now), fate) {
                (RequeueDecision::Enqueue, _) => {
                    tally.enqueued += 1;
                    batches.extend(cutter.push(row));
                }
                (RequeueDecision::Skip(why), _) => {
                    tally.skipped += 1;
                    settle.push((row.row, why));
                }
                (RequeueDecision::Abandon, Disposition::Skip(why)) => {
                    tally.abandoned += 1;
                    settle.push((row.row, why));
                }
                (RequeueDecision::Abandon | RequeueDecision::Leave, _) => {}
            }
        }
        self.send_batches(campaign, batches).await?;
        stream::iter(settle)
            .map(|(row, why)| self.skip_or_abandon(campaign, row, why))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect::<()>()
            .await
    }

    async fn load_ledger_rows(
        &self,
        campaign: &Campaign,
        rows: &[Row],
    ) -> Result<HashMap<RowNumber, LedgerRow>, Error> {
        let pages: BTreeSet<RowNumber> = rows.iter().map(|row| partition_of(row.row)).collect();
        let reads = stream::iter(pages).map(|page| self.ledger.list_partition(&campaign.id, page));
        let pages: Vec<Vec<LedgerRow>> = reads
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        let rows = pages.into_iter().flatten();
        Ok(rows
            .filter_map(|row| Some((row.row_number()?, row)))
            .collect())
    }

    async fn skip_or_abandon(
        &self,
        campaign: &Campaign,
        row: RowNumber,
        why: SkipReason,
    ) -> Result<(), Error> {
        let now = cloud::now();
        self.ledger
            .skip_or_abandon(&campaign.id, row, "splitter", why, now)
            .await?;
        Ok(())
    }

    async fn send_batches(&self, campaign: &Campaign, batches: Vec<Vec<Row>>) -> Result<(), Error> {
        let batches: Vec<Batch> = batches
            .into_iter()
            .map(|rows| Batch {
                campaign: campaign.id.clone(),
                rows,
            })
            .collect();
        Ok(self.queue.enqueue(&batches, Duration::ZERO).await?)
    }
}

/// How a file's offering ended.
enum FileOutcome {
    Complete(ImportCounts),
    Partial(RowNumber),
}

/// Rows that were in the queue before.
struct AlreadyEnqueued {
    row_sets: RowSetSelector,
    canary_up_to: RowNumber,
    remainder_up_to: RowNumber,
    suppressed: HashSet<RowNumber>,
}

impl AlreadyEnqueued {
    /// Whether the row was, the usable one at `index`.
    fn contains(&self, index: u64, row: RowNumber) -> bool {
        let up_to = match self.row_sets.row_set(index) {
            RowSet::Canary => self.canary_up_to,
            RowSet::Remainder => self.remainder_up_to,
        };
        row <= up_to && !self.suppressed.contains(&row)
    }
}
