//! The second pass: puts usable rows into the queue, in batches. It may end anywhere and continue in another invocation:
//! the same chunks give the same batches, and the checkpoint says which of them are in the queue. Rows for which the window
//! has opened or closed in between are in others: they wait for a requeue, or senders drop them.

use std::collections::HashSet;

use campaign::delivery::batch::{Batcher, MAX_BATCH_ROWS, RoutedRows, Row};
use campaign::id::RowNumber;
use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::{Campaign, Canary};
use campaign::lifecycle::daily_window::{Opening, WindowCheck};
use campaign::time::Millis;
use cloud::contacts::SuppressionList;
use cloud::imports::{Checkpoint, RowSet};
use cloud::numbers::CampaignSenders;
use lambda_runtime::Error;
use recipients::chunks::{ImportedRows, Verdict, open_rows};

use crate::Splitter;
use crate::run::{ImportError, ImportRun};

/// Rows sent together: those of 80 full batches, which are eight requests of ten.
const ROWS_PER_REQUEST_SET: usize = 80 * MAX_BATCH_ROWS;

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
        let checkpoint = self.take_checkpoint(campaign, index, row_set).await?;
        let selector = RowSetSelector::for_file(campaign, index);
        let rows = selector.rows(row_set);
        let behind = checkpoint.completed_row;
        let (file, imported) = open_rows(&self.files, campaign, index, behind).await?;
        let senders = self.numbers.of_campaign(campaign).await?;
        let batcher = senders.batcher();
        let mut sender = BatchSender {
            splitter: self,
            campaign,
            senders,
            index,
            row_set,
            enqueued_up_to: checkpoint.completed_row,
            started_up_to: checkpoint.started_row,
            suppressed_before: checkpoint.suppressed_rows.into_iter().collect(),
            suppressed: self.contacts.list_suppressed().await?,
            batch_hops: run.message_hops(),
        };
        let mut source = BatchSource {
            splitter: self,
            campaign,
            run,
            imported,
            selector,
            row_set,
            window: window_check(campaign),
            noted_opening: None,
            last_row: checkpoint.completed_row,
            batcher: Some(batcher),
        };
        let is_complete = send_all(&mut source, &mut sender).await?;
        source.note_window_opening().await?;
        if is_complete {
            sender.enqueued_up_to = source.last_row;
        }
        sender.save_checkpoint().await?;
        if !is_complete {
            return Ok(EnqueueOutcome::Partial);
        }
        let suppressed = self
            .imports
            .get_suppressed_rows(&campaign.id, index)
            .await?
            .len() as u64;
        Ok(EnqueueOutcome::Complete(EnqueuedRows {
            counts: file.counts.with_suppressed(suppressed),
            rows,
            suppressed,
        }))
    }

    /// How far an earlier invocation came. From here on, one that has lost its lease can store no checkpoint any more.
    async fn take_checkpoint(
        &self,
        campaign: &Campaign,
        index: usize,
        row_set: RowSet,
    ) -> Result<Checkpoint, Error> {
        let (id, imports) = (&campaign.id, &self.imports);
        let stored = imports.get_checkpoint(id, index, row_set).await?;
        let checkpoint = stored.unwrap_or_default();
        imports
            .write_checkpoint(campaign, index, row_set, &checkpoint)
            .await?;
        if checkpoint.completed_row > 0 {
            cloud::sometimes!("an import continues from a checkpoint");
        }
        Ok(checkpoint)
    }

    /// Stores when the window next opens for one of the rows that a pass has seen: the reconciler requeues them then, whether
    /// they were left out because it is closed, or senders drop them because it has closed.
    pub(crate) async fn note_window_opening(
        &self,
        campaign: &Campaign,
        window: Option<&WindowCheck<'_>>,
    ) -> Result<(), Error> {
        if let Some(at) = window.and_then(WindowCheck::next_opening) {
            self.campaigns.note_window_opening(&campaign.id, at).await?;
        }
        Ok(())
    }
}

/// Checks the window of a campaign's schedule for one pass over its rows.
pub(crate) fn window_check(campaign: &Campaign) -> Option<WindowCheck<'_>> {
    let window = campaign.schedule.window.as_ref()?;
    Some(WindowCheck::new(window, cloud::now()))
}

/// Sends batch after batch. Returns whether the file is at its end; else time ran out.
async fn send_all(
    source: &mut BatchSource<'_, '_, '_>,
    sender: &mut BatchSender<'_>,
) -> Result<bool, ImportError> {
    let mut batches = source.next_batches().await?;
    while !batches.is_empty() {
        source.note_window_opening().await?;
        // The next batches are made while the queue stores these.
        let (sent, next) = tokio::join!(sender.send(batches), source.next_batches());
        sent?;
        batches = next?;
        if !batches.is_empty() && source.run.is_out_of_time() {
            return Ok(false);
        }
    }
    Ok(true)
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

/// Makes batches of the usable rows of a set that are not in the queue yet.
struct BatchSource<'a, 'r, 'm> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    run: &'r mut ImportRun<'m>,
    imported: ImportedRows<'a>,
    selector: RowSetSelector,
    row_set: RowSet,
    /// Rows for which it is closed stay in the chunks until it opens.
    window: Option<WindowCheck<'a>>,
    /// What was stored of it.
    noted_opening: Option<Millis>,
    /// The last row that was read.
    last_row: RowNumber,
    /// `None` at the end of the file.
    batcher: Option<Batcher>,
}

impl BatchSource<'_, '_, '_> {
    /// Stores when the window next opens for one of the rows that were read: before the checkpoint says that they need no more
    /// work.
    async fn note_window_opening(&mut self) -> Result<(), Error> {
        let next = self.window.as_ref().and_then(WindowCheck::next_opening);
        if next != self.noted_opening {
            let window = self.window.as_ref();
            self.splitter
                .note_window_opening(self.campaign, window)
                .await?;
            self.noted_opening = next;
        }
        Ok(())
    }

    /// The batches that are sent together next: all rows of a part of the file. None at the end of the file.
    async fn next_batches(&mut self) -> Result<Vec<RoutedRows>, ImportError> {
        while let Some(batcher) = &mut self.batcher {
            if batcher.ready_rows() >= ROWS_PER_REQUEST_SET {
                return Ok(batcher.take_ready());
            }
            let Some(imported) = self.imported.next_row().await? else {
                break;
            };
            self.splitter.heartbeat(self.campaign, self.run).await?;
            self.last_row = imported.number;
            if let Verdict::Usable(row) = imported.verdict
                && self.selector.row_set(self.imported.usable() - 1) == self.row_set
                && is_open(&mut self.window, &row)
            {
                batcher.push(row);
            }
        }
        Ok(self.batcher.take().map(Batcher::finish).unwrap_or_default())
    }
}

/// Whether the window, where there is one, is open for the recipient.
fn is_open(window: &mut Option<WindowCheck<'_>>, row: &Row) -> bool {
    let opening = window.as_mut().map(|window| window.opening(row.to));
    opening.is_none_or(|opening| opening == Opening::Open)
}

/// Sends batches, and stores before each set of them what may be in the queue.
struct BatchSender<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    senders: CampaignSenders,
    index: usize,
    row_set: RowSet,
    /// Every row up to this one is in the queue.
    enqueued_up_to: RowNumber,
    /// Rows up to this one may be in the queue: an earlier invocation had started to send them when it died.
    started_up_to: RowNumber,
    /// Rows that the earlier invocation found on the suppression list and did not send.
    suppressed_before: HashSet<RowNumber>,
    suppressed: SuppressionList,
    batch_hops: u32,
}

impl BatchSender<'_> {
    /// Stores that everything up to here is sent: the next invocation continues behind it.
    async fn save_checkpoint(&self) -> Result<(), Error> {
        self.write_checkpoint(self.enqueued_up_to, &HashSet::new())
            .await
    }

    /// Stores what is about to be sent, then sends it.
    async fn send(&mut self, mut batches: Vec<RoutedRows>) -> Result<(), Error> {
        let Some(last) = rows(&batches).map(|row| row.row).max() else {
            return Ok(());
        };
        let suppressed = self.find_suppressed_rows(&batches);
        self.write_checkpoint(last, &suppressed).await?;
        let imports = &self.splitter.imports;
        if !suppressed.is_empty() {
            let id = &self.campaign.id;
            imports
                .record_suppressed_rows(id, self.index, self.row_set, last, &suppressed)
                .await?;
        }
        for batch in &mut batches {
            batch.rows.retain(|row| !suppressed.contains(&row.row));
        }
        batches.retain(|batch| !batch.rows.is_empty());
        self.senders
            .enqueue_rows(self.campaign, batches, self.batch_hops)
            .await?;
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

    /// Finds the rows whose recipients are on the suppression list. Rows that may be in the queue already keep
    /// the result of the earlier invocation, so that no row is counted twice; the sender checks again anyway.
    fn find_suppressed_rows(&self, batches: &[RoutedRows]) -> HashSet<RowNumber> {
        let is_suppressed = |row: &&Row| match row.row > self.started_up_to {
            true => self.suppressed.contains(row.to.canonical()),
            false => self.suppressed_before.contains(&row.row),
        };
        let suppressed = rows(batches).filter(is_suppressed);
        suppressed.map(|row| row.row).collect()
    }
}

fn rows(batches: &[RoutedRows]) -> impl Iterator<Item = &Row> {
    batches.iter().flat_map(|batch| &batch.rows)
}
