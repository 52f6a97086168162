//! Repairs of rows. The ledger is read partition by partition. An index of due rows would cost two more writes a row,
//! twice what the ledger costs now; reading a million rows costs two cents, and happens only while a campaign is idle.

use campaign::delivery::ledger::{SENDER_DIED, State, Transition, repair_transition};
use campaign::delivery::outcome::ErrorInfo;
use campaign::delivery::requeue::{Disposition, disposition};
use campaign::id::{RowNumber, partition_of};
use campaign::lifecycle::campaign::Campaign;
use campaign::time::Millis;
use cloud::ledger::LedgerRow;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::Reconciler;
use crate::run::Run;

/// Partitions read at once.
const CONCURRENT_PARTITIONS: usize = 16;

/// What was found and repaired in a partition.
#[derive(Clone, Copy, Debug, Default)]
struct PartitionStats {
    unconfirmed: usize,
    resent: usize,
    overdue: usize,
}

impl Reconciler {
    /// Reads a campaign's ledger and repairs its rows. Returns the number of retries that are due.
    pub(crate) async fn repair_ledger(
        &self,
        campaign: &Campaign,
        run: &mut Run,
    ) -> Result<usize, cloud::Error> {
        let now = run.now;
        let last_row = RowNumber::try_from(campaign.import_counts().rows).unwrap_or(RowNumber::MAX);
        let mut partitions = stream::iter(0..=partition_of(last_row))
            .map(|partition| self.repair_partition(campaign, partition, now))
            .buffer_unordered(CONCURRENT_PARTITIONS);
        let mut overdue = 0;
        while let Some(repaired) = partitions.try_next().await? {
            run.stats.unconfirmed += repaired.unconfirmed;
            run.stats.resent += repaired.resent;
            overdue += repaired.overdue;
            if run.is_over() {
                tracing::warn!("the run's time is over before the ledger was read to its end");
                return Ok(overdue);
            }
        }
        self.campaigns.mark_reconciled(&campaign.id, now).await?;
        Ok(overdue)
    }

    async fn repair_partition(
        &self,
        campaign: &Campaign,
        partition: RowNumber,
        now: Millis,
    ) -> Result<PartitionStats, cloud::Error> {
        let sends = disposition(campaign, now) == Disposition::Send;
        let mut stats = PartitionStats::default();
        for row in self.ledger.list_partition(&campaign.id, partition).await? {
            let is_due = row.not_before.is_none_or(|not_before| not_before <= now);
            stats.overdue += usize::from(row.state == State::Retry && is_due);
            let transition =
                repair_transition(row.status(), row.claimed_at, campaign.policy, sends, now);
            if let Some(transition) = transition {
                self.repair_row(campaign, &row, transition, &mut stats)
                    .await?;
            }
        }
        Ok(stats)
    }

    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id, row = %row.row, attempt = row.attempt))]
    async fn repair_row(
        &self,
        campaign: &Campaign,
        row: &LedgerRow,
        transition: Transition,
        stats: &mut PartitionStats,
    ) -> Result<(), cloud::Error> {
        let (id, attempt) = (&campaign.id, row.attempt);
        let Some(row) = row.row_number() else {
            return Ok(());
        };
        if transition == Transition::Resend {
            cloud::sometimes!("the reconciler has an unconfirmed row sent again");
            let is_repaired = self.ledger.schedule_resend(id, row, attempt).await?;
            stats.resent += usize::from(is_repaired);
            stats.overdue += usize::from(is_repaired);
        } else {
            cloud::sometimes!("the reconciler finds the row of a dead sender");
            let error = ErrorInfo::transport(SENDER_DIED);
            let is_repaired = self
                .ledger
                .record_outcome(id, row, attempt, transition, &error)
                .await?;
            stats.unconfirmed += usize::from(is_repaired);
        }
        Ok(())
    }
}
