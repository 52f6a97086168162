//! Rows that stand still: read page by page, since no index would be cheaper. An index of what is due costs two more
//! writes a row, twice what the ledger costs now; reading a million rows costs two cents, and only happens while a
//! campaign stands still.

use campaign::delivery::ledger::{SENDER_DIED, State, Transition, repair_transition};
use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::delivery::requeue::{Disposition, disposition};
use campaign::id::{RowNumber, partition_of};
use campaign::lifecycle::campaign::Campaign;
use cloud::ledger::LedgerRow;
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::tracing;

use crate::{ReconcileStats, Reconciler, SHUTDOWN_RESERVE_MS};

/// Pages under way at once.
const CONCURRENT_PAGES: usize = 16;

/// What a page showed.
#[derive(Clone, Copy, Debug, Default)]
struct PageStats {
    unconfirmed: usize,
    resent: usize,
    overdue: usize,
}

impl Reconciler {
    /// Reads a campaign's ledger and settles what stands still; gives the number of retries whose time has come.
    pub(crate) async fn repair_ledger(
        &self,
        campaign: &Campaign,
        now: Millis,
        deadline: Millis,
        swept: &mut ReconcileStats,
    ) -> Result<usize, cloud::Error> {
        let last = RowNumber::try_from(campaign.import_counts().rows).unwrap_or(RowNumber::MAX);
        let mut pages = stream::iter(0..=partition_of(last))
            .map(|page| self.repair_page(campaign, page, now))
            .buffer_unordered(CONCURRENT_PAGES);
        let mut overdue = 0;
        while let Some(found) = pages.try_next().await? {
            swept.unconfirmed += found.unconfirmed;
            swept.resent += found.resent;
            overdue += found.overdue;
            if cloud::now() + SHUTDOWN_RESERVE_MS > deadline {
                tracing::warn!(campaign.id = %campaign.id, "time is over before the ledger was read to its end");
                return Ok(overdue);
            }
        }
        self.campaigns.mark_reconciled(&campaign.id, now).await?;
        Ok(overdue)
    }

    async fn repair_page(
        &self,
        campaign: &Campaign,
        page: RowNumber,
        now: Millis,
    ) -> Result<PageStats, cloud::Error> {
        let mut found = PageStats::default();
        for row in self.ledger.list_partition(&campaign.id, page).await? {
            let due = row.not_before.is_none_or(|due| due <= now);
            found.overdue += usize::from(row.state == State::Retry && due);
            self.repair_row(campaign, &row, now, &mut found).await?;
        }
        Ok(found)
    }

    async fn repair_row(
        &self,
        campaign: &Campaign,
        row: &LedgerRow,
        now: Millis,
        found: &mut PageStats,
    ) -> Result<(), cloud::Error> {
        let step = repair_transition(
            row.status(),
            row.claimed_at,
            campaign.policy,
            disposition(campaign, now) == Disposition::Send,
            now,
        );
        let (Some(step), Some(number)) = (step, row.row_number()) else {
            return Ok(());
        };
        let (id, attempt) = (&campaign.id, row.attempt);
        if step == Transition::Resend {
            let resent = self.ledger.schedule_resend(id, number, attempt).await?;
            found.resent += usize::from(resent);
            found.overdue += usize::from(resent);
        } else {
            let fault = ErrorInfo::transport(SENDER_DIED);
            let doubted = self
                .ledger
                .record_outcome(id, number, attempt, step, &fault)
                .await?;
            found.unconfirmed += usize::from(doubted);
        }
        Ok(())
    }
}
