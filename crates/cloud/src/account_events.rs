//! What Meta said of templates, the number and the account: in the campaigns table, under `id` = `account`.

use aws_sdk_dynamodb::Client;
use campaign::delivery::outcome::Millis;
use serde::{Deserialize, Serialize};

use crate::campaigns::{number, text};
use crate::{Error, ttl};

const ACCOUNT: &str = "account";

/// The notices.
#[derive(Clone, Debug)]
pub struct AccountEvents {
    client: Client,
    table: String,
    retention_days: u32,
}

/// A notice, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAccountEvent {
    /// When.
    pub at: Millis,
    /// The webhook's field.
    pub field: String,
    /// What happened, as Meta names it.
    pub event: String,
    /// A sentence for people.
    pub text: String,
}

impl AccountEvents {
    /// In the campaigns table of that name; they expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Notes one; `key` is its callback's, so that a repeat changes nothing.
    pub async fn record(&self, key: &str, noted: &StoredAccountEvent) -> Result<(), Error> {
        let part = format!("account_event#{:015}#{key}", noted.at);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(ACCOUNT))
            .item("part", text(&part))
            .item("at", number(noted.at))
            .item("field", text(&noted.field))
            .item("event", text(&noted.event))
            .item("text", text(&noted.text))
            .item("expires_at", number(ttl(noted.at, self.retention_days)));
        put.send()
            .await
            .map(drop)
            .map_err(Error::from_sdk("note what Meta says of the account"))
    }

    /// The latest, newest first.
    pub async fn list_latest(&self, limit: i32) -> Result<Vec<StoredAccountEvent>, Error> {
        let action = "list what Meta said of the account";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("id = :id AND begins_with(part, :prefix)")
            .expression_attribute_values(":id", text(ACCOUNT))
            .expression_attribute_values(":prefix", text("account_event#"))
            .scan_index_forward(false)
            .limit(limit);
        let items = query.send().await.map_err(Error::from_sdk(action))?.items;
        let read = |item| serde_dynamo::from_item(item).map_err(|error| Error::new(action, error));
        items.unwrap_or_default().into_iter().map(read).collect()
    }
}
