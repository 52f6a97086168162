//! The campaigns table: one item per campaign (`part` = `campaign`); its counters are beside it ([`crate::counters`]).

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use campaign::id::CampaignId;
use campaign::import::ImportCounts;
use campaign::outcome::Millis;
use campaign::record::{Campaign, CampaignState};

use crate::{Error, expiry};

pub(crate) const PART: &str = "campaign";

/// The index that lists campaigns by `created_at`, and its one partition.
const BY_CREATION: &str = "by_creation";

/// The campaigns table.
#[derive(Clone, Debug)]
pub struct Campaigns {
    client: Client,
    table: String,
    retention_days: u32,
}

/// Who may split a file now.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// The caller.
    Yours(Box<Campaign>),
    /// Another invocation is at it, or did it: nothing to do.
    NotYours(CampaignState),
    /// There is no such campaign.
    Unknown,
}

impl Campaigns {
    /// The table of that name; campaigns expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Stores a new campaign.
    pub async fn create(&self, campaign: &Campaign) -> Result<(), Error> {
        let action = "create the campaign";
        let mut item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(campaign).map_err(|error| Error::new(action, error))?;
        item.insert("part".into(), text(PART));
        item.insert("kind".into(), text(PART));
        item.insert(
            "expires_at".into(),
            number(expiry(campaign.created_at, self.retention_days)),
        );
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        put.condition_expression("attribute_not_exists(id)")
            .send()
            .await
            .map(drop)
            .map_err(Error::aws(action))
    }

    /// Reads a campaign as it is now.
    pub async fn get(&self, id: &CampaignId) -> Result<Option<Campaign>, Error> {
        let action = "read the campaign";
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .consistent_read(true);
        let item = get.send().await.map_err(Error::aws(action))?.item;
        item.map(|item| read(action, item)).transpose()
    }

    /// The latest campaigns, newest first.
    pub async fn list(&self, limit: i32) -> Result<Vec<Campaign>, Error> {
        let action = "list the campaigns";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_CREATION);
        let query = query
            .key_condition_expression("kind = :kind")
            .expression_attribute_values(":kind", text(PART));
        let items = query
            .scan_index_forward(false)
            .limit(limit)
            .send()
            .await
            .map_err(Error::aws(action))?
            .items;
        items
            .unwrap_or_default()
            .into_iter()
            .map(|item| read(action, item))
            .collect()
    }

    /// Takes the split for `owner`, an invocation's request id, which Lambda keeps over its own retries of an event.
    /// A second event of the same upload finds it taken; an owner from before `stale` is taken for dead.
    pub async fn begin_split(
        &self,
        id: &CampaignId,
        owner: &str,
        now: Millis,
        stale: Millis,
    ) -> Result<Split, Error> {
        let action = "begin the split";
        let begin = self
            .update(id)
            .update_expression("SET #state = :splitting, split_owner = :owner, split_started_at = :now")
            .condition_expression(
                "#state = :awaiting OR (#state = :splitting AND (split_owner = :owner OR split_started_at < :stale))",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":awaiting", state(CampaignState::AwaitingUpload))
            .expression_attribute_values(":splitting", state(CampaignState::Splitting))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":stale", number(stale))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match begin.send().await {
            Ok(answer) => {
                let item = answer
                    .attributes
                    .ok_or_else(|| Error::new(action, "no item came back"))?;
                Ok(Split::Yours(Box::new(read(action, item)?)))
            }
            Err(error) => match refused(&error) {
                Some(Some(item)) => Ok(Split::NotYours(read(action, item)?.state)),
                Some(None) => Ok(Split::Unknown),
                None => Err(Error::aws(action)(error)),
            },
        }
    }

    /// Gives a split back that could not be ended, so that the next event may take it at once.
    pub async fn release_split(&self, id: &CampaignId, owner: &str) -> Result<(), Error> {
        let release = self
            .update(id)
            .update_expression("SET split_started_at = :never")
            .condition_expression("split_owner = :owner")
            .expression_attribute_values(":never", number(0))
            .expression_attribute_values(":owner", text(owner));
        match release.send().await {
            Ok(_) => Ok(()),
            Err(error) if refused(&error).is_some() => Ok(()),
            Err(error) => Err(Error::aws("give the split back")(error)),
        }
    }

    /// Shows how far the split is.
    pub async fn split_so_far(&self, id: &CampaignId, counts: ImportCounts) -> Result<(), Error> {
        self.counts(id, counts, false).await
    }

    /// The whole file is in the queue.
    pub async fn end_split(&self, id: &CampaignId, counts: ImportCounts) -> Result<(), Error> {
        self.counts(id, counts, true).await?;
        let splitting = [CampaignState::Splitting];
        // Not where the campaign was stopped meanwhile: then it stays so, though its file is read.
        self.enter(id, CampaignState::Sending, &splitting, None)
            .await
            .map(drop)
    }

    /// The file cannot be used; `reason` tells people why.
    pub async fn fail(&self, id: &CampaignId, reason: &str) -> Result<(), Error> {
        let before = [CampaignState::AwaitingUpload, CampaignState::Splitting];
        self.enter(id, CampaignState::Failed, &before, Some(reason))
            .await
            .map(drop)
    }

    /// No row will fare better until somebody does what `reason` says. Tells whether this call stopped it.
    pub async fn pause(&self, id: &CampaignId, reason: &str) -> Result<bool, Error> {
        let before = [CampaignState::Splitting, CampaignState::Sending];
        self.enter(id, CampaignState::Paused, &before, Some(reason))
            .await
    }

    /// A row was accepted, so the message as such is sound.
    pub async fn prove(&self, id: &CampaignId) -> Result<(), Error> {
        let prove = self
            .update(id)
            .update_expression("SET proven = :yes")
            .condition_expression("attribute_exists(id)");
        let answer = prove
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .send()
            .await;
        answer
            .map(drop)
            .map_err(Error::aws("note the first acceptance"))
    }

    async fn counts(&self, id: &CampaignId, counts: ImportCounts, done: bool) -> Result<(), Error> {
        let action = "write the import's counts";
        let counts =
            serde_dynamo::to_attribute_value(counts).map_err(|error| Error::new(action, error))?;
        let write = self
            .update(id)
            .update_expression("SET counts = :counts, split_done = :done")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":counts", counts)
            .expression_attribute_values(":done", AttributeValue::Bool(done));
        write.send().await.map(drop).map_err(Error::aws(action))
    }

    async fn enter(
        &self,
        id: &CampaignId,
        to: CampaignState,
        from: &[CampaignState],
        reason: Option<&str>,
    ) -> Result<bool, Error> {
        let mut update = self
            .update(id)
            .update_expression("SET #state = :to, reason = :reason")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":to", state(to))
            .expression_attribute_values(
                ":reason",
                reason.map_or(AttributeValue::Null(true), text),
            );
        let mut names = Vec::new();
        for (index, from) in from.iter().enumerate() {
            names.push(format!(":from{index}"));
            update = update.expression_attribute_values(format!(":from{index}"), state(*from));
        }
        let answer = update
            .condition_expression(format!("#state IN ({})", names.join(", ")))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if refused(&error).is_some() => Ok(false),
            Err(error) => Err(Error::aws("change the campaign's state")(error)),
        }
    }

    fn update(&self, id: &CampaignId) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
    }
}

type UpdateError =
    aws_sdk_dynamodb::error::SdkError<aws_sdk_dynamodb::operation::update_item::UpdateItemError>;

/// `Some` where the condition did not hold, with the item as it is, where there is one and it was asked for.
pub(crate) fn refused(error: &UpdateError) -> Option<Option<HashMap<String, AttributeValue>>> {
    use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Some(failed.item.clone()),
        _ => None,
    }
}

fn read(action: &'static str, item: HashMap<String, AttributeValue>) -> Result<Campaign, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::new(action, error))
}

fn key(id: &CampaignId) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("id".into(), text(id.as_str())),
        ("part".into(), text(PART)),
    ])
}

fn state(state: CampaignState) -> AttributeValue {
    text(state.name())
}

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
