//! The counter: reads the ledger's stream and keeps each campaign's counters.
//!
//! A shard's records come in order and one batch at a time, but a batch may be delivered again, cut differently. So a
//! campaign's counters of one shard are stored together with the sequence number of the last record that they include,
//! in one conditional write. Records up to that number are ignored, and a repeated batch adds nothing.
//!
//! The counter is also the first to see that too many rows fail: then the circuit breaker pauses the campaign and starts
//! to count anew.
//!
//! | the process dies … | the counters are | repaired by |
//! |---|---|---|
//! | before the write | as before | Lambda: the batch is delivered again |
//! | after a pause, before the write | as before; the campaign is paused | the batch is delivered again, and its second pause has no effect |
//! | after the writes of some campaigns | complete for those | the batch is delivered again; records that are included are ignored |
//! | while it still runs elsewhere, after a timeout | written by the other process first | the condition of the write fails: the counters are read again |
//!
//! - `stream`: batches of the stream, as changes of rows
//! - `shard`: what the changes do to a shard's counters

mod shard;
mod stream;

use std::collections::HashMap;

use campaign::id::CampaignId;
use campaign::lifecycle::counters::DeltaStats;
use cloud::campaigns::Campaigns;
use cloud::counters::{CounterTable, ShardCounters};
use cloud::metrics::Metrics;
use cloud::rates::RateKeeper;
use lambda_runtime::Error;
use tokio::sync::Mutex;

use crate::stream::{Change, StreamBatch};
pub use crate::stream::{StreamEvent, StreamResponse};

/// What the counter needs, made once per process.
#[derive(Debug)]
pub struct Counter {
    counters: CounterTable,
    campaigns: Campaigns,
    /// The shard's name where events do not name it: emulators have one shard per stream.
    default_shard: Option<String>,
    /// What this process wrote last. If another process wrote since, the next write's condition fails.
    last_written: Mutex<HashMap<(CampaignId, String), ShardCounters>>,
}

impl Counter {
    /// Reads the environment; fails where a variable is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config();
        let table = env::required("CAMPAIGNS_TABLE")?;
        let (dynamodb, retention) = (aws::dynamodb(&config), env::parsed("RETENTION_DAYS")?);
        let counters = CounterTable::new(dynamodb.clone(), table.clone(), retention);
        publish_rate(RateKeeper::new(
            dynamodb.clone(),
            table.clone(),
            env::parsed("PHONE_NUMBER_ID")?,
            env::send_rate()?,
        ))
        .await;
        let campaigns = Campaigns::new(dynamodb, table, retention);
        let is_emulated = env::optional("AWS_ENDPOINT_URL").is_some();
        let default_shard = is_emulated.then(|| "only".to_owned());
        Ok(Self::new(counters, campaigns, default_shard))
    }

    /// A counter with these tables; `default_shard` is used where an event does not name its shard.
    pub fn new(
        counters: CounterTable,
        campaigns: Campaigns,
        default_shard: Option<String>,
    ) -> Self {
        Self {
            counters,
            campaigns,
            default_shard,
            last_written: Mutex::default(),
        }
    }

    /// Counts a batch of the stream, one campaign after the other. After an error, Lambda delivers the batch again.
    pub async fn handle(&self, event: StreamEvent) -> Result<StreamResponse, Error> {
        let now = cloud::now();
        let batch = StreamBatch::parse(event, self.default_shard.as_deref(), now)?;
        emit_metrics(&batch);
        for (campaign, changes) in &batch.changes {
            self.add_changes(campaign, &batch.shard, changes, now)
                .await?;
        }
        Ok(StreamResponse::default())
    }
}

/// Publishes a new budget to running senders. With a smaller concurrency no sender of the new one can start before they end;
/// the counter can. If this fails, its next process does it.
pub async fn publish_rate(rate: RateKeeper) {
    if let Err(error) = rate.publish().await {
        tracing::error!("running senders did not get the new budget: {error}");
    }
}

fn emit_metrics(batch: &StreamBatch) {
    let rows = batch.changes.values().flatten().filter_map(Change::row);
    let stats = DeltaStats::from_changes(rows.map(|change| (change.old, change.new)));
    tracing::info!(
        records = batch.records,
        campaigns = batch.changes.len(),
        "stream batch"
    );
    Metrics::for_function("counter")
        .add_count("Records", batch.records)
        .add_millis("StreamLag", batch.lag_ms)
        .add_count("Attempts", stats.attempts)
        .add_count("Accepted", stats.accepted)
        .add_count("Rejected", stats.rejected)
        .add_count("Unconfirmed", stats.unconfirmed)
        .add_count("Skipped", stats.skipped)
        .add_count("Undelivered", stats.undelivered)
        .emit();
}
