//! The second pass: puts usable rows into the queue, in batches. It may end anywhere and continue in another invocation:
//! the same chunks give the same batches, and the checkpoint says which of them are in the queue.

use std::collections::HashSet;
use std::time::Duration;

use campaign::delivery::batch::{Batch, Batcher, Row};
use campaign::id::RowNumber;
use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::{Campaign, Canary};
use cloud::contacts::SuppressionList;
use cloud::imports::{Checkpoint, RowSet};
use lambda_runtime::Error;
use recipients::chunks::{Verdict, open_rows};

use crate::Splitter;
use crate::run::{ImportError, ImportRun};

/// Batches sent together: eight requests of ten.
const BATCHES_PER_FLUSH: usize = 80;

/// How the second pass ended.
pub(crate) enum EnqueueOutcome {
    /// The whole row set is in the queue.
    Complete(EnqueuedRows),
    /// Time ran out; the next invocation continues.
    Partial,
}

/// A row set that is in the queue.
pub(crate) struct EnqueuedRows {
    /// Counts of the file's rows, as far as they are known now.
    pub(crate) counts: ImportCounts,
    /// Rows of the set, suppressed ones included.
    pub(crate) rows: u64,
    /// Rows of the file on the suppression list, in this set and before.
    pub(crate) suppressed: u64,
}

impl Splitter {
    /// Puts the rows of the set into the queue that are not there yet, for the file at `index`.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id, file = index + 1))]
    pub(crate) async fn enqueue(
        &self,
        campaign: &Campaign,
        index: usize,
        row_set: RowSet,
        run: &mut ImportRun<'_>,
    ) -> Result<EnqueueOutcome, ImportError> {
        let checkpoint = self
            .imports
            .get_checkpoint(&campaign.id, index, row_set)
            .await?
            .unwrap_or_default();
        // From here on, an invocation that has lost its lease can store none any more.
        self.imports
            .write_checkpoint(campaign, index, row_set, &checkpoint)
            .await?;
        let selector = RowSetSelector::for_file(campaign, index);
        let suppressed = self.contacts.list_suppressed().await?;
        let mut enqueuer = BatchEnqueuer {
            splitter: self,
            campaign,
            index,
            row_set,
            batcher: Batcher::new(self.rate),
            ready: Vec::new(),
            enqueued_up_to: checkpoint.completed_row,
            started_up_to: checkpoint.started_row,
            suppressed_before: checkpoint.suppressed_rows.into_iter().collect(),
            suppressed,
            batch_hops: run.message_hops(),
        };
        let behind = enqueuer.enqueued_up_to;
        if behind > 0 {
            cloud::sometimes!("an import continues from a checkpoint");
        }
        let (file, mut imported) = open_rows(&self.files, campaign, index, behind).await?;
        while let Some(imported_row) = imported.next_row().await? {
            self.heartbeat(campaign, run).await?;
            if let Verdict::Usable(row) = imported_row.verdict
                && selector.row_set(imported.usable() - 1) == row_set
                && enqueuer.push(row).await?
                && run.is_out_of_time()
            {
                enqueuer.save_checkpoint().await?;
                return Ok(EnqueueOutcome::Partial);
            }
        }
        enqueuer.finish().await?;
        let suppressed = self
            .imports
            .get_suppressed_rows(&campaign.id, index)
            .await?
            .len() as u64;
        Ok(EnqueueOutcome::Complete(EnqueuedRows {
            counts: file.counts.with_suppressed(suppressed),
            rows: selector.rows(row_set),
            suppressed,
        }))
    }
}

/// Makes queue messages of rows.
pub(crate) fn to_batches(campaign: &Campaign, rows: Vec<Vec<Row>>, hops: u32) -> Vec<Batch> {
    rows.into_iter()
        .map(|rows| Batch {
            campaign: campaign.id.clone(),
            rows,
            hops,
        })
        .collect()
}

/// Tells canary rows from the remainder.
pub(crate) struct RowSetSelector {
    canary: Option<Canary>,
    usable: u64,
}

impl RowSetSelector {
    /// For the file at `index`.
    pub(crate) fn for_file(campaign: &Campaign, index: usize) -> Self {
        Self {
            canary: campaign.canary_for_file(index),
            usable: campaign.files[index].usable,
        }
    }

    /// How many rows of the file are in the set.
    fn rows(&self, row_set: RowSet) -> u64 {
        let canary = self.canary.map_or(0, |canary| u64::from(canary.rows));
        let canary = canary.min(self.usable);
        match row_set {
            RowSet::Canary => canary,
            RowSet::Remainder => self.usable - canary,
        }
    }

    /// The set of the file's usable row at `index` (from 0).
    pub(crate) fn row_set(&self, index: u64) -> RowSet {
        match self.canary {
            Some(canary) if canary.includes(index, self.usable) => RowSet::Canary,
            Some(_) | None => RowSet::Remainder,
        }
    }
}

/// Collects usable rows and sends them in batches.
struct BatchEnqueuer<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    index: usize,
    row_set: RowSet,
    batcher: Batcher,
    ready: Vec<Vec<Row>>,
    /// Every row up to this one is in the queue.
    enqueued_up_to: RowNumber,
    /// Rows up to this one may be in the queue: an earlier invocation had started to send them when it died.
    started_up_to: RowNumber,
    /// Rows that the earlier invocation found on the suppression list and did not send.
    suppressed_before: HashSet<RowNumber>,
    suppressed: SuppressionList,
    batch_hops: u32,
}

impl BatchEnqueuer<'_> {
    /// Adds a row that is not in the queue yet. Returns whether batches were sent.
    async fn push(&mut self, row: Row) -> Result<bool, Error> {
        self.ready.extend(self.batcher.push(row));
        if self.ready.len() < BATCHES_PER_FLUSH {
            return Ok(false);
        }
        self.flush().await?;
        Ok(true)
    }

    /// Sends what is left, and stores that every row is in the queue.
    async fn finish(mut self) -> Result<(), Error> {
        let batcher = std::mem::replace(&mut self.batcher, Batcher::new(self.splitter.rate));
        let mut tail = batcher.finish().into_iter().peekable();
        while tail.peek().is_some() {
            self.ready.extend(tail.by_ref().take(BATCHES_PER_FLUSH));
            self.flush().await?;
        }
        self.flush().await?;
        self.save_checkpoint().await
    }

    /// Stores that everything up to here is sent: the next invocation continues behind it.
    async fn save_checkpoint(&self) -> Result<(), Error> {
        self.write_checkpoint(self.enqueued_up_to, &HashSet::new())
            .await
    }

    /// Stores what is about to be sent, then sends it.
    async fn flush(&mut self) -> Result<(), Error> {
        let Some(last) = self.ready.iter().flatten().map(|row| row.row).max() else {
            return Ok(());
        };
        let suppressed = self.find_suppressed_rows();
        self.write_checkpoint(last, &suppressed).await?;
        let Splitter { imports, queue, .. } = self.splitter;
        if !suppressed.is_empty() {
            let id = &self.campaign.id;
            imports
                .record_suppressed_rows(id, self.index, self.row_set, last, &suppressed)
                .await?;
        }
        let mut rows = std::mem::take(&mut self.ready);
        for rows in &mut rows {
            rows.retain(|row| !suppressed.contains(&row.row));
        }
        rows.retain(|rows| !rows.is_empty());
        let batches = to_batches(self.campaign, rows, self.batch_hops);
        queue.enqueue(&batches, Duration::ZERO).await?;
        self.enqueued_up_to = last;
        Ok(())
    }

    /// Stores that rows up to `started` may be in the queue, but for the suppressed ones.
    async fn write_checkpoint(
        &self,
        started: RowNumber,
        suppressed: &HashSet<RowNumber>,
    ) -> Result<(), Error> {
        let suppressed_before = self.suppressed_before.iter();
        let suppressed_behind = suppressed_before.filter(|&&row| row > started);
        let checkpoint = Checkpoint {
            completed_row: self.enqueued_up_to,
            started_row: started.max(self.started_up_to),
            suppressed_rows: suppressed
                .iter()
                .chain(suppressed_behind)
                .copied()
                .collect(),
        };
        let imports = &self.splitter.imports;
        Ok(imports
            .write_checkpoint(self.campaign, self.index, self.row_set, &checkpoint)
            .await?)
    }

    /// Finds the collected rows whose recipients are on the suppression list. Rows that may be in the queue already keep
    /// the result of the earlier invocation, so that no row is counted twice; the sender checks again anyway.
    fn find_suppressed_rows(&self) -> HashSet<RowNumber> {
        let is_suppressed = |row: &&Row| match row.row > self.started_up_to {
            true => self.suppressed.contains(row.to.canonical()),
            false => self.suppressed_before.contains(&row.row),
        };
        let rows = self.ready.iter().flatten();
        rows.filter(is_suppressed).map(|row| row.row).collect()
    }
}
