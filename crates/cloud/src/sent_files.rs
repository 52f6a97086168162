//! Which content each campaign began to send: a hash of a file's rows and message. The same content is refused for 24 hours.
//! Items of the campaigns table, which expire after two days: `id` = `sent_file#{hash}`, `part` = `sent_file`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use campaign::id::CampaignId;
use campaign::time::Millis;
use serde::Deserialize;

use crate::dynamodb::{Item, Update, from_item, get_value, number, text, update_if};
use crate::{Error, ttl};

const PART: &str = "sent_file";

/// For so long, the same rows with the same message are taken for a mistake.
const REMEMBERED_MS: Millis = 24 * 3_600_000;

/// What was sent lately.
#[derive(Clone, Debug)]
pub struct SentFiles {
    client: Client,
    table: String,
}

/// The campaign that sent the same, and when it began.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SentFile {
    /// The campaign.
    pub campaign: CampaignId,
    /// When it began to send it.
    pub sent_at: Millis,
}

impl SentFiles {
    /// The table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The other campaign that began to send the same within the 24 hours before `at`, when this one begins. It reserves
    /// nothing: [`SentFiles::claim`] decides.
    pub async fn find(
        &self,
        hash: &str,
        campaign: &CampaignId,
        at: Millis,
    ) -> Result<Option<SentFile>, Error> {
        let get = self.client.get_item().table_name(&self.table);
        let get = get.set_key(Some(key(hash)));
        let found: Option<SentFile> = get_value("find a sent file", get).await?;
        Ok(found.filter(|found| found.campaign != *campaign && found.sent_at + REMEMBERED_MS > at))
    }

    /// Notes that the campaign begins to send it. If another campaign did so within the last 24 hours, this returns
    /// that one and stores nothing, unless `allow_repeat` is set. A campaign's own earlier claim is renewed.
    pub async fn claim(
        &self,
        hash: &str,
        campaign: &CampaignId,
        allow_repeat: bool,
        now: Millis,
    ) -> Result<Option<SentFile>, Error> {
        let action = "note a sent file";
        let then = match allow_repeat {
            true => now,
            false => now.saturating_sub(REMEMBERED_MS),
        };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(hash)))
            .update_expression("SET campaign = :campaign, sent_at = :now, expires_at = :expires_at")
            .condition_expression(
                "attribute_not_exists(id) OR campaign = :campaign OR sent_at <= :then",
            )
            .expression_attribute_values(":campaign", text(campaign.as_str()))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":then", number(then))
            .expression_attribute_values(":expires_at", number(ttl(now, 2)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update_if(action, update).await? {
            Update::Written(_) | Update::ConditionFailed(None) => Ok(None),
            Update::ConditionFailed(Some(item)) => Ok(Some(from_item(action, item)?)),
        }
    }
}

fn key(hash: &str) -> Item {
    [
        ("id".into(), text(&format!("sent_file#{hash}"))),
        ("part".into(), text(PART)),
    ]
    .into()
}
