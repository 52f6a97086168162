//! Markers in the ledger's stream: an item in each partition of a campaign, written only to be seen in the stream.
//!
//! A partition key's items are in one shard of the stream, whose records are in the order of the writes. So whoever has read
//! a partition's marker has read every earlier change of its rows.

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Ledger, partition_key, partition_of};
use crate::dynamodb::{number, text};
use crate::{Error, batch_write};

const MARK: &str = "mark the ledger's stream";

/// The sort key of a marker, which is behind those of all rows.
const MARKER_ROW: &str = "marker";

/// How long a marker is kept.
const MARKER_SECONDS: u64 = 24 * 60 * 60;

/// A marker as the stream has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Its partition of the table: `{campaign}#{number}`.
    pub partition_key: String,
    /// The markers that were written together.
    pub marker_set: String,
}

impl Marker {
    /// The campaign's id.
    pub fn campaign_id(&self) -> Option<CampaignId> {
        self.partition_key.split('#').next()?.parse().ok()
    }
}

/// Markers that were written together, one in each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerSet {
    /// Its name. Names of later sets sort behind it.
    pub id: String,
    /// How many there are.
    pub markers: u64,
}

impl Ledger {
    /// Writes a marker into each partition that can have rows up to `last`.
    pub async fn write_markers(
        &self,
        campaign: &CampaignId,
        last: RowNumber,
        now: Millis,
    ) -> Result<MarkerSet, Error> {
        let id = Uuid::now_v7().simple().to_string();
        let expires_at = now / 1000 + MARKER_SECONDS;
        let partitions = partition_of(1)..=partition_of(last);
        let writes = partitions
            .map(|partition| put_marker(&partition_key(campaign, partition), &id, expires_at))
            .collect::<Result<Vec<_>, _>>()?;
        let markers = writes.len() as u64;
        batch_write::write_all(&self.client, &self.table, MARK, writes).await?;
        Ok(MarkerSet { id, markers })
    }
}

fn put_marker(partition: &str, set: &str, expires_at: u64) -> Result<WriteRequest, Error> {
    let put = PutRequest::builder()
        .item("partition_key", text(partition))
        .item("row", text(MARKER_ROW))
        .item("marker_set", text(set))
        .item("expires_at", number(expires_at))
        .build()
        .map_err(|error| Error::new(MARK, error))?;
    Ok(WriteRequest::builder().put_request(put).build())
}
