//! The campaigns table: one item per campaign (`part` = `campaign`). Other items with the campaign's id hold
//! its counters ([`crate::counters`]), the state of its imports ([`crate::imports`]), its jobs, jobs that wait
//! for it ([`crate::waiting_jobs`]) and its dead letters.
//!
//! This file creates, reads and lists campaigns. `campaigns/change.rs` stores what [`campaign::lifecycle::apply()`] decides,
//! and is the only way to change what was decided; `campaigns/pause.rs` is that for pauses. `campaigns/facts.rs` stores facts
//! that need no version, `campaigns/lease.rs` the lease under which one invocation at a time reads the files.

mod change;
mod facts;
mod lease;
mod pause;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::Campaign;
use campaign::time::Millis;

use crate::Error;
use crate::dynamodb::{Item, from_item, get_value, number, put_if, text};

pub use change::Change;
pub use lease::Lease;

const PART: &str = "campaign";

/// The index that lists campaigns by `created_at`, and its one partition.
const BY_CREATION: &str = "by_creation";

/// The index of what the reconciler visits, and its key. It holds only items with that attribute.
const BY_RECONCILE_KEY: &str = "by_reconcile_key";
pub(crate) const RECONCILE_KEY: &str = "reconcile_key";

/// The partitions of that index: the open campaigns, and the jobs that wait.
const OPEN_CAMPAIGN: &str = "open_campaign";
pub(crate) const WAITING_JOB: &str = "waiting_job";

/// The position of a campaign in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPosition {
    /// When it was created.
    pub created_at: Millis,
    /// Its id.
    pub id: CampaignId,
}

/// The campaigns table.
#[derive(Clone, Debug)]
pub struct Campaigns {
    client: Client,
    table: String,
    retention_days: u32,
}

impl Campaigns {
    /// The table of that name; campaigns that are over expire `retention_days` after their creation.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Stores a new campaign. A second one with the same id is an error.
    pub async fn create(&self, campaign: &Campaign) -> Result<(), Error> {
        let action = "create the campaign";
        let put = self.put_new(action, campaign, PART)?;
        put.send().await.map(drop).map_err(Error::from_sdk(action))
    }

    /// Stores a new campaign, unless it is stored already. Returns whether it is new.
    pub async fn create_once(&self, campaign: &Campaign) -> Result<bool, Error> {
        let action = "create the campaign";
        let put = self.put_new(action, campaign, PART)?;
        put_if(action, put).await
    }

    /// Stores a single message or a reply: a campaign of one row that no list shows. Returns whether it is new.
    pub async fn create_single(&self, campaign: &Campaign) -> Result<bool, Error> {
        let action = "create a campaign of one row";
        let put = self.put_new(action, campaign, "reply")?;
        put_if(action, put).await
    }

    fn put_new(
        &self,
        action: &'static str,
        campaign: &Campaign,
        kind: &str,
    ) -> Result<PutItemFluentBuilder, Error> {
        let mut item = self.to_stored_item(action, campaign)?;
        item.insert("part".into(), text(PART));
        item.insert("kind".into(), text(kind));
        let put = self.client.put_item().table_name(&self.table);
        Ok(put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)"))
    }

    /// Reads a campaign as it is now.
    pub async fn get(&self, id: &CampaignId) -> Result<Option<Campaign>, Error> {
        let get = self.client.get_item().table_name(&self.table);
        get_value("read the campaign", get.set_key(Some(key(id)))).await
    }

    /// The latest campaigns, newest first, `limit` at most.
    pub async fn list_latest(&self, limit: i32) -> Result<Vec<Campaign>, Error> {
        let action = "list the campaigns";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_CREATION)
            .key_condition_expression("kind = :kind")
            .expression_attribute_values(":kind", text(PART))
            .scan_index_forward(false)
            .limit(limit);
        let response = query.send().await.map_err(Error::from_sdk(action))?;
        let items = response.items.unwrap_or_default().into_iter();
        items.map(|item| from_item(action, item)).collect()
    }

    /// Campaigns created before the one at `after`, newest first, `limit` at most.
    pub async fn list_before(
        &self,
        after: Option<&ListPosition>,
        limit: i32,
    ) -> Result<Vec<Campaign>, Error> {
        let action = "list the campaigns";
        let start = after.map(|position| {
            let mut start = key(&position.id);
            start.insert("kind".into(), text(PART));
            start.insert("created_at".into(), number(position.created_at));
            start
        });
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_CREATION)
            .key_condition_expression("kind = :kind")
            .expression_attribute_values(":kind", text(PART))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            .limit(limit);
        let response = query.send().await.map_err(Error::from_sdk(action))?;
        let items = response.items.unwrap_or_default().into_iter();
        items.map(|item| from_item(action, item)).collect()
    }

    /// The ids of every campaign that lists show, oldest first.
    pub async fn list_ids(&self) -> Result<Vec<CampaignId>, Error> {
        self.query_ids("list every campaign", BY_CREATION, "kind", PART)
            .await
    }

    /// The ids of the campaigns that the reconciler must visit.
    pub async fn list_open_ids(&self) -> Result<Vec<CampaignId>, Error> {
        self.query_ids(
            "list the open campaigns",
            BY_RECONCILE_KEY,
            RECONCILE_KEY,
            OPEN_CAMPAIGN,
        )
        .await
    }

    /// The ids of the campaigns that some job waits for.
    pub async fn list_awaited_ids(&self) -> Result<BTreeSet<CampaignId>, Error> {
        let ids = self
            .query_ids(
                "list the jobs that wait",
                BY_RECONCILE_KEY,
                RECONCILE_KEY,
                WAITING_JOB,
            )
            .await?;
        Ok(ids.into_iter().collect())
    }

    async fn query_ids(
        &self,
        action: &'static str,
        index: &str,
        partition_key: &str,
        partition: &str,
    ) -> Result<Vec<CampaignId>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .key_condition_expression("#key = :partition")
            .expression_attribute_names("#key", partition_key)
            .expression_attribute_values(":partition", text(partition))
            .projection_expression("id");
        let mut items = query.into_paginator().items().send();
        let mut ids = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(Error::from_sdk(action))?;
            let id = item.get("id").and_then(|id| id.as_s().ok());
            ids.extend(id.and_then(|id| id.parse().ok()));
        }
        Ok(ids)
    }

    fn update(&self, id: &CampaignId) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
    }
}

fn key(id: &CampaignId) -> Item {
    [
        ("id".into(), text(id.as_str())),
        ("part".into(), text(PART)),
    ]
    .into()
}
