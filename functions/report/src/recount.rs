//! Recounts: compares the ledger with the counters, and stores the difference as a correction. The correction is a shard of
//! its own, which only recounts write.
//!
//! Changes that are still in the ledger's stream are added to the counters later. So nothing may be in the stream when the
//! correction is computed: two snapshots of the ledger and the counters, taken some time apart, must be equal.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;

use campaign::delivery::ledger::LedgerRow;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::counters::Counters;
use futures::TryStreamExt;

use crate::Reporter;
use crate::job::{JobError, JobRun};

/// Snapshots to take before giving up.
const MAX_SNAPSHOTS: usize = 8;

/// The shard that holds the correction.
const CORRECTION_SHARD: &str = "recount";

/// The ledger and the counters at one moment.
#[derive(Debug, PartialEq)]
struct LedgerSnapshot {
    /// The counters computed from the ledger.
    ledger_counters: Counters,
    /// The sum of the rows' fingerprints, so that it does not depend on their order.
    fingerprint: u64,
    stored_counters: Counters,
}

impl Reporter {
    /// Corrects the counters. Returns whether they were right, as a sentence.
    pub(crate) async fn recount(
        &self,
        campaign: &Campaign,
        run: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        let mut before = self.take_snapshot(campaign, run).await?;
        for _ in 1..MAX_SNAPSHOTS {
            tokio::time::sleep(self.settle_time).await;
            let now = self.take_snapshot(campaign, run).await?;
            if now == before {
                return self.store_correction(campaign, now).await;
            }
            before = now;
        }
        let problem = "Rows are still changing. Pause the campaign, or wait until it is finished, and recount then.";
        Err(JobError::Permanent(problem.into()))
    }

    async fn take_snapshot(
        &self,
        campaign: &Campaign,
        run: &mut JobRun<'_>,
    ) -> Result<LedgerSnapshot, JobError> {
        let last = campaign.last_row();
        let mut rows = pin!(self.ledger.rows(&campaign.id, 1..=last));
        let (mut ledger_counters, mut fingerprints) = (Counters::default(), 0u64);
        run.reset_rows();
        while let Some(row) = rows.try_next().await? {
            ledger_counters.apply_change(None, row.row_facts());
            fingerprints = fingerprints.wrapping_add(fingerprint(&row));
            run.count_row().await?;
        }
        Ok(LedgerSnapshot {
            ledger_counters,
            fingerprint: fingerprints,
            stored_counters: self.counters.sum(&campaign.id).await?,
        })
    }

    async fn store_correction(
        &self,
        campaign: &Campaign,
        snapshot: LedgerSnapshot,
    ) -> Result<String, JobError> {
        let (id, counters) = (&campaign.id, &self.counters);
        let correction = snapshot
            .ledger_counters
            .difference(&snapshot.stored_counters);
        if correction.is_zero() {
            return Ok("The counters were right.".into());
        }
        cloud::sometimes!("a recount corrects the counters");
        let mut shard = counters.get_shard(id, CORRECTION_SHARD).await?;
        let previous_sequence = shard.last_sequence.clone();
        // The shard is written only if it has not changed since it was read; any other sequence number will do.
        shard.last_sequence.push('1');
        shard.counters = shard.counters.merge(correction);
        let now = cloud::now();
        let is_stored = counters
            .compare_and_set(id, CORRECTION_SHARD, &previous_sequence, &shard, now)
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
