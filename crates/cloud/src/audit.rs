//! The audit log, in the campaigns table: `id` = `audit`, `part` = the time and the entry's id, so that entries are listed by
//! time. The index `by_creation` lists those of one campaign (`kind` = `audit#{campaign}`).
//!
//! An entry is written before what it is about is done, and completed afterwards. So nothing is changed without one, whatever
//! is written after it and whenever the process dies; an entry without a status says that nobody knows whether it was done.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use campaign::access::role::Role;
use campaign::id::{CampaignId, NumberId};
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use crate::dynamodb::{Item, from_item, number, put_if, send_if, text, to_item};
use crate::{Error, ttl};

const ID: &str = "audit";

/// The index that lists the entries of one campaign.
const BY_CREATION: &str = "by_creation";

/// For how many days entries are kept: longer than what they are about.
const RETENTION_DAYS: u32 = 730;

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its time as digits of fixed length, and a random part.
    #[serde(rename = "part")]
    pub id: String,
    /// When it began.
    #[serde(rename = "created_at")]
    pub at: Millis,
    /// The name of the token.
    pub who: String,
    /// The role in which it was done.
    pub role: Role,
    /// `token` or `session`.
    pub via: String,
    /// The operation's id in the API's description.
    pub operation: String,
    /// The campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// The beginning of the hash under which the contact is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Our number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberId>,
    /// The campaign's version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_before: Option<u64>,
    /// The campaign's version afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_after: Option<u64>,
    /// The HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// The audit log.
#[derive(Clone, Debug)]
pub struct AuditLog {
    client: Client,
    table: String,
}

impl AuditLog {
    /// In the campaigns table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Stores an entry, before what it is about is done.
    pub async fn begin(&self, entry: &AuditEntry) -> Result<(), Error> {
        let action = "write the audit log";
        let mut item = to_item(action, entry)?;
        item.insert("id".into(), text(ID));
        if let Some(campaign) = &entry.campaign {
            item.insert("kind".into(), text(&kind(campaign)));
        }
        item.insert("expires_at".into(), number(ttl(entry.at, RETENTION_DAYS)));
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)");
        // It is there already where the SDK repeated a request whose response was lost.
        put_if(action, put).await.map(drop)
    }

    /// Completes an entry: its status, and what was not known before.
    pub async fn complete(&self, entry: &AuditEntry) -> Result<(), Error> {
        let mut set = "SET #status = :status".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(ID))
            .key("part", text(&entry.id))
            .condition_expression("attribute_exists(id)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(
                ":status",
                number(entry.status.unwrap_or_default().into()),
            );
        if let Some(campaign) = &entry.campaign {
            set.push_str(", campaign = :campaign, kind = :kind");
            update = update
                .expression_attribute_values(":campaign", text(campaign.as_str()))
                .expression_attribute_values(":kind", text(&kind(campaign)));
        }
        for (name, version) in [
            ("version_before", entry.version_before),
            ("version_after", entry.version_after),
        ] {
            if let Some(version) = version {
                set.push_str(&format!(", {name} = :{name}"));
                update = update.expression_attribute_values(format!(":{name}"), number(version));
            }
        }
        let update = update.update_expression(set);
        send_if("complete the audit log", update).await.map(drop)
    }

    /// Entries older than the one whose id is `before`, newest first, `limit` at most; of all campaigns or of one.
    pub async fn list(
        &self,
        campaign: Option<&CampaignId>,
        before: Option<&str>,
        limit: i32,
    ) -> Result<Vec<AuditEntry>, Error> {
        let action = "read the audit log";
        let query = match campaign {
            Some(campaign) => self.query_campaign(campaign, before),
            None => self.query_all(before),
        };
        let query = query.scan_index_forward(false).limit(limit).send().await;
        let response = query.map_err(Error::from_sdk(action))?;
        let items = response.items.unwrap_or_default().into_iter();
        items.map(|item| from_item(action, item)).collect()
    }

    fn query_all(&self, before: Option<&str>) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.table);
        let query = query.expression_attribute_values(":id", text(ID));
        match before {
            Some(before) => query
                .key_condition_expression("id = :id AND part < :before")
                .expression_attribute_values(":before", text(before)),
            None => query.key_condition_expression("id = :id"),
        }
    }

    fn query_campaign(&self, campaign: &CampaignId, before: Option<&str>) -> QueryFluentBuilder {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_CREATION)
            .key_condition_expression("kind = :kind")
            .expression_attribute_values(":kind", text(&kind(campaign)));
        let Some((before, at)) = before.and_then(|id| Some((id, time_of(id)?))) else {
            return query;
        };
        let start: Item = [
            ("id".into(), text(ID)),
            ("part".into(), text(before)),
            ("kind".into(), text(&kind(campaign))),
            ("created_at".into(), number(at)),
        ]
        .into();
        query.set_exclusive_start_key(Some(start))
    }
}

/// The id of an entry of this time; `random` tells apart entries of the same millisecond.
pub fn entry_id(at: Millis, random: u32) -> String {
    format!("{at:015}#{random:08x}")
}

/// Whether a text has the form of an entry's id.
pub fn is_entry_id(id: &str) -> bool {
    id.len() == 24 && time_of(id).is_some() && id[16..].bytes().all(|b| b.is_ascii_hexdigit())
}

fn time_of(id: &str) -> Option<Millis> {
    id.split_once('#')?.0.parse().ok()
}

/// The partition of the index with the entries of a campaign; others are in no partition of it.
fn kind(campaign: &CampaignId) -> String {
    format!("audit#{campaign}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_ids_sort_by_time() {
        let (early, late) = (entry_id(999, u32::MAX), entry_id(1_796_112_000_000, 0));
        assert!(early < late && is_entry_id(&early) && is_entry_id(&late));
        for wrong in [
            "",
            "1#0",
            "00000000000000x#00000000",
            "000000000000001#zzzzzzzz",
        ] {
            assert!(!is_entry_id(wrong), "{wrong}");
        }
    }
}
