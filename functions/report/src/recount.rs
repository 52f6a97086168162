//! Recounts: compares the ledger with the counters, and stores the difference as a correction. The correction is a shard of
//! its own, which only recounts write.
//!
//! Changes that are still in the ledger's stream are added to the counters later, so the counters that are compared must
//! include every change of the rows that were read, and no later one:
//!
//! 1. The ledger is read, then markers are written behind all changes that were read.
//! 2. When the counter has read the markers, however long that takes, the counters are read.
//! 3. The ledger is read again. If no row has changed since step 1, the counters belong to these rows.
//!
//! How many rows there are is read again, too: a file may be imported meanwhile.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;

use campaign::delivery::ledger::LedgerRow;
use campaign::id::{CampaignId, RowNumber};
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::counters::Counters;
use cloud::counters::{CampaignCounters, ShardCounters};
use futures::TryStreamExt;

use crate::Reporter;
use crate::job::{JobError, JobRun};

/// How often the ledger is compared before giving up.
const MAX_COMPARISONS: usize = 4;

/// How often the counters are read while the markers are waited for: three minutes in all.
const MAX_POLLS: usize = 90;

/// The shard that holds the correction.
const CORRECTION_SHARD: &str = "recount";

/// What the operator reads while rows change.
const CHANGING: &str =
    "Rows are still changing. Pause the campaign, or wait until it is finished, and recount then.";

/// What the operator reads while the stream lags.
const LAGGING: &str = "The counters are still being updated. Recount again in a few minutes.";

/// The rows at one moment.
#[derive(Debug, PartialEq)]
struct LedgerSnapshot {
    /// The last row that the campaign had.
    last_row: RowNumber,
    counters: Counters,
    /// The sum of the rows' fingerprints, so that it does not depend on their order.
    fingerprint: u64,
}

impl Reporter {
    /// Corrects the counters. Returns whether they were right, as a sentence.
    pub(crate) async fn recount(
        &self,
        campaign: &Campaign,
        run: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        let id = &campaign.id;
        let mut before = self.take_snapshot(id, run).await?;
        for _ in 0..MAX_COMPARISONS {
            let counted = self.wait_until_counted(id, before.last_row).await?;
            let now = self.take_snapshot(id, run).await?;
            if now == before {
                return self.store_correction(id, now, &counted).await;
            }
            before = now;
        }
        Err(JobError::Permanent(CHANGING.into()))
    }

    /// The counters, when they include everything that was written to the ledger before this call.
    async fn wait_until_counted(
        &self,
        id: &CampaignId,
        last_row: RowNumber,
    ) -> Result<CampaignCounters, JobError> {
        let set = self
            .ledger
            .write_markers(id, last_row, cloud::now())
            .await?;
        for _ in 0..MAX_POLLS {
            let counted = self.counters.get(id).await?;
            if counted.markers(&set.id) >= set.markers {
                return Ok(counted);
            }
            cloud::sometimes!("a recount waits for the ledger's stream");
            tokio::time::sleep(self.poll_interval).await;
        }
        Err(JobError::Permanent(LAGGING.into()))
    }

    async fn take_snapshot(
        &self,
        id: &CampaignId,
        run: &mut JobRun<'_>,
    ) -> Result<LedgerSnapshot, JobError> {
        let campaign = self.campaigns.get(id).await?;
        let last_row = campaign.map_or(0, |campaign| campaign.last_row());
        let mut rows = pin!(self.ledger.rows_as_they_are(id, 1..=last_row));
        let mut snapshot = LedgerSnapshot {
            last_row,
            counters: Counters::default(),
            fingerprint: 0,
        };
        run.reset_rows();
        while let Some(row) = rows.try_next().await? {
            snapshot.counters.apply_change(None, row.row_facts());
            snapshot.fingerprint = snapshot.fingerprint.wrapping_add(fingerprint(&row));
            run.count_row().await?;
        }
        Ok(snapshot)
    }

    async fn store_correction(
        &self,
        id: &CampaignId,
        ledger: LedgerSnapshot,
        counted: &CampaignCounters,
    ) -> Result<String, JobError> {
        let correction = ledger.counters.difference(&counted.sum());
        if correction.is_zero() {
            return Ok("The counters were right.".into());
        }
        cloud::sometimes!("a recount corrects the counters");
        let previous = counted.shard(CORRECTION_SHARD);
        let corrected = ShardCounters {
            // The shard is written only if it has not changed since it was read; any other sequence number will do.
            last_sequence: format!("{}1", previous.last_sequence),
            counters: previous.counters.clone().merge(correction),
            // What was not counted can be anywhere.
            highest_row: ledger.last_row,
            ..previous.clone()
        };
        let is_stored = self
            .counters
            .compare_and_set(
                id,
                CORRECTION_SHARD,
                &previous.last_sequence,
                &corrected,
                cloud::now(),
            )
            .await?;
        if !is_stored {
            let problem = "Another recount ran at the same time. Recount again.";
            return Err(JobError::Permanent(problem.into()));
        }
        Ok("The counters were wrong and are corrected.".into())
    }
}

/// A hash of a row's state.
fn fingerprint(row: &LedgerRow) -> u64 {
    let mut hasher = DefaultHasher::new();
    let position = (&row.partition_key, &row.row);
    let state = (row.state, row.attempt, row.abandoned);
    let times = (row.sent_at, row.delivered_at, row.read_at, row.failed_at);
    (position, state, times).hash(&mut hasher);
    hasher.finish()
}
