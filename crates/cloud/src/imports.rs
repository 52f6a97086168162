//! The state of imports, beside the campaign in the campaigns table: the checkpoint of each file (`part` =
//! `remainder#{file}` and `canary#{file}`), its suppressed rows (`suppressed#{file}#…`), and the preview
//! (`preview`).

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use campaign::id::{CampaignId, RowNumber};
use campaign::import::preview::Preview;
use campaign::lifecycle::campaign::Campaign;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::dynamodb::{Item, from_item, get_item, number, query_values, text, to_item};
use crate::{Error, now, part_ttl};

/// How much of a file is in the queue. It is written before rows are enqueued, so that the next invocation
/// knows which rows may be in the queue already, and which of them were suppressed at that time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Every usable row up to this one is in the queue, or was suppressed.
    pub completed_row: RowNumber,
    /// Rows up to this one may be in the queue.
    pub started_row: RowNumber,
    /// The suppressed rows between the two.
    pub suppressed_rows: Vec<RowNumber>,
}

/// A set of a file's rows that is enqueued as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RowSet {
    /// The rows that are sent first.
    Canary,
    /// All other rows.
    Remainder,
}

impl RowSet {
    fn name(self) -> &'static str {
        self.into()
    }
}

/// The state of imports.
#[derive(Clone, Debug)]
pub struct Imports {
    client: Client,
    table: String,
    retention_days: u32,
}

impl Imports {
    /// In the campaigns table of that name; the state expires after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// The checkpoint of the file at `index`; `None` if none of its rows was enqueued.
    pub async fn get_checkpoint(
        &self,
        id: &CampaignId,
        index: usize,
        row_set: RowSet,
    ) -> Result<Option<Checkpoint>, Error> {
        let action = "read a checkpoint";
        let item = self
            .get_part(action, id, &checkpoint_part(index, row_set))
            .await?;
        item.map(|item| from_item(action, item)).transpose()
    }

    /// Stores the checkpoint of the file at `index`, under the lease with which the campaign was read. Fails with
    /// [`crate::ErrorKind::ConditionFailed`] if a later invocation has stored one, or this one has stored one that is further.
    pub async fn write_checkpoint(
        &self,
        campaign: &Campaign,
        index: usize,
        row_set: RowSet,
        checkpoint: &Checkpoint,
    ) -> Result<(), Error> {
        let action = "store a checkpoint";
        let mut item = to_item(action, checkpoint)?;
        item.insert("epoch".into(), number(campaign.lease_epoch));
        let part = checkpoint_part(index, row_set);
        let put = self
            .put(&campaign.id, &part, item)
            .condition_expression(
                "attribute_not_exists(id) OR epoch < :epoch \
                 OR epoch = :epoch AND completed_row <= :completed AND started_row <= :started",
            )
            .expression_attribute_values(":epoch", number(campaign.lease_epoch))
            .expression_attribute_values(":completed", number(checkpoint.completed_row.into()))
            .expression_attribute_values(":started", number(checkpoint.started_row.into()));
        put.send().await.map(drop).map_err(Error::from_sdk(action))
    }

    /// The preview of the file that was validated last.
    pub async fn get_preview(&self, id: &CampaignId) -> Result<Option<Preview>, Error> {
        let action = "read the preview";
        let Some(item) = self.get_part(action, id, "preview").await? else {
            return Ok(None);
        };
        let json = item.get("preview").and_then(|preview| preview.as_s().ok());
        let json = json.ok_or_else(|| Error::new(action, "the item has no text"))?;
        serde_json::from_str(json)
            .map(Some)
            .map_err(|error| Error::new(action, error))
    }

    /// Stores the preview of a file that was validated, under the lease with which the campaign was read. Fails with
    /// [`crate::ErrorKind::ConditionFailed`] if another invocation has stored one under a later lease.
    pub async fn write_preview(&self, campaign: &Campaign, preview: &Preview) -> Result<(), Error> {
        let action = "store the preview";
        let json = serde_json::to_string(preview).map_err(|error| Error::new(action, error))?;
        let epoch = number(campaign.lease_epoch);
        let item = HashMap::from([
            ("preview".into(), text(&json)),
            ("epoch".into(), epoch.clone()),
        ]);
        let put = self
            .put(&campaign.id, "preview", item)
            .condition_expression("attribute_not_exists(epoch) OR epoch <= :epoch")
            .expression_attribute_values(":epoch", epoch);
        put.send().await.map(drop).map_err(Error::from_sdk(action))
    }

    /// Records rows up to `last` whose recipients are on the suppression list: they count as suppressed and
    /// are never requeued. Written before the checkpoint moves past them.
    pub async fn record_suppressed_rows(
        &self,
        id: &CampaignId,
        index: usize,
        row_set: RowSet,
        last: RowNumber,
        rows: &HashSet<RowNumber>,
    ) -> Result<(), Error> {
        let action = "record suppressed rows";
        let item = to_item(action, SuppressedRows { rows: rows.clone() })?;
        let part = format!("{}{}#{last:010}", suppressed_part(index), row_set.name());
        self.put_part(action, id, &part, item).await
    }

    /// All suppressed rows of the file at `index`.
    pub async fn get_suppressed_rows(
        &self,
        id: &CampaignId,
        index: usize,
    ) -> Result<HashSet<RowNumber>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("id = :id AND begins_with(part, :prefix)")
            .expression_attribute_values(":id", text(id.as_str()))
            .expression_attribute_values(":prefix", text(&suppressed_part(index)))
            .consistent_read(true);
        let parts: Vec<SuppressedRows> = query_values("read suppressed rows", query).await?;
        Ok(parts.into_iter().flat_map(|part| part.rows).collect())
    }

    async fn get_part(
        &self,
        action: &'static str,
        id: &CampaignId,
        part: &str,
    ) -> Result<Option<Item>, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("id", text(id.as_str()))
            .key("part", text(part));
        get_item(action, get).await
    }

    async fn put_part(
        &self,
        action: &'static str,
        id: &CampaignId,
        part: &str,
        item: Item,
    ) -> Result<(), Error> {
        let put = self.put(id, part, item).send().await;
        put.map(drop).map_err(Error::from_sdk(action))
    }

    fn put(&self, id: &CampaignId, part: &str, mut item: Item) -> PutItemFluentBuilder {
        item.insert("id".into(), text(id.as_str()));
        item.insert("part".into(), text(part));
        let expires_at = part_ttl(now(), self.retention_days);
        item.insert("expires_at".into(), number(expires_at));
        let put = self.client.put_item().table_name(&self.table);
        put.set_item(Some(item))
    }
}

#[derive(Serialize, Deserialize)]
struct SuppressedRows {
    rows: HashSet<RowNumber>,
}

fn suppressed_part(index: usize) -> String {
    format!("suppressed#{index}#")
}

fn checkpoint_part(index: usize, row_set: RowSet) -> String {
    format!("{}#{index}", row_set.name())
}
