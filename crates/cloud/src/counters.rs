//! A campaign's counters, in the campaigns table: one item per shard of the ledger's stream (`part` =
//! `counters#{shard}`). A shard has one reader at a time, so its item has one writer. The sum over the shards
//! is the campaign's.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use campaign::id::CampaignId;
use campaign::lifecycle::counters::{CircuitBreaker, Counters};
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

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

fn key(campaign: &CampaignId, shard: &str) -> Item {
    [
        ("id".into(), text(campaign.as_str())),
        ("part".into(), text(&format!("{PART_PREFIX}{shard}"))),
    ]
    .into()
}
