//! The campaigns table: one item per campaign (`part` = `campaign`); its counters ([`crate::counters`]) and its
//! imports' state ([`crate::imports`]) are beside it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{
    Campaign, CampaignFile, CampaignState, Canary, Cooldown, ImportOptions,
};
use serde::Serialize;

use crate::metrics::count_pause;
use crate::{Error, ttl};

pub(crate) const PART: &str = "campaign";

/// The index that lists campaigns by `created_at`, and its one partition.
const BY_CREATION: &str = "by_creation";

/// The index of campaigns that the sweep looks at, and its one partition: only items with the attribute are in it.
const BY_OPEN: &str = "by_open";
const OPEN: &str = "open";

/// The counters show a change within this time.
const COUNTER_LAG_MS: Millis = 600_000;

/// The campaigns table.
#[derive(Clone, Debug)]
pub struct Campaigns {
    client: Client,
    table: String,
    retention_days: u32,
}

/// Who may read a campaign's files now.
#[derive(Clone, Debug, PartialEq)]
pub enum Lease {
    /// The caller.
    Acquired(Box<Campaign>),
    /// Another invocation is at it.
    HeldByOther,
    /// There is no such campaign.
    UnknownCampaign,
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
        let put = self.put_new(campaign, PART)?;
        put.send()
            .await
            .map(drop)
            .map_err(Error::from_sdk("create the campaign"))
    }

    /// Stores what answers one message, a campaign of one row that no list shows. It may be there already.
    pub async fn create_reply(&self, campaign: &Campaign) -> Result<(), Error> {
        match self.put_new(campaign, "reply")?.send().await {
            Ok(_) => Ok(()),
            Err(error) if already_exists(&error) => Ok(()),
            Err(error) => Err(Error::from_sdk("create an answer")(error)),
        }
    }

    fn put_new(&self, campaign: &Campaign, kind: &str) -> Result<PutItemFluentBuilder, Error> {
        let action = "create the campaign";
        let mut item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(campaign).map_err(|error| Error::new(action, error))?;
        item.insert("part".into(), text(PART));
        item.insert("kind".into(), text(kind));
        // A test send has no file that could be read again.
        if campaign.files.iter().any(|file| file.info.size > 0) {
            item.insert(OPEN.into(), text(OPEN));
        }
        item.insert(
            "expires_at".into(),
            number(ttl(campaign.created_at, self.retention_days)),
        );
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        Ok(put.condition_expression("attribute_not_exists(id)"))
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
        let item = get.send().await.map_err(Error::from_sdk(action))?.item;
        item.map(|item| parse_campaign(action, item)).transpose()
    }

    /// The latest campaigns, newest first.
    pub async fn list_latest(&self, limit: i32) -> Result<Vec<Campaign>, Error> {
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
            .map_err(Error::from_sdk(action))?
            .items;
        items
            .unwrap_or_default()
            .into_iter()
            .map(|item| parse_campaign(action, item))
            .collect()
    }

    /// Every campaign, oldest first: those that lists show.
    pub async fn list_ids(&self) -> Result<Vec<CampaignId>, Error> {
        self.query_ids("list every campaign", BY_CREATION, "kind", PART)
            .await
    }

    /// Campaigns that something may be left to do about.
    pub async fn list_open_ids(&self) -> Result<Vec<CampaignId>, Error> {
        self.query_ids("list the open campaigns", BY_OPEN, OPEN, OPEN)
            .await
    }

    /// The ids in a partition of an index.
    async fn query_ids(
        &self,
        action: &'static str,
        index: &str,
        name: &str,
        value: &str,
    ) -> Result<Vec<CampaignId>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .key_condition_expression("#name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", text(value))
            .projection_expression("id");
        let mut items = query.into_paginator().items().send();
        let mut ids = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(Error::from_sdk(action))?;
            let id = item.get("id").and_then(|id| id.as_s().ok());
            ids.extend(id.and_then(|id| id.parse().ok()));
        }
        Ok(ids)
    }

    /// Nothing is left to do: the sweep need not look again. Not where a file was announced meanwhile, or a row came back
    /// so short a time ago that the counters may not show it.
    pub async fn close(&self, campaign: &Campaign, now: Millis) -> Result<bool, Error> {
        let close = self
            .update(&campaign.id)
            .update_expression("REMOVE #open")
            .condition_expression(
                "#state = :state AND size(files) = :files AND (attribute_not_exists(reopened_at) OR reopened_at < :then)",
            )
            .expression_attribute_names("#open", OPEN)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", state(campaign.state))
            .expression_attribute_values(":files", number(campaign.files.len() as u64))
            .expression_attribute_values(":then", number(now.saturating_sub(COUNTER_LAG_MS)));
        send_if(close, "close the campaign").await
    }

    /// Something is to be done again, such as a row that was not delivered and is tried again later.
    pub async fn reopen(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        let reopen = self
            .update(id)
            .update_expression("SET #open = :open, reopened_at = :now")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_names("#open", OPEN)
            .expression_attribute_values(":open", text(OPEN))
            .expression_attribute_values(":now", number(now));
        send_if(reopen, "open the campaign again").await.map(drop)
    }

    /// The API asks for a rest. A shorter one does not cut a longer one short.
    pub async fn set_cooldown(&self, id: &CampaignId, rest: &Cooldown) -> Result<(), Error> {
        let action = "note a rest";
        let update = self
            .update(id)
            .update_expression("SET cooldown = :cooldown")
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(cooldown.#until) OR cooldown.#until < :until)",
            )
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", number(rest.until))
            .expression_attribute_values(":cooldown", to_attribute(action, rest)?);
        send_if(update, action).await.map(drop)
    }

    /// Writes down how many canary rows are in the queue.
    pub async fn set_canary(&self, id: &CampaignId, canary: Canary) -> Result<(), Error> {
        let action = "write down how the canary is";
        let update = self
            .update(id)
            .update_expression("SET canary = :canary")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":canary", to_attribute(action, canary)?);
        send_if(update, action).await.map(drop)
    }

    /// The rest of the file may follow its canary rows; tells whether it waited for that.
    pub async fn release_remainder(&self, id: &CampaignId) -> Result<bool, Error> {
        let update = self
            .update(id)
            .update_expression("SET canary.released = :yes, #state = :to REMOVE reason")
            .condition_expression("#state = :from")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":to", state(CampaignState::Enqueuing))
            .expression_attribute_values(":from", state(CampaignState::Canary));
        send_if(update, "let the rest follow the canary").await
    }

    /// Its rows are in the queue as of now.
    pub async fn mark_requeued(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        self.set_time(id, "enqueued_at", now).await
    }

    /// Its ledger was read to the end.
    pub async fn mark_reconciled(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        self.set_time(id, "reconciled_at", now).await
    }

    async fn set_time(
        &self,
        id: &CampaignId,
        what: &'static str,
        now: Millis,
    ) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression(format!("SET {what} = :now"))
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":now", number(now));
        send_if(update, "note a time").await.map(drop)
    }

    /// Takes a campaign's files for `owner`, an invocation's request id, which Lambda keeps over its own retries of an
    /// event. An owner that gave no sign of life since `stale` is taken for dead.
    pub async fn acquire_lease(
        &self,
        id: &CampaignId,
        owner: &str,
        now: Millis,
        stale: Millis,
    ) -> Result<Lease, Error> {
        let action = "take the campaign's files";
        let take = self
            .update(id)
            .update_expression("SET lease_owner = :owner, lease_renewed_at = :now")
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(lease_owner) OR lease_owner = :owner OR lease_renewed_at < :stale)",
            )
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":stale", number(stale))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match take.send().await {
            Ok(answer) => {
                let item = answer
                    .attributes
                    .ok_or_else(|| Error::new(action, "no item came back"))?;
                Ok(Lease::Acquired(Box::new(parse_campaign(action, item)?)))
            }
            Err(error) => match condition_failed(&error) {
                Some(Some(_)) => Ok(Lease::HeldByOther),
                Some(None) => Ok(Lease::UnknownCampaign),
                None => Err(Error::from_sdk(action)(error)),
            },
        }
    }

    /// A sign of life; `false` where another has taken over.
    pub async fn renew_lease(
        &self,
        id: &CampaignId,
        owner: &str,
        now: Millis,
    ) -> Result<bool, Error> {
        let beat = self
            .update(id)
            .update_expression("SET lease_renewed_at = :now")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":owner", text(owner));
        send_if(beat, "show that the split goes on").await
    }

    /// Gives the files back, so that the next event may take them at once.
    pub async fn release_lease(&self, id: &CampaignId, owner: &str) -> Result<(), Error> {
        let release = self
            .update(id)
            .update_expression("REMOVE lease_owner, lease_renewed_at")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner));
        send_if(release, "give the campaign's files back")
            .await
            .map(drop)
    }

    /// Announces a file at `index`: after the last, or in the place of one that was never uploaded.
    pub async fn add_file(
        &self,
        campaign: &Campaign,
        index: usize,
        file: &CampaignFile,
    ) -> Result<bool, Error> {
        let action = "announce a file";
        let update = self
            .update(&campaign.id)
            .update_expression(format!("SET files[{index}] = :file, #open = :open"))
            .condition_expression("size(files) = :files AND #state = :state")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#open", OPEN)
            .expression_attribute_values(":open", text(OPEN))
            .expression_attribute_values(":file", to_attribute(action, file)?)
            .expression_attribute_values(":files", number(campaign.files.len() as u64))
            .expression_attribute_values(":state", state(campaign.state));
        send_if(update, action).await
    }

    /// Writes down how far a file is.
    pub async fn update_file(
        &self,
        id: &CampaignId,
        index: usize,
        file: &CampaignFile,
    ) -> Result<(), Error> {
        let action = "write down how far a file is";
        let update = self
            .update(id)
            .update_expression(format!("SET files[{index}] = :file"))
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":file", to_attribute(action, file)?);
        send_if(update, action).await.map(drop)
    }

    /// Changes how files are read. They must be read again then.
    pub async fn set_options(&self, id: &CampaignId, options: &ImportOptions) -> Result<(), Error> {
        let action = "change the options";
        let update = self
            .update(id)
            .update_expression("SET options = :options")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":options", to_attribute(action, options)?);
        send_if(update, action).await.map(drop)
    }

    /// Moves the campaign to `to` where it is in one of `from`; tells whether it was.
    pub async fn transition(
        &self,
        id: &CampaignId,
        to: CampaignState,
        from: &[CampaignState],
        reason: Option<&str>,
    ) -> Result<bool, Error> {
        let update = self
            .update(id)
            .update_expression("SET #state = :to, reason = :reason")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":to", state(to))
            .expression_attribute_values(
                ":reason",
                reason.map_or(AttributeValue::Null(true), text),
            );
        let (update, states) = in_list(update, from.iter().map(|state| state.name()));
        let update = update.condition_expression(format!("#state IN ({states})"));
        send_if(update, "change the campaign's state").await
    }

    /// No row will fare better until somebody does what `reason` says. Tells whether this call stopped it; then the log and
    /// an alarm tell people.
    pub async fn pause(&self, id: &CampaignId, reason: &str) -> Result<bool, Error> {
        let before = [
            CampaignState::Enqueuing,
            CampaignState::Canary,
            CampaignState::Sending,
        ];
        let stopped = self
            .transition(id, CampaignState::Paused, &before, Some(reason))
            .await?;
        if stopped {
            tracing::error!(campaign.id = %id, "campaign paused: {reason}");
            count_pause();
        }
        Ok(stopped)
    }

    /// A row was accepted, so the message as such is sound.
    pub async fn mark_accepted(&self, id: &CampaignId) -> Result<(), Error> {
        let prove = self
            .update(id)
            .update_expression("SET has_acceptance = :yes")
            .condition_expression("attribute_exists(id)");
        let answer = prove
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .send()
            .await;
        answer
            .map(drop)
            .map_err(Error::from_sdk("note the first acceptance"))
    }

    fn update(&self, id: &CampaignId) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
    }
}

/// The states that a condition allows, as a list for `IN`: their values are set on the way.
pub(crate) fn in_list<'s>(
    mut update: UpdateItemFluentBuilder,
    states: impl Iterator<Item = &'s str>,
) -> (UpdateItemFluentBuilder, String) {
    let mut names = Vec::new();
    for (index, state) in states.enumerate() {
        let name = format!(":from{index}");
        update = update.expression_attribute_values(&name, text(state));
        names.push(name);
    }
    (update, names.join(", "))
}

/// Whether the condition held.
pub(crate) async fn send_if(
    update: UpdateItemFluentBuilder,
    action: &'static str,
) -> Result<bool, Error> {
    match update.send().await {
        Ok(_) => Ok(true),
        Err(error) if condition_failed(&error).is_some() => Ok(false),
        Err(error) => Err(Error::from_sdk(action)(error)),
    }
}

type UpdateError =
    aws_sdk_dynamodb::error::SdkError<aws_sdk_dynamodb::operation::update_item::UpdateItemError>;

/// `Some` where the condition did not hold, with the item as it is, where there is one and it was asked for.
pub(crate) fn condition_failed(
    error: &UpdateError,
) -> Option<Option<HashMap<String, AttributeValue>>> {
    use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Some(failed.item.clone()),
        _ => None,
    }
}

/// Whether the condition of a put did not hold.
pub(crate) fn already_exists(
    error: &aws_sdk_dynamodb::error::SdkError<aws_sdk_dynamodb::operation::put_item::PutItemError>,
) -> bool {
    use aws_sdk_dynamodb::operation::put_item::PutItemError;
    matches!(
        error.as_service_error(),
        Some(PutItemError::ConditionalCheckFailedException(_))
    )
}

fn parse_campaign(
    action: &'static str,
    item: HashMap<String, AttributeValue>,
) -> Result<Campaign, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::new(action, error))
}

fn key(id: &CampaignId) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("id".into(), text(id.as_str())),
        ("part".into(), text(PART)),
    ])
}

/// Any value as an attribute.
pub(crate) fn to_attribute<T: Serialize>(
    action: &'static str,
    value: T,
) -> Result<AttributeValue, Error> {
    serde_dynamo::to_attribute_value(value).map_err(|error| Error::new(action, error))
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
