//! What Meta reports about templates, the number and the account: in the campaigns table, under `id` =
//! `account`.

use aws_sdk_dynamodb::Client;
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use crate::dynamodb::{from_item, number, text};
use crate::{Error, ttl};

const ACCOUNT: &str = "account";

/// The events.
#[derive(Clone, Debug)]
pub struct AccountEvents {
    client: Client,
    table: String,
    retention_days: u32,
}

/// An event as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAccountEvent {
    /// When it happened.
    pub at: Millis,
    /// The webhook's field.
    pub field: String,
    /// What happened, in Meta's words.
    pub event: String,
    /// A sentence for the operator.
    pub text: String,
}

impl AccountEvents {
    /// In the campaigns table of that name; events expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Records an event; `key` is its callback's, so that a repeat changes nothing.
    pub async fn record(&self, key: &str, event: &StoredAccountEvent) -> Result<(), Error> {
        let part = format!("account_event#{:015}#{key}", event.at);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(ACCOUNT))
            .item("part", text(&part))
            .item("at", number(event.at))
            .item("field", text(&event.field))
            .item("event", text(&event.event))
            .item("text", text(&event.text))
            .item("expires_at", number(ttl(event.at, self.retention_days)));
        let put = put.send().await;
        put.map(drop)
            .map_err(Error::from_sdk("record an account event"))
    }

    /// The latest events, newest first, `limit` at most.
    pub async fn list_latest(&self, limit: i32) -> Result<Vec<StoredAccountEvent>, Error> {
        let action = "list the account events";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("id = :id AND begins_with(part, :prefix)")
            .expression_attribute_values(":id", text(ACCOUNT))
            .expression_attribute_values(":prefix", text("account_event#"))
            .scan_index_forward(false)
            .limit(limit);
        let response = query.send().await.map_err(Error::from_sdk(action))?;
        let items = response.items.unwrap_or_default().into_iter();
        items.map(|item| from_item(action, item)).collect()
    }
}
