//! A campaign's counters, in the campaigns table: one item per shard of the ledger's stream (`part` =
//! `counters#{shard}`). A shard has one reader at a time, so its item has one writer. The sum over the shards
//! is the campaign's.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use campaign::id::{CampaignId, RowNumber};
use campaign::lifecycle::counters::{CircuitBreaker, Counters};
use campaign::time::Millis;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::dynamodb::{Item, get_value, number, put_if, query_values, text, to_item};
use crate::{Error, part_ttl};

/// The items of the counters.
#[derive(Clone, Debug)]
pub struct CounterTable {
    client: Client,
    table: String,
    retention_days: u32,
}

/// What one shard of the stream counted of a campaign, and up to which record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCounters {
    /// The sequence number of the last record that was counted, as text of fixed length, so that it sorts;
    /// empty before the first.
    pub last_sequence: String,
    /// The counters.
    pub counters: Counters,
    /// The outcomes of the latest rows.
    #[serde(default)]
    pub circuit_breaker: CircuitBreaker,
    /// How many markers of the latest sets ([`crate::ledger::MarkerSet`]) came among the records, by the sets' names.
    #[serde(default)]
    pub markers: BTreeMap<String, u64>,
    /// The highest row that came among the records.
    #[serde(default)]
    pub highest_row: RowNumber,
}

/// Sets of markers that a shard remembers; recounts of one campaign are rarely more than one at a time.
const MAX_MARKER_SETS: usize = 4;

impl ShardCounters {
    /// Counts a marker of this set.
    pub fn count_marker(&mut self, set: &str) {
        *self.markers.entry(set.to_owned()).or_default() += 1;
        while self.markers.len() > MAX_MARKER_SETS {
            self.markers.pop_first();
        }
    }
}

/// What the shards counted of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CampaignCounters {
    shards: BTreeMap<String, ShardCounters>,
}

impl CampaignCounters {
    /// The sum over the shards.
    pub fn sum(&self) -> Counters {
        let counters = self.shards.values().map(|shard| shard.counters.clone());
        counters.fold(Counters::default(), Counters::merge)
    }

    /// How many markers of the set were read.
    pub fn markers(&self, set: &str) -> u64 {
        let shards = self.shards.values();
        shards.filter_map(|shard| shard.markers.get(set)).sum()
    }

    /// The highest row that the counter has seen in the ledger. `None` if it has seen nothing of the campaign.
    pub fn highest_row(&self) -> Option<RowNumber> {
        self.shards.values().map(|shard| shard.highest_row).max()
    }

    /// One shard's.
    pub fn shard(&self, shard: &str) -> ShardCounters {
        self.shards.get(shard).cloned().unwrap_or_default()
    }
}

/// A shard's counters with their key.
#[derive(Deserialize)]
struct StoredShard {
    part: String,
    #[serde(flatten)]
    counters: ShardCounters,
}

/// What the sort keys of counters begin with.
const PART_PREFIX: &str = "counters#";

/// The index by which the counters of many campaigns are read at once, and their partition of it.
const BY_CREATION: &str = "by_creation";
const KIND: &str = "counters";

/// The counters of a shard in the index.
#[derive(Deserialize)]
struct IndexedShard {
    id: CampaignId,
    #[serde(flatten)]
    shard: ShardCounters,
}

impl CounterTable {
    /// In the campaigns table of that name; counters expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// The sum over the shards.
    pub async fn sum(&self, campaign: &CampaignId) -> Result<Counters, Error> {
        Ok(self.get(campaign).await?.sum())
    }

    /// The counters of every shard.
    pub async fn get(&self, campaign: &CampaignId) -> Result<CampaignCounters, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("id = :id AND begins_with(part, :prefix)")
            .expression_attribute_values(":id", text(campaign.as_str()))
            .expression_attribute_values(":prefix", text(PART_PREFIX));
        let shards: Vec<StoredShard> = query_values("read the counters", query).await?;
        let shards = shards.into_iter().map(|shard| {
            let name = shard.part.trim_start_matches(PART_PREFIX).to_owned();
            (name, shard.counters)
        });
        Ok(CampaignCounters {
            shards: shards.collect(),
        })
    }

    /// The sums of many campaigns, with one query: of those whose ids have a time from that of the oldest to that of the newest
    /// of them. It may be a second older than [`CounterTable::sum`]. A campaign that has no counters, or none in the index (they
    /// were written by an earlier version), is not in the answer.
    pub async fn sums(
        &self,
        campaigns: &[CampaignId],
    ) -> Result<HashMap<CampaignId, Counters>, Error> {
        let times = || campaigns.iter().filter_map(id_time);
        let (Some(oldest), Some(newest)) = (times().min(), times().max()) else {
            return Ok(HashMap::new());
        };
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_CREATION)
            .key_condition_expression("kind = :kind AND created_at BETWEEN :oldest AND :newest")
            .expression_attribute_values(":kind", text(KIND))
            .expression_attribute_values(":oldest", number(oldest))
            .expression_attribute_values(":newest", number(newest));
        let shards: Vec<IndexedShard> =
            query_values("read the counters of campaigns", query).await?;
        let mut sums: HashMap<CampaignId, Counters> = HashMap::new();
        for IndexedShard { id, shard } in shards {
            let sum = sums.remove(&id).unwrap_or_default();
            sums.insert(id, sum.merge(shard.counters));
        }
        sums.retain(|id, _| campaigns.contains(id));
        Ok(sums)
    }

    /// What a shard counted of a campaign so far.
    pub async fn get_shard(
        &self,
        campaign: &CampaignId,
        shard: &str,
    ) -> Result<ShardCounters, Error> {
        let get = self.client.get_item().table_name(&self.table);
        let get = get.set_key(Some(key(campaign, shard)));
        let counters = get_value("read the counters of a shard", get).await?;
        Ok(counters.unwrap_or_default())
    }

    /// Replaces the counters of a shard if their last sequence number still is `expected`; returns whether it
    /// was.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, shard))]
    pub async fn compare_and_set(
        &self,
        campaign: &CampaignId,
        shard: &str,
        expected: &str,
        counters: &ShardCounters,
        now: Millis,
    ) -> Result<bool, Error> {
        let action = "store the counters of a shard";
        let mut item = to_item(action, counters)?;
        item.extend(key(campaign, shard));
        if let Some(time) = id_time(campaign) {
            item.insert("kind".into(), text(KIND));
            item.insert("created_at".into(), number(time));
        }
        item.insert(
            "expires_at".into(),
            number(part_ttl(now, self.retention_days)),
        );
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id) OR last_sequence = :expected")
            .expression_attribute_values(":expected", text(expected));
        put_if(action, put).await
    }
}

/// The time in a campaign's id, in milliseconds since the Unix epoch: ids are UUIDs of version 7. Replies have other ids, and no
/// list shows them.
fn id_time(campaign: &CampaignId) -> Option<Millis> {
    const UUID_CHARS: usize = 36;
    let uuid = Uuid::parse_str(campaign.as_str().get(..UUID_CHARS)?).ok()?;
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    Some(seconds * 1000 + Millis::from(nanos) / 1_000_000)
}

fn key(campaign: &CampaignId, shard: &str) -> Item {
    [
        ("id".into(), text(campaign.as_str())),
        ("part".into(), text(&format!("{PART_PREFIX}{shard}"))),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_a_campaign_is_in_its_id() {
        let time = |id: &str| id_time(&id.parse().expect("an id"));
        let id = "0198c0de-0000-7000-8000-000000000001";
        assert_eq!(time(id), Some(0x0198_c0de_0000));
        assert_eq!(time(&format!("{id}-test-0a1b2c3d")), time(id));
        assert_eq!(time("reply-0123456789abcdef0123456789abcdef"), None);
    }
}
