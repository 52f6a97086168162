//! A campaign's counters: in the campaigns table, one item per shard of the ledger's stream (`part` = `counters#{shard}`).
//! A shard has one reader at a time, so its item has one writer; the sum over shards is the campaign's.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use campaign::lifecycle::counters::{CircuitBreaker, Counters};
use serde::{Deserialize, Serialize};

use crate::campaigns::{already_exists, text};
use crate::{Error, ttl};

/// The counters' items.
#[derive(Clone, Debug)]
pub struct CounterTable {
    client: Client,
    table: String,
    retention_days: u32,
}

/// What one shard counted of a campaign, and how far it has read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCounters {
    /// The last stream record taken in, as text of one length, so that it sorts; empty before the first.
    pub last_sequence: String,
    /// The counts.
    pub counters: Counters,
    /// How the latest rows ended.
    #[serde(default)]
    pub circuit_breaker: CircuitBreaker,
}

impl CounterTable {
    /// Beside the campaigns, in the table of that name.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// The sum over shards.
    pub async fn sum(&self, campaign: &CampaignId) -> Result<Counters, Error> {
        let action = "read the counters";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true);
        let query = query
            .key_condition_expression("id = :id AND begins_with(part, :prefix)")
            .expression_attribute_values(":id", text(campaign.as_str()))
            .expression_attribute_values(":prefix", text("counters#"));
        let mut pages = query.into_paginator().items().send();
        let mut total = Counters::default();
        while let Some(item) = pages.next().await {
            let shard = parse_shard(action, item.map_err(Error::from_sdk(action))?)?;
            total = total.merge(shard.counters);
        }
        Ok(total)
    }

    /// What a shard counted of a campaign so far.
    pub async fn get_shard(
        &self,
        campaign: &CampaignId,
        shard: &str,
    ) -> Result<ShardCounters, Error> {
        let action = "read a shard's counters";
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(campaign, shard)))
            .consistent_read(true);
        let item = get.send().await.map_err(Error::from_sdk(action))?.item;
        item.map_or(Ok(ShardCounters::default()), |item| {
            parse_shard(action, item)
        })
    }

    /// Replaces a shard's counts if they still are as of `seen`; else tells that somebody was faster.
    pub async fn compare_and_set(
        &self,
        campaign: &CampaignId,
        shard: &str,
        seen: &str,
        tally: &ShardCounters,
        now: Millis,
    ) -> Result<bool, Error> {
        let action = "write a shard's counters";
        let mut item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(tally).map_err(|error| Error::new(action, error))?;
        item.extend(key(campaign, shard));
        let expires_at = ttl(now, self.retention_days);
        item.insert(
            "expires_at".into(),
            AttributeValue::N(expires_at.to_string()),
        );
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id) OR last_sequence = :seen")
            .expression_attribute_values(":seen", text(seen));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if already_exists(&error) => Ok(false),
            Err(error) => Err(Error::from_sdk(action)(error)),
        }
    }
}

fn parse_shard(
    action: &'static str,
    item: HashMap<String, AttributeValue>,
) -> Result<ShardCounters, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::new(action, error))
}

fn key(campaign: &CampaignId, shard: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("id".into(), text(campaign.as_str())),
        ("part".into(), text(&format!("counters#{shard}"))),
    ])
}
