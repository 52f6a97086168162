//! The tally: reads the ledger's stream and keeps each campaign's counters.
//!
//! A shard's records come in order and one batch at a time, but a batch may come again, cut differently. So each
//! campaign's counts of a shard are stored together with the last record taken in, in one conditional write: records
//! up to it are left out, and a repeated batch adds nothing.
//!
//! It is also the first to see that too many rows fail: then it stops the campaign, once, and begins to count anew. The
//! stop comes before the count is written: where the process dies in between, the batch comes again and stops it again.

use std::collections::{BTreeMap, HashMap};

use aws_lambda_events::dynamodb::EventRecord;
use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use campaign::lifecycle::counters::{CircuitBreaker, DeltaStats, RowFacts};
use cloud::campaigns::Campaigns;
use cloud::counters::{CounterTable, ShardCounters};
use cloud::ledger::LedgerRow;
use cloud::metrics::Metrics;
use lambda_runtime::{Error, tracing};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// How many campaigns' counts a process keeps in memory.
const MAX_CACHED_SHARDS: usize = 256;

/// A batch of the stream. The shard is named because the mapping has a tumbling window (AWS, "Stateful processing in
/// DynamoDB Streams"); without one, nothing would tell two shards' sequence numbers apart.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    /// Changes of one shard, in order.
    #[serde(rename = "Records", default)]
    pub records: Vec<EventRecord>,
    /// The shard.
    #[serde(rename = "shardId")]
    pub shard: Option<String>,
}

/// The window's state: none of ours, the counters are in their table.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamResponse {
    state: BTreeMap<String, String>,
}

/// What a tally needs, made once per process.
#[derive(Debug)]
pub struct Counter {
    counters: CounterTable,
    campaigns: Campaigns,
    /// The name of the only shard, where events name none: emulators have one shard per stream.
    default_shard: Option<String>,
    /// What this process wrote last: right unless another one wrote since, and then the write is refused.
    last_written: Mutex<HashMap<(CampaignId, String), ShardCounters>>,
}

/// A change of a row.
struct Change {
    sequence: String,
    old: Option<RowFacts>,
    new: RowFacts,
}

impl Counter {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config().await;
        let table = env::required("CAMPAIGNS_TABLE")?;
        let (dynamodb, retention) = (aws::dynamodb(&config), env::parsed("RETENTION_DAYS")?);
        let counters = CounterTable::new(dynamodb.clone(), table.clone(), retention);
        let campaigns = Campaigns::new(dynamodb, table, retention);
        let emulated = env::optional("AWS_ENDPOINT_URL").is_some();
        let only_shard = emulated.then(|| "only".to_owned());
        Ok(Self::new(counters, campaigns, only_shard))
    }

    /// A tally of these parts; `only_shard` where events do not name theirs.
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

    /// Takes in a batch; an error makes it come again.
    pub async fn handle(&self, event: StreamEvent) -> Result<StreamResponse, Error> {
        let shard = event.shard.as_ref().or(self.default_shard.as_ref());
        let shard = shard.ok_or(
            "the event names no shard: give the stream's mapping a TumblingWindowInSeconds",
        )?;
        let records = event.records.len();
        let lag = event
            .records
            .iter()
            .map(|record| record_age_ms(record, cloud::now()))
            .max();
        let mut campaigns: BTreeMap<CampaignId, Vec<Change>> = BTreeMap::new();
        for record in event.records {
            if let Some((campaign, change)) = parse_change(record)? {
                campaigns.entry(campaign).or_default().push(change);
            }
        }
        let now = cloud::now();
        tracing::info!(records, campaigns = campaigns.len(), "stream batch");
        let changes = campaigns.values().flatten();
        let steps = DeltaStats::from_changes(changes.map(|change| (change.old, change.new)));
        Metrics::for_function("counter")
            .add_count("Records", records)
            .add_millis("StreamLag", lag.unwrap_or_default())
            .add_count("Attempts", steps.attempts)
            .add_count("Accepted", steps.accepted)
            .add_count("Rejected", steps.rejected)
            .add_count("Unconfirmed", steps.unconfirmed)
            .add_count("Skipped", steps.skipped)
            .add_count("Undelivered", steps.undelivered)
            .emit();
        for (campaign, changes) in campaigns {
            self.add_changes(&campaign, shard, changes, now).await?;
        }
        Ok(StreamResponse::default())
    }

    /// Adds to what is known and writes if that is still so; else reads and does it again.
    async fn add_changes(
        &self,
        campaign: &CampaignId,
        shard: &str,
        changes: Vec<Change>,
        now: Millis,
    ) -> Result<(), Error> {
        let key = (campaign.clone(), shard.to_owned());
        let mut written = self.last_written.lock().await;
        let mut known = written.remove(&key);
        loop {
            let mut tally = match known.take() {
                Some(tally) => tally,
                None => self.counters.get_shard(campaign, shard).await?,
            };
            let seen = tally.last_sequence.clone();
            let before = tally.circuit_breaker;
            for change in changes.iter().filter(|change| change.sequence > seen) {
                tally.counters.apply_change(change.old, change.new);
                tally.circuit_breaker.record_change(change.old, change.new);
                tally.last_sequence.clone_from(&change.sequence);
            }
            if tally.circuit_breaker != before
                && self
                    .pause_if_failing(campaign, tally.circuit_breaker)
                    .await?
            {
                tally.circuit_breaker = CircuitBreaker::default();
            }
            if tally.last_sequence == seen
                || self
                    .counters
                    .compare_and_set(campaign, shard, &seen, &tally, now)
                    .await?
            {
                if written.len() >= MAX_CACHED_SHARDS {
                    written.clear();
                }
                written.insert(key, tally);
                return Ok(());
            }
        }
    }
}

impl Counter {
    /// Stops the campaign where more of its latest rows failed than its operator allows; tells whether they did.
    async fn pause_if_failing(
        &self,
        id: &CampaignId,
        stop_loss: CircuitBreaker,
    ) -> Result<bool, Error> {
        let Some((failed, outcomes)) = stop_loss
            .failures_and_outcomes()
            .filter(|(failed, _)| *failed > 0)
        else {
            return Ok(false);
        };
        let Some(campaign) = self.campaigns.get(id).await? else {
            return Ok(false);
        };
        let most = campaign.policy.max_failure_ratio;
        if !stop_loss.exceeds(most) {
            return Ok(false);
        }
        let reason = format!(
            "{failed} of the latest {outcomes} rows failed, more than the {:.0} % that max_failure_ratio allows. \
             Look at why (GET /v1/campaigns/{{id}}/rows?state=rejected, or unconfirmed), then resume or cancel.",
            most * 100.0
        );
        self.campaigns.pause(id, &reason).await?;
        Ok(true)
    }
}

/// How long ago a record was made.
fn record_age_ms(record: &EventRecord, now: Millis) -> Millis {
    let made = record
        .change
        .approximate_creation_date_time
        .timestamp_millis();
    now.saturating_sub(Millis::try_from(made).unwrap_or(now))
}

/// A record as a change; `None` for a removal: a row that expires did not un-happen.
fn parse_change(record: EventRecord) -> Result<Option<(CampaignId, Change)>, Error> {
    let sequence = record.change.sequence_number.unwrap_or_default();
    if record.change.new_image.is_empty() {
        return Ok(None);
    }
    let row = |image| serde_dynamo::from_item::<_, LedgerRow>(image);
    let new = row(record.change.new_image)?;
    let old = if record.change.old_image.is_empty() {
        None
    } else {
        Some(row(record.change.old_image)?)
    };
    let Some(campaign) = new.campaign_id() else {
        return Ok(None);
    };
    // Up to 40 digits: padded, so that text sorts as the numbers do.
    let sequence = format!("{sequence:0>40}");
    Ok(Some((
        campaign,
        Change {
            sequence,
            old: old.map(|row| row.row_facts()),
            new: new.row_facts(),
        },
    )))
}
