//! Batches of the ledger's stream, as changes of rows.

use std::collections::BTreeMap;

use aws_lambda_events::dynamodb::EventRecord;
use campaign::delivery::ledger::LedgerRow;
use campaign::delivery::ledger::State;
use campaign::id::{CampaignId, RowNumber};
use campaign::lifecycle::counters::RowFacts;
use campaign::time::Millis;
use cloud::ledger::Marker;
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};
use serde_dynamo::Item;

/// An event of the stream. It names its shard because the mapping has a tumbling window (AWS, "Stateful processing in
/// DynamoDB Streams"); without the name, sequence numbers of two shards could not be told apart.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    /// Changes in one shard, in order.
    #[serde(rename = "Records", default)]
    pub records: Vec<EventRecord>,
    /// The shard's id.
    #[serde(rename = "shardId")]
    pub shard: Option<String>,
}

/// The state of the tumbling window. It stays empty: the counters are in their table.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamResponse {
    state: BTreeMap<String, String>,
}

/// A parsed event.
pub(crate) struct StreamBatch {
    pub(crate) shard: String,
    /// How many records it has.
    pub(crate) records: usize,
    /// The age of its oldest record.
    pub(crate) lag_ms: Millis,
    /// Changes by campaign, in the order of the stream.
    pub(crate) changes: BTreeMap<CampaignId, Vec<Change>>,
}

/// A record of the stream.
pub(crate) struct Change {
    pub(crate) sequence: String,
    pub(crate) kind: ChangeKind,
}

/// What was written.
pub(crate) enum ChangeKind {
    /// A row changed.
    Row(RowChange),
    /// A marker of this set was written.
    Marker(String),
}

/// A change of a row.
#[derive(Clone, Copy)]
pub(crate) struct RowChange {
    pub(crate) number: RowNumber,
    pub(crate) old: Option<RowFacts>,
    pub(crate) new: RowFacts,
}

impl Change {
    /// The change of a row, if it is one.
    pub(crate) fn row(&self) -> Option<RowChange> {
        match &self.kind {
            ChangeKind::Row(change) => Some(*change),
            ChangeKind::Marker(_) => None,
        }
    }
}

impl StreamBatch {
    pub(crate) fn parse(
        event: StreamEvent,
        default_shard: Option<&str>,
        now: Millis,
    ) -> Result<Self, Error> {
        let shard = event.shard.or(default_shard.map(str::to_owned)).ok_or(
            "the event names no shard: give the stream's mapping a TumblingWindowInSeconds",
        )?;
        let ages = event.records.iter().map(|record| age_ms(record, now));
        let mut batch = Self {
            shard,
            records: event.records.len(),
            lag_ms: ages.max().unwrap_or_default(),
            changes: BTreeMap::new(),
        };
        for record in event.records {
            if let Some((campaign, change)) = parse_change(record)? {
                batch.changes.entry(campaign).or_default().push(change);
            }
        }
        Ok(batch)
    }
}

fn age_ms(record: &EventRecord, now: Millis) -> Millis {
    let created = record.change.approximate_creation_date_time;
    now.saturating_sub(Millis::try_from(created.timestamp_millis()).unwrap_or(now))
}

/// The change of a record. `None` for a removed item: rows expire, but they stay counted.
fn parse_change(record: EventRecord) -> Result<Option<(CampaignId, Change)>, Error> {
    let change = record.change;
    let (old, new) = (change.old_image, change.new_image);
    if new.is_empty() {
        return Ok(None);
    }
    let parsed = match new.contains_key("marker_set") {
        true => parse_marker(old, new)?,
        false => parse_row(old, new)?,
    };
    let Some((campaign, kind)) = parsed else {
        return Ok(None);
    };
    // A sequence number has up to 40 digits. It is padded so that texts sort as numbers.
    let sequence = change.sequence_number.unwrap_or_default();
    let sequence = format!("{sequence:0>40}");
    Ok(Some((campaign, Change { sequence, kind })))
}

fn parse_row(old: Item, new: Item) -> Result<Option<(CampaignId, ChangeKind)>, Error> {
    let new: LedgerRow = serde_dynamo::from_item(new)?;
    let old: Option<LedgerRow> = match old.is_empty() {
        true => None,
        false => Some(serde_dynamo::from_item(old)?),
    };
    let change = RowChange {
        number: new.row_number().unwrap_or_default(),
        old: old.map(|row| row.row_facts()),
        new: new.row_facts(),
    };
    if let Some(old) = change.old {
        mark_acceptance(old, change.new);
    }
    let campaign = new.campaign_id();
    Ok(campaign.map(|campaign| (campaign, ChangeKind::Row(change))))
}

/// `None` where a marker was written again: it counts once.
fn parse_marker(old: Item, new: Item) -> Result<Option<(CampaignId, ChangeKind)>, Error> {
    if old.get("marker_set") == new.get("marker_set") {
        return Ok(None);
    }
    let marker: Marker = serde_dynamo::from_item(new)?;
    let campaign = marker.campaign_id();
    Ok(campaign.map(|campaign| (campaign, ChangeKind::Marker(marker.marker_set))))
}

/// Marks an acceptance that became known another way than from the response in time. Who records it does not see that.
fn mark_acceptance(old: RowFacts, new: RowFacts) {
    let is_reported = new.sent || new.delivered || new.read || new.failed;
    match (old.state, new.state, is_reported) {
        (State::Claimed, State::Accepted, true) => {
            cloud::sometimes!("a status came before the response was recorded");
        }
        (State::Unconfirmed, State::Accepted, true) => {
            cloud::sometimes!("a status settled an unconfirmed row");
        }
        (State::Unconfirmed, State::Accepted, false) => {
            cloud::sometimes!("a response that was recorded late settled an unconfirmed row");
        }
        _ => {}
    }
}
