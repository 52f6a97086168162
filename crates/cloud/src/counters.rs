//! A campaign's counters, in the campaigns table: one item per shard of the ledger's stream (`part` =
//! `counters#{shard}`). A shard has one reader at a time, so its item has one writer. The sum over the shards
//! is the campaign's.

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
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("id = :id AND begins_with(part, :prefix)")
            .expression_attribute_values(":id", text(campaign.as_str()))
            .expression_attribute_values(":prefix", text("counters#"));
        let shards: Vec<ShardCounters> = query_values("read the counters", query).await?;
        let counters = shards.into_iter().map(|shard| shard.counters);
        Ok(counters.fold(Counters::default(), Counters::merge))
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
        ("part".into(), text(&format!("counters#{shard}"))),
    ]
    .into()
}
