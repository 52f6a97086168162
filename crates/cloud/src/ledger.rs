//! The ledger (messages table): stores what [`campaign::delivery::ledger`] decides. Only this module builds its keys.
//!
//! The partition key `partition_key` is `{campaign}#{row / 64}`, the sort key `row` is the zero-padded row
//! number. Each change of state is rendered from the rule of its transition, in `ledger/transition.rs`. If the
//! row has moved on, the write returns `false`, which is not an error.
//!
//! This file reads and erases rows; `ledger/claim.rs` claims them for a sender, `ledger/outcome.rs` records how an
//! attempt ended, `ledger/status.rs` what callbacks report later, and `ledger/requeue.rs` what the reconciler and the
//! splitter decide about rows that are not sent yet. `ledger/markers.rs` writes what a reader of the ledger's stream waits for.

mod claim;
mod markers;
mod outcome;
mod requeue;
mod status;
mod transition;

use std::ops::RangeInclusive;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use campaign::delivery::ledger::LedgerRow;
use campaign::id::{CampaignId, NumberId, ROWS_PER_PARTITION, RowNumber};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::dynamodb::{Item, from_item, get_value, query_values, text};
use crate::{Error, scan};

pub use markers::{Marker, MarkerSet};
pub use status::StatusUpdate;

/// Partitions that are read at once: a thousand rows.
const CONCURRENT_READS: usize = 16;

/// The ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: Client,
    table: String,
    retention_days: u32,
    sender: Option<NumberId>,
}

impl Ledger {
    /// The table of that name; rows expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
            sender: None,
        }
    }

    /// The same for the sender of a number: its claims say so.
    pub fn of_sender(self, number: &NumberId) -> Self {
        Self {
            sender: Some(number.clone()),
            ..self
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

    /// The rows of this range that are in the ledger, in order. They are read ahead, eventually consistent.
    pub fn rows<'a>(
        &'a self,
        campaign: &'a CampaignId,
        range: RangeInclusive<RowNumber>,
    ) -> impl Stream<Item = Result<LedgerRow, Error>> + 'a {
        self.read_rows(campaign, range, false)
    }

    /// The rows of this range, each as it is when it is read.
    pub fn rows_as_they_are<'a>(
        &'a self,
        campaign: &'a CampaignId,
        range: RangeInclusive<RowNumber>,
    ) -> impl Stream<Item = Result<LedgerRow, Error>> + 'a {
        self.read_rows(campaign, range, true)
    }

    fn read_rows<'a>(
        &'a self,
        campaign: &'a CampaignId,
        range: RangeInclusive<RowNumber>,
        is_consistent: bool,
    ) -> impl Stream<Item = Result<LedgerRow, Error>> + 'a {
        let partitions = partition_of(*range.start())..=partition_of(*range.end());
        let is_wanted =
            move |row: &LedgerRow| row.row_number().is_some_and(|row| range.contains(&row));
        stream::iter(partitions)
            .map(move |partition| self.read_partition(campaign, partition, is_consistent))
            .buffered(CONCURRENT_READS)
            .map_ok(move |rows| {
                let rows: Vec<_> = rows.into_iter().filter(&is_wanted).map(Ok).collect();
                stream::iter(rows)
            })
            .try_flatten()
    }

    async fn read_partition(
        &self,
        campaign: &CampaignId,
        partition: RowNumber,
        is_consistent: bool,
    ) -> Result<Vec<LedgerRow>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(is_consistent)
            // Not the partition's marker, which is behind the rows' digits.
            .key_condition_expression("partition_key = :partition_key AND #row < :behind_digits")
            .expression_attribute_names("#row", "row")
            .expression_attribute_values(":behind_digits", text(":"))
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

/// Parses an item of the table.
fn parse_row(item: Item) -> Result<LedgerRow, Error> {
    from_item("parse a row of the ledger", item)
}

fn partition_of(row: RowNumber) -> RowNumber {
    row / ROWS_PER_PARTITION
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
