//! The second pass: usable rows go into the queue, in batches. It may end anywhere and be taken up again: the same file
//! gives the same batches, and the checkpoint tells which are in the queue.

use std::collections::HashSet;
use std::time::Duration;

use campaign::delivery::batch::{Batch, Batcher, Row};
use campaign::id::RowNumber;
use campaign::import::phone::CanonicalPhone;
use campaign::import::row::{ImportCounts, RowVerdict};
use campaign::lifecycle::campaign::{Campaign, Canary};
use cloud::imports::{Checkpoint, RowSet};
use lambda_runtime::Error;
use recipients::files::OpenedFile;

use crate::{ImportError, ImportRun, Splitter};

/// Batches enqueued together: eight requests of ten.
const BATCHES_PER_FLUSH: usize = 80;

/// How the second pass ended.
pub(crate) enum EnqueueOutcome {
    /// The whole share is in the queue.
    Complete {
        /// What became of the file's rows, as far as it is known now.
        counts: ImportCounts,
        /// How many rows the share has.
        rows: u64,
        /// How many rows of the file were kept back, in this share and before.
        suppressed: u64,
    },
    /// Time runs out; the next invocation goes on.
    Partial,
}

impl Splitter {
    /// Puts what is not there yet of a share of the file at `index` into the queue.
    pub(crate) async fn enqueue(
        &self,
        campaign: &Campaign,
        index: usize,
        share: RowSet,
        turn: &mut ImportRun<'_>,
    ) -> Result<EnqueueOutcome, ImportError> {
        turn.read_deadline = turn.deadline;
        let OpenedFile {
            recipients: mut people,
            ..
        } = self.open_file(campaign, index, turn).await?;
        let before = self
            .imports
            .get_checkpoint(&campaign.id, index, share)
            .await?
            .unwrap_or_default();
        let shares = RowSetSelector::for_file(campaign, index);
        let mut out = BatchEnqueuer::new(self, campaign, index, share, before);
        let (mut usable, mut taken) = (0, 0);
        while let Some(verdict) = people.next_verdict().await? {
            if let RowVerdict::Usable(row) = verdict {
                usable += 1;
                if shares.row_set(usable - 1) == share {
                    taken += 1;
                    if out.push(row).await? && turn.is_out_of_time() {
                        out.save_checkpoint().await?;
                        return Ok(EnqueueOutcome::Partial);
                    }
                }
            }
            self.heartbeat(campaign, turn).await?;
        }
        out.finish().await?;
        let kept_back = self
            .imports
            .get_suppressed_rows(&campaign.id, index)
            .await?
            .len() as u64;
        Ok(EnqueueOutcome::Complete {
            counts: people.counts().with_suppressed(kept_back),
            rows: taken,
            suppressed: kept_back,
        })
    }
}

/// Which rows go first.
pub(crate) struct RowSetSelector {
    canary: Option<Canary>,
    usable: u64,
}

impl RowSetSelector {
    /// Those of the file at `index`.
    pub(crate) fn for_file(campaign: &Campaign, index: usize) -> Self {
        Self {
            canary: campaign.canary_for_file(index),
            usable: campaign.files[index].usable,
        }
    }

    /// The share of the usable row at `index`.
    pub(crate) fn row_set(&self, index: u64) -> RowSet {
        match self.canary {
            Some(canary) if canary.includes(index, self.usable) => RowSet::Canary,
            Some(_) | None => RowSet::Remainder,
        }
    }
}

/// Where usable rows go.
struct BatchEnqueuer<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    index: usize,
    row_set: RowSet,
    batcher: Batcher,
    ready: Vec<Vec<Row>>,
    /// Everything up to here is in the queue.
    enqueued_up_to: RowNumber,
    /// What an earlier invocation had begun when it ended: up to this row, without those.
    begun_up_to: RowNumber,
    suppressed_before: HashSet<RowNumber>,
}

impl<'a> BatchEnqueuer<'a> {
    fn new(
        splitter: &'a Splitter,
        campaign: &'a Campaign,
        index: usize,
        row_set: RowSet,
        before: Checkpoint,
    ) -> Self {
        Self {
            splitter,
            campaign,
            index,
            row_set,
            batcher: Batcher::new(splitter.rate),
            ready: Vec::new(),
            enqueued_up_to: before.completed_row,
            begun_up_to: before.started_row,
            suppressed_before: before.suppressed_rows.into_iter().collect(),
        }
    }

    /// Takes a row; tells whether batches went out.
    async fn push(&mut self, row: Row) -> Result<bool, Error> {
        if row.row <= self.enqueued_up_to {
            return Ok(false);
        }
        self.ready.extend(self.batcher.push(row));
        if self.ready.len() < BATCHES_PER_FLUSH {
            return Ok(false);
        }
        self.flush().await?;
        Ok(true)
    }

    /// Sends the tail, and writes down that all is done.
    async fn finish(mut self) -> Result<(), Error> {
        let cutter = std::mem::replace(&mut self.batcher, Batcher::new(self.splitter.rate));
        let mut tail = cutter.finish().into_iter().peekable();
        while tail.peek().is_some() {
            self.ready.extend(tail.by_ref().take(BATCHES_PER_FLUSH));
            self.flush().await?;
        }
        self.flush().await?;
        self.save_checkpoint().await
    }

    /// Writes down that what was begun is done: the next invocation begins behind it.
    async fn save_checkpoint(&self) -> Result<(), Error> {
        let checkpoint = Checkpoint {
            completed_row: self.enqueued_up_to,
            started_row: self.begun_up_to.max(self.enqueued_up_to),
            suppressed_rows: self
                .suppressed_before
                .iter()
                .copied()
                .filter(|&row| row > self.enqueued_up_to)
                .collect(),
        };
        let imports = &self.splitter.imports;
        Ok(imports
            .write_checkpoint(&self.campaign.id, self.index, self.row_set, &checkpoint)
            .await?)
    }

    /// Writes down what is about to go out, then sends it.
    async fn flush(&mut self) -> Result<(), Error> {
        let Some(last) = self.ready.iter().flatten().map(|row| row.row).max() else {
            return Ok(());
        };
        let kept_back = self.find_suppressed_rows().await?;
        let checkpoint = Checkpoint {
            completed_row: self.enqueued_up_to,
            started_row: last.max(self.begun_up_to),
            suppressed_rows: kept_back
                .iter()
                .copied()
                .chain(
                    self.suppressed_before
                        .iter()
                        .copied()
                        .filter(|&row| row > last),
                )
                .collect(),
        };
        let Splitter { imports, queue, .. } = self.splitter;
        imports
            .write_checkpoint(&self.campaign.id, self.index, self.row_set, &checkpoint)
            .await?;
        if !kept_back.is_empty() {
            imports
                .record_suppressed_rows(
                    &self.campaign.id,
                    self.index,
                    self.row_set,
                    last,
                    &kept_back,
                )
                .await?;
        }
        let batches: Vec<Batch> = std::mem::take(&mut self.ready)
            .into_iter()
            .map(|rows| {
                rows.into_iter()
                    .filter(|row| !kept_back.contains(&row.row))
                    .collect::<Vec<_>>()
            })
            .filter(|rows| !rows.is_empty())
            .map(|rows| Batch {
                campaign: self.campaign.id.clone(),
                rows,
            })
            .collect();
        queue.enqueue(&batches, Duration::ZERO).await?;
        self.enqueued_up_to = last;
        Ok(())
    }

    /// Rows whose people are on the standing list. For those that may be in the queue already it counts what was found
    /// then: the sender looks again, and a row must not be counted in two places.
    async fn find_suppressed_rows(&self) -> Result<HashSet<RowNumber>, Error> {
        let rows = || self.ready.iter().flatten();
        let people: Vec<CanonicalPhone> = rows()
            .filter(|row| row.row > self.begun_up_to)
            .map(|row| row.to.canonical())
            .collect();
        let listed = self.splitter.contacts.find_suppressed(&people).await?;
        let is_suppressed = |row: &&Row| match row.row > self.begun_up_to {
            true => listed.contains(&row.to.canonical()),
            false => self.suppressed_before.contains(&row.row),
        };
        Ok(rows().filter(is_suppressed).map(|row| row.row).collect())
    }
}
