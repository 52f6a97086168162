//! Requeues rows of one file, a few thousand at a time: looks them up in the ledger, then sends or settles each one.

use std::collections::HashMap;
use std::time::Duration;

use campaign::delivery::batch::{Batcher, Row};
use campaign::delivery::ledger::LedgerRow;
use campaign::delivery::ledger::State;
use campaign::delivery::requeue::{Disposition, RequeueDecision, SkipReason, decide_requeue};
use campaign::id::RowNumber;
use campaign::lifecycle::campaign::Campaign;
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::Error;

use crate::Splitter;
use crate::enqueue::to_batches;

/// Rows looked up in the ledger together: about thirty partitions.
const ROWS_PER_LOOKUP: usize = 2_000;

/// Rows that are settled at once.
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// Collects rows that are looked up together.
pub(crate) struct Requeuer<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    disposition: Disposition,
    batcher: Batcher,
    pending: Vec<PendingRow>,
    stats: RequeueStats,
    batch_hops: u32,
}

/// A row that is looked up.
struct PendingRow {
    number: RowNumber,
    /// None if its recipient was erased.
    row: Option<Row>,
}

/// What was done, for the log.
#[derive(Debug, Default)]
pub(crate) struct RequeueStats {
    pub(crate) enqueued: u64,
    pub(crate) skipped: u64,
    pub(crate) abandoned: u64,
}

impl<'a> Requeuer<'a> {
    pub(crate) fn new(
        splitter: &'a Splitter,
        campaign: &'a Campaign,
        disposition: Disposition,
        batch_hops: u32,
    ) -> Self {
        Self {
            splitter,
            campaign,
            disposition,
            batcher: Batcher::new(splitter.rate),
            pending: Vec::new(),
            stats: RequeueStats::default(),
            batch_hops,
        }
    }

    /// Adds a row. Returns whether the pending rows were requeued or settled.
    pub(crate) async fn push(&mut self, row: Row) -> Result<bool, Error> {
        let number = row.row;
        self.push_pending(number, Some(row)).await
    }

    /// Adds a row whose recipient was erased: if it is open, because a callback has reopened it, it is settled.
    pub(crate) async fn push_erased(&mut self, number: RowNumber) -> Result<bool, Error> {
        self.push_pending(number, None).await
    }

    async fn push_pending(&mut self, number: RowNumber, row: Option<Row>) -> Result<bool, Error> {
        self.pending.push(PendingRow { number, row });
        if self.pending.len() < ROWS_PER_LOOKUP {
            return Ok(false);
        }
        // Boxed: the requests would make the future large, and it is made for each row.
        Box::pin(self.requeue_pending()).await?;
        Ok(true)
    }

    /// Requeues or settles the pending rows, and sends the last batches.
    pub(crate) async fn finish(mut self) -> Result<RequeueStats, Error> {
        self.requeue_pending().await?;
        let Self {
            splitter,
            campaign,
            batcher,
            stats,
            batch_hops,
            ..
        } = self;
        send_batches(splitter, campaign, batcher.finish(), batch_hops).await?;
        Ok(stats)
    }

    /// Looks the pending rows up in the ledger, and requeues or settles each one.
    async fn requeue_pending(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.pending);
        let ledger = self.load_ledger_rows(&rows).await?;
        let now = cloud::now();
        let (mut batches, mut to_settle) = (Vec::new(), Vec::new());
        for PendingRow { number, row } in rows {
            let entry = ledger.get(&number);
            if row.is_none() && entry.is_none() {
                continue;
            }
            let status = entry.map(LedgerRow::status);
            let due = entry.and_then(|entry| entry.not_before);
            let disposition = match &row {
                Some(_) => self.disposition,
                None => Disposition::Skip(SkipReason::Suppressed),
            };
            let decision = decide_requeue(status, due, disposition, now);
            match (decision, disposition) {
                (RequeueDecision::Enqueue, _) => {
                    if entry.is_some_and(|entry| entry.state == State::Held) {
                        cloud::sometimes!("a row that was held is requeued");
                    }
                    self.stats.enqueued += 1;
                    batches.extend(row.and_then(|row| self.batcher.push(row)));
                }
                (RequeueDecision::Skip(reason), _) => {
                    self.stats.skipped += 1;
                    to_settle.push((number, reason));
                }
                (RequeueDecision::Abandon, Disposition::Skip(reason)) => {
                    cloud::sometimes!("a row that may have been sent is abandoned");
                    self.stats.abandoned += 1;
                    to_settle.push((number, reason));
                }
                (RequeueDecision::Abandon | RequeueDecision::Leave, _) => {}
            }
        }
        send_batches(self.splitter, self.campaign, batches, self.batch_hops).await?;
        stream::iter(to_settle)
            .map(|(row, reason)| self.skip_or_abandon(row, reason))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect::<()>()
            .await
    }

    /// Reads what the ledger has of the rows, which are in the order of the file.
    async fn load_ledger_rows(
        &self,
        rows: &[PendingRow],
    ) -> Result<HashMap<RowNumber, LedgerRow>, Error> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(HashMap::new());
        };
        let found = self
            .splitter
            .ledger
            .rows(&self.campaign.id, first.number..=last.number);
        let found: Vec<LedgerRow> = found.try_collect().await?;
        Ok(found
            .into_iter()
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
    hops: u32,
) -> Result<(), Error> {
    let batches = to_batches(campaign, rows, hops);
    Ok(splitter.queue.enqueue(&batches, Duration::ZERO).await?)
}
