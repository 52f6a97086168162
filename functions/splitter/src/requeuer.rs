//! Requeues rows of one file, a few thousand at a time: looks them up in the ledger, then sends or settles each one.

use std::collections::HashMap;

use campaign::delivery::batch::{Batcher, Row};
use campaign::delivery::ledger::LedgerRow;
use campaign::delivery::ledger::State;
use campaign::delivery::requeue::{
    Disposition, RequeueDecision, SkipReason, decide_requeue, disposition_in_window,
};
use campaign::id::RowNumber;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::daily_window::WindowCheck;
use campaign::time::Millis;
use cloud::numbers::CampaignSenders;
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::Error;

use crate::Splitter;
use crate::enqueue::window_check;
use crate::run::ImportRun;

/// The most rows that are requeued together: about sixty partitions of the ledger, or eight requests to the queue.
pub(crate) const MAX_PENDING_ROWS: usize = 4_000;

/// Rows that are settled at once.
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// Requeues rows, or settles them.
pub(crate) struct Requeuer<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    disposition: Disposition,
    /// Where rows go that are sent. A campaign that is over needs none, and its numbers may be gone.
    sending: Option<(CampaignSenders, Batcher)>,
    lookup: Lookup,
    window: Option<WindowCheck<'a>>,
    window_opened_at: Option<Millis>,
    stats: RequeueStats,
    batch_hops: u32,
}

/// How far the ledger is read. Rows behind the last one that is in it need not be looked up: senders take rows nearly in the
/// order of the file. A row that is there after all is offered to the senders once more, which does no harm.
#[derive(Debug)]
struct Lookup {
    /// The last row that the counter has seen in the ledger. Its stream may be late.
    highest_row: RowNumber,
    /// Whether the ledger had none of some rows that came together behind it.
    has_reached_end: bool,
}

impl Lookup {
    /// Whether rows from this one on are looked up.
    fn includes(&self, first: RowNumber) -> bool {
        first <= self.highest_row || !self.has_reached_end
    }

    /// Notes how many of the rows from this one on the ledger had.
    fn note_found(&mut self, first: RowNumber, found: usize) {
        self.has_reached_end |= first > self.highest_row && found == 0;
    }
}

/// A row that may have to be requeued.
pub(crate) struct PendingRow {
    pub(crate) number: RowNumber,
    /// None if its recipient was erased.
    pub(crate) row: Option<Row>,
}

impl From<Row> for PendingRow {
    fn from(row: Row) -> Self {
        Self {
            number: row.row,
            row: Some(row),
        }
    }
}

/// What was done, for the log.
#[derive(Debug, Default)]
pub(crate) struct RequeueStats {
    pub(crate) enqueued: u64,
    pub(crate) skipped: u64,
    pub(crate) abandoned: u64,
}

impl<'a> Requeuer<'a> {
    pub(crate) async fn new(
        splitter: &'a Splitter,
        campaign: &'a Campaign,
        disposition: Disposition,
        run: &ImportRun<'_>,
    ) -> Result<Self, Error> {
        let highest_row = match disposition {
            Disposition::Send => splitter.counters.get(&campaign.id).await?.highest_row(),
            // Only the ledger shows which rows have to be settled.
            Disposition::Skip(_) | Disposition::Wait => None,
        };
        let lookup = Lookup {
            highest_row: highest_row.unwrap_or(RowNumber::MAX),
            has_reached_end: false,
        };
        let sending = match disposition {
            Disposition::Send => {
                let numbers = &splitter.numbers;
                let senders = numbers.of_campaign(campaign).await?;
                let senders = senders.without_paused(numbers.records()).await?;
                let batcher = senders.batcher();
                Some((senders, batcher))
            }
            Disposition::Skip(_) | Disposition::Wait => None,
        };
        Ok(Self {
            splitter,
            campaign,
            disposition,
            sending,
            lookup,
            window: window_check(campaign),
            window_opened_at: run.window_opened_at(),
            stats: RequeueStats::default(),
            batch_hops: run.message_hops(),
        })
    }

    /// Sends the last batches.
    pub(crate) async fn finish(self) -> Result<RequeueStats, Error> {
        let Self {
            splitter,
            campaign,
            sending,
            window,
            mut stats,
            batch_hops,
            ..
        } = self;
        if let Some((senders, batcher)) = sending {
            stats.enqueued += senders
                .enqueue_rows(campaign, batcher.finish(), batch_hops)
                .await?;
        }
        splitter
            .note_window_opening(campaign, window.as_ref())
            .await?;
        Ok(stats)
    }

    /// Looks the rows, which are in the order of the file, up in the ledger, and requeues or settles each one.
    pub(crate) async fn requeue(&mut self, rows: Vec<PendingRow>) -> Result<(), Error> {
        let ledger = self.load_ledger_rows(&rows).await?;
        let now = cloud::now();
        let mut to_settle = Vec::new();
        for PendingRow { number, row } in rows {
            let entry = ledger.get(&number);
            if row.is_none() && entry.is_none() {
                continue;
            }
            let status = entry.map(LedgerRow::status);
            // Nothing is left to do, and its recipient's window is nothing to wait for.
            if status.is_some_and(|status| !status.is_unsettled()) {
                continue;
            }
            let due = entry.and_then(|entry| entry.not_before);
            let disposition = match &row {
                Some(row) => self.disposition_of(row, status.is_some()),
                None => Disposition::Skip(SkipReason::Suppressed),
            };
            let decision = decide_requeue(status, due, disposition, now);
            match (decision, disposition) {
                (RequeueDecision::Enqueue, _) => {
                    if entry.is_some_and(|entry| entry.state == State::Held) {
                        cloud::sometimes!("a row that was held is requeued");
                    }
                    if let (Some(row), Some((_, batcher))) = (row, &mut self.sending) {
                        batcher.push(row);
                    }
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
        if let Some((senders, batcher)) = &mut self.sending {
            self.stats.enqueued += senders
                .enqueue_rows(self.campaign, batcher.take_ready(), self.batch_hops)
                .await?;
        }
        stream::iter(to_settle)
            .map(|(row, reason)| self.skip_or_abandon(row, reason))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect::<()>()
            .await
    }

    /// What happens to an unsettled row, given the window and whether a sender had it before.
    fn disposition_of(&mut self, row: &Row, was_tried: bool) -> Disposition {
        let Some(window) = &mut self.window else {
            return self.disposition;
        };
        let disposition = disposition_in_window(self.disposition, window.opening(row.to));
        // One that has not been tried, and was open before, is in the queue.
        let is_queued = |opened_at| !was_tried && window.was_open_before(row.to, opened_at);
        match (disposition, self.window_opened_at) {
            (Disposition::Send, Some(opened_at)) if is_queued(opened_at) => Disposition::Wait,
            (disposition, _) => disposition,
        }
    }

    /// Reads what the ledger has of the rows.
    async fn load_ledger_rows(
        &mut self,
        rows: &[PendingRow],
    ) -> Result<HashMap<RowNumber, LedgerRow>, Error> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(HashMap::new());
        };
        let first = first.number;
        let is_looked_up = self.lookup.includes(first);
        // No sender takes a row whose recipient was erased: if it is open, only this finds it.
        let mut erased = rows.iter().filter(|pending| pending.row.is_none());
        if !is_looked_up && erased.next().is_none() {
            return Ok(HashMap::new());
        }
        let ledger = &self.splitter.ledger;
        let found = ledger.rows(&self.campaign.id, first..=last.number);
        let found: Vec<LedgerRow> = found.try_collect().await?;
        self.lookup.note_found(first, found.len());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledger_is_read_until_it_has_nothing_more_behind_what_the_counter_has_seen() {
        let mut lookup = Lookup {
            highest_row: 5_000,
            has_reached_end: false,
        };
        let mut reads = Vec::new();
        // Senders have come to row 9,000; the counter is behind.
        for (first, found) in [
            (1, 3_990),
            (4_001, 4_000),
            (8_001, 1_000),
            (12_001, 0),
            (16_001, 0),
        ] {
            if lookup.includes(first) {
                reads.push(first);
                lookup.note_found(first, found);
            }
        }
        assert_eq!(reads, [1, 4_001, 8_001, 12_001]);
    }

    #[test]
    fn gap_before_what_the_counter_has_seen_is_no_end() {
        let mut lookup = Lookup {
            highest_row: 9_000,
            has_reached_end: false,
        };
        lookup.note_found(1, 0);
        assert!(lookup.includes(4_001) && lookup.includes(8_001) && lookup.includes(12_001));
    }
}
