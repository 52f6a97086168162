//! Beside a campaign in the campaigns table: how far each file is in the queue (`part` = `split#{file}` and
//! `canary#{file}`), who was kept back from it (`suppressed#{file}#…`), and the preview (`preview`).

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use campaign::id::{CampaignId, RowNumber};
use campaign::import::preview::Preview;
use serde::{Deserialize, Serialize};

use crate::campaigns::{number, text};
use crate::{Error, now, ttl};

/// How far a file is in the queue. Written before rows go out, so that whoever goes on knows what may be out already,
/// and whom the standing list kept back then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Every usable row up to this one is in the queue, or was suppressed.
    pub completed_row: RowNumber,
    /// Those up to this one may be in the queue.
    pub started_row: RowNumber,
    /// Those between `done` and `begun` that are suppressed.
    pub suppressed_rows: Vec<RowNumber>,
}

/// Which of a file's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSet {
    /// Those that go first.
    Canary,
    /// All others.
    Remainder,
}

/// State of imports.
#[derive(Clone, Debug)]
pub struct Imports {
    client: Client,
    table: String,
    retention_days: u32,
}

impl Imports {
    /// In the campaigns table of that name; what it holds expires after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// How far the file at `index` is; `None` where nothing of it went out.
    pub async fn get_checkpoint(
        &self,
        id: &CampaignId,
        index: usize,
        share: RowSet,
    ) -> Result<Option<Checkpoint>, Error> {
        let action = "read how far the split is";
        let item = self.get(id, &checkpoint_part(index, share), action).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|error| Error::new(action, error)))
            .transpose()
    }

    /// Writes down how far it is.
    pub async fn write_checkpoint(
        &self,
        id: &CampaignId,
        index: usize,
        share: RowSet,
        checkpoint: &Checkpoint,
    ) -> Result<(), Error> {
        let action = "write down how far the split is";
        let item = serde_dynamo::to_item(checkpoint).map_err(|error| Error::new(action, error))?;
        self.put(id, &checkpoint_part(index, share), item, action)
            .await
    }

    /// What the last examination of a file found.
    pub async fn get_preview(&self, id: &CampaignId) -> Result<Option<Preview>, Error> {
        let action = "read the preview";
        let Some(item) = self.get(id, "preview", action).await? else {
            return Ok(None);
        };
        let json = item.get("preview").and_then(|preview| preview.as_s().ok());
        let json = json.ok_or_else(|| Error::new(action, "it has no text"))?;
        serde_json::from_str(json)
            .map(Some)
            .map_err(|error| Error::new(action, error))
    }

    /// Keeps what an examination found.
    pub async fn write_preview(&self, id: &CampaignId, preview: &Preview) -> Result<(), Error> {
        let action = "write the preview";
        let json = serde_json::to_string(preview).map_err(|error| Error::new(action, error))?;
        self.put(
            id,
            "preview",
            HashMap::from([("preview".into(), text(&json))]),
            action,
        )
        .await
    }

    /// Remembers rows up to `last` whose people are on the standing list: they are counted as suppressed and are never
    /// offered. Written before the checkpoint moves past them.
    pub async fn record_suppressed_rows(
        &self,
        id: &CampaignId,
        index: usize,
        share: RowSet,
        last: RowNumber,
        rows: &HashSet<RowNumber>,
    ) -> Result<(), Error> {
        let action = "remember who is left out";
        let item = serde_dynamo::to_item(SuppressedRows { rows: rows.clone() })
            .map_err(|error| Error::new(action, error))?;
        let part = format!("{}{}#{last:010}", suppressed_part(index), share.name());
        self.put(id, &part, item, action).await
    }

    /// Every row of the file that was kept back so.
    pub async fn get_suppressed_rows(
        &self,
        id: &CampaignId,
        index: usize,
    ) -> Result<HashSet<RowNumber>, Error> {
        let action = "read who is left out";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("id = :id AND begins_with(part, :prefix)")
            .expression_attribute_values(":id", text(id.as_str()))
            .expression_attribute_values(":prefix", text(&suppressed_part(index)))
            .consistent_read(true);
        let mut items = query.into_paginator().items().send();
        let mut rows = HashSet::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(Error::from_sdk(action))?;
            let kept: SuppressedRows =
                serde_dynamo::from_item(item).map_err(|error| Error::new(action, error))?;
            rows.extend(kept.rows);
        }
        Ok(rows)
    }

    async fn get(
        &self,
        id: &CampaignId,
        part: &str,
        action: &'static str,
    ) -> Result<Option<HashMap<String, AttributeValue>>, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("id", text(id.as_str()))
            .key("part", text(part));
        Ok(get
            .consistent_read(true)
            .send()
            .await
            .map_err(Error::from_sdk(action))?
            .item)
    }

    async fn put(
        &self,
        id: &CampaignId,
        part: &str,
        mut item: HashMap<String, AttributeValue>,
        action: &'static str,
    ) -> Result<(), Error> {
        item.insert("id".into(), text(id.as_str()));
        item.insert("part".into(), text(part));
        item.insert("expires_at".into(), number(ttl(now(), self.retention_days)));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        put.send().await.map(drop).map_err(Error::from_sdk(action))
    }
}

#[derive(Serialize, Deserialize)]
struct SuppressedRows {
    rows: HashSet<RowNumber>,
}

fn suppressed_part(index: usize) -> String {
    format!("suppressed#{index}#")
}

fn checkpoint_part(index: usize, share: RowSet) -> String {
    format!("{}#{index}", share.name())
}

impl RowSet {
    fn name(self) -> &'static str {
        match self {
            RowSet::Canary => "canary",
            RowSet::Remainder => "remainder",
        }
    }
}
