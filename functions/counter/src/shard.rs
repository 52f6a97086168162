//! What changes of rows do to a campaign's counters of one shard.

use campaign::id::CampaignId;
use campaign::lifecycle::counters::CircuitBreaker;
use campaign::time::Millis;
use cloud::counters::ShardCounters;
use lambda_runtime::Error;

use crate::Counter;
use crate::stream::{Change, ChangeKind, RowChange};

/// How many campaigns' counters a process keeps in memory.
const MAX_CACHED_SHARDS: usize = 256;

impl Counter {
    /// Adds changes to the stored counters. Where another process wrote them meanwhile, reads them and adds again.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, shard, changes = changes.len()))]
    pub(crate) async fn add_changes(
        &self,
        campaign: &CampaignId,
        shard: &str,
        changes: &[Change],
        now: Millis,
    ) -> Result<(), Error> {
        let key = (campaign.clone(), shard.to_owned());
        let mut cache = self.last_written.lock().await;
        let mut cached = cache.remove(&key);
        loop {
            let stored = match cached.take() {
                Some(stored) => stored,
                None => self.counters.get_shard(campaign, shard).await?,
            };
            let mut updated = add(&stored, changes);
            if updated.circuit_breaker != stored.circuit_breaker
                && self
                    .pause_if_failing(campaign, updated.circuit_breaker)
                    .await?
            {
                updated.circuit_breaker = CircuitBreaker::default();
            }
            let seen = &stored.last_sequence;
            if updated.last_sequence == *seen {
                cloud::sometimes!("a batch of the stream that was counted before is ignored");
            }
            if updated.last_sequence == *seen
                || self
                    .counters
                    .compare_and_set(campaign, shard, seen, &updated, now)
                    .await?
            {
                if cache.len() >= MAX_CACHED_SHARDS {
                    cache.clear();
                }
                cache.insert(key, updated);
                return Ok(());
            }
            cloud::sometimes!("the counters of a shard changed while they were updated");
        }
    }

    /// Pauses the campaign where more of its latest rows failed than its policy allows. Returns whether they did.
    async fn pause_if_failing(
        &self,
        id: &CampaignId,
        breaker: CircuitBreaker,
    ) -> Result<bool, Error> {
        let Some((failures, outcomes)) = breaker.failures_and_outcomes() else {
            return Ok(false);
        };
        // Without a failure no limit is exceeded, and the campaign need not be read.
        if failures == 0 {
            return Ok(false);
        }
        let Some(campaign) = self.campaigns.get(id).await? else {
            return Ok(false);
        };
        let max_ratio = campaign.policy.max_failure_ratio;
        if !breaker.exceeds(max_ratio) {
            return Ok(false);
        }
        cloud::sometimes!("too many failures pause a campaign");
        let reason = format!(
            "{failures} of the latest {outcomes} rows failed, more than the {:.0} % that max_failure_ratio allows. \
             Check why (GET /v1/campaigns/{{id}}/rows?state=rejected, or unconfirmed), then resume or cancel.",
            max_ratio * 100.0
        );
        self.campaigns.pause(id, &reason).await?;
        Ok(true)
    }
}

/// The counters with the changes that they do not include yet.
fn add(stored: &ShardCounters, changes: &[Change]) -> ShardCounters {
    let mut updated = stored.clone();
    let new_changes = changes
        .iter()
        .filter(|change| change.sequence > stored.last_sequence);
    for change in new_changes {
        match &change.kind {
            ChangeKind::Row(RowChange { number, old, new }) => {
                updated.highest_row = updated.highest_row.max(*number);
                updated.counters.apply_change(*old, *new);
                updated.circuit_breaker.record_change(*old, *new);
            }
            ChangeKind::Marker(set) => updated.count_marker(set),
        }
        updated.last_sequence.clone_from(&change.sequence);
    }
    updated
}
