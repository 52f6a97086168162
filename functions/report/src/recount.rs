//! The counters anew: what the ledger says less what was counted becomes a correction, a shard of its own that nobody else
//! writes. What the stream still brings is added as ever, so nothing may be on its way when the correction is made: the
//! ledger and the counters are looked at twice, some time apart, and must be the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use campaign::id::{RowNumber, partition_of};
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::counters::Counters;
use cloud::ledger::LedgerRow;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::{JobError, JobRun, Reporter};

/// Pages under way at once.
const MAX_CONCURRENT_READS: usize = 16;

/// How often is looked before giving up.
const MAX_SNAPSHOTS: usize = 8;

/// The shard that holds the correction.
const CORRECTION_SHARD: &str = "recount";

/// The ledger and the counters at one moment.
#[derive(Debug, PartialEq)]
struct LedgerSnapshot {
    ledger_counters: Counters,
    /// Of every row, whatever their order.
    fingerprint: u64,
    stored_counters: Counters,
}

impl Reporter {
    pub(crate) async fn recount(
        &self,
        campaign: &Campaign,
        work: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        let mut before = self.take_snapshot(campaign, work).await?;
        for _ in 1..MAX_SNAPSHOTS {
            tokio::time::sleep(self.settle_time).await;
            let now = self.take_snapshot(campaign, work).await?;
            if now == before {
                return self.store_correction(campaign, now).await;
            }
            before = now;
        }
        let why =
            "Rows still move. Pause the campaign, or wait until it is finished, and recount then.";
        Err(JobError::Permanent(why.into()))
    }

    async fn take_snapshot(
        &self,
        campaign: &Campaign,
        work: &mut JobRun<'_>,
    ) -> Result<LedgerSnapshot, JobError> {
        let last = RowNumber::try_from(campaign.import_counts().rows).unwrap_or(RowNumber::MAX);
        let mut pages = stream::iter(0..=partition_of(last))
            .map(|page| self.ledger.list_partition(&campaign.id, page))
            .buffer_unordered(MAX_CONCURRENT_READS);
        let (mut ledger, mut rows) = (Counters::default(), 0u64);
        work.progress.rows = 0;
        while let Some(page) = pages.try_next().await? {
            for row in page {
                ledger.apply_change(None, row.row_facts());
                rows = rows.wrapping_add(fingerprint(&row));
                work.count_record().await?;
            }
        }
        let counted = self.counters.sum(&campaign.id).await?;
        Ok(LedgerSnapshot {
            ledger_counters: ledger,
            fingerprint: rows,
            stored_counters: counted,
        })
    }

    async fn store_correction(
        &self,
        campaign: &Campaign,
        look: LedgerSnapshot,
    ) -> Result<String, JobError> {
        let id = &campaign.id;
        let off = look.ledger_counters.difference(&look.stored_counters);
        if off.is_zero() {
            return Ok("The counters were right.".into());
        }
        let mut shard = self.counters.get_shard(id, CORRECTION_SHARD).await?;
        let seen = shard.last_sequence.clone();
        shard.last_sequence.push('1');
        shard.counters = shard.counters.merge(off);
        let now = cloud::now();
        if !self
            .counters
            .compare_and_set(id, CORRECTION_SHARD, &seen, &shard, now)
            .await?
        {
            let why = "Another recount was at it at the same time.";
            return Err(JobError::Permanent(why.into()));
        }
        Ok("The counters were wrong and are right now.".into())
    }
}

/// A row's state as a number.
fn fingerprint(row: &LedgerRow) -> u64 {
    let mut hasher = DefaultHasher::new();
    (
        &row.partition_key,
        &row.row,
        row.state,
        row.attempt,
        row.abandoned,
    )
        .hash(&mut hasher);
    (row.sent_at, row.delivered_at, row.read_at, row.failed_at).hash(&mut hasher);
    hasher.finish()
}
