//! The ledger (messages table): stores what [`campaign::delivery::ledger`] decides. Only this module knows
//! its keys.
//!
//! The partition key `partition_key` is `{campaign}#{row / 64}`, the sort key `row` is the zero-padded row
//! number. Each write is conditional on the states its transition may start from. If the row has moved on,
//! the write returns `false`, which is not an error.
//!
//! This file reads and erases rows; `ledger/row.rs` has their form, `ledger/claim.rs` claims them for a
//! sender, `ledger/outcome.rs` records how an attempt ended, `ledger/status.rs` what callbacks report later,
//! and `ledger/requeue.rs` what the reconciler and the splitter decide about rows that are not sent yet.

mod claim;
mod outcome;
mod requeue;
mod row;
mod status;
mod transition;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use campaign::id::{CampaignId, RowNumber, partition_of};

use crate::dynamodb::{Item, get_value, query_values, text};
use crate::{Error, scan};

pub use claim::{Claim, OtherClaim};
pub use row::{LedgerRow, PastAttempt};
pub use status::StatusUpdate;

/// The ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: Client,
    table: String,
    retention_days: u32,
}

impl Ledger {
    /// The table of that name; rows expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Reads one row as it is now.
    pub async fn get_row(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
    ) -> Result<Option<LedgerRow>, Error> {
        let get = self.client.get_item().table_name(&self.table);
        get_value("read a row", get.set_key(Some(key(campaign, row)))).await
    }

    /// The rows of one partition that are in the ledger. The read is eventually consistent.
    pub async fn list_partition(
        &self,
        campaign: &CampaignId,
        partition: RowNumber,
    ) -> Result<Vec<LedgerRow>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("partition_key = :partition_key")
            .expression_attribute_values(
                ":partition_key",
                text(&partition_key(campaign, partition)),
            );
        query_values("read a partition of the ledger", query).await
    }

    /// Erases the recipient ids (`wa_id`) for which `is_theirs` holds; returns the number of rows.
    pub async fn erase(&self, is_theirs: impl Fn(&str) -> bool) -> Result<u64, Error> {
        let is_wanted = |item: &Item| scan::get_text(item, "wa_id").is_some_and(&is_theirs);
        let erase_wa_id = async |mut item: Item| {
            item.remove("wa_id");
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(item))
                .update_expression("REMOVE wa_id");
            let updated = update.send().await;
            updated
                .map(drop)
                .map_err(Error::from_sdk("erase a recipient from the ledger"))
        };
        let attributes = ["partition_key", "row", "wa_id"];
        scan::for_each(
            &self.client,
            &self.table,
            &attributes,
            is_wanted,
            erase_wa_id,
        )
        .await
    }

    fn update(&self, campaign: &CampaignId, row: RowNumber) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(campaign, row)))
    }
}

fn partition_key(campaign: &CampaignId, partition: RowNumber) -> String {
    format!("{campaign}#{partition}")
}

fn key(campaign: &CampaignId, row: RowNumber) -> Item {
    let partition = partition_key(campaign, partition_of(row));
    [
        ("partition_key".into(), text(&partition)),
        ("row".into(), text(&format!("{row:010}"))),
    ]
    .into()
}
