//! The one way in which a campaign changes: [`campaign::lifecycle::apply()`] decides, and this stores the result if the campaign
//! still has the version on which that was decided. What follows from the campaign is written beside it: whether the
//! reconciler visits it, and when it expires.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use campaign::id::CampaignId;
use campaign::lifecycle::apply;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::event::{Conflict, Event, FileChange, Job};
use campaign::time::Millis;
use uuid::Uuid;

use super::{Campaigns, OPEN_CAMPAIGN, RECONCILE_KEY};
use crate::dynamodb::{Item, Update, from_item, number, text, to_item, update_if};
use crate::{Error, ErrorKind, now, ttl};

/// How often a change is decided again because another write came first.
const MAX_ATTEMPTS: usize = 20;

/// A campaign that is closed late is kept for this many days after that, so that its results can still be read.
const DAYS_AFTER_CLOSE: u32 = 7;

const ACTION: &str = "change the campaign";

/// What an event did.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The campaign as it is stored now.
    pub campaign: Campaign,
    /// Work for the splitter.
    pub job: Option<Job>,
    /// Whether anything changed.
    pub is_changed: bool,
}

/// Under which condition a change is stored, beside the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fence {
    /// None.
    None,
    /// The lease on the campaign's files is still the one with which the campaign was read.
    Lease,
}

/// A change that was decided on one version of the campaign.
enum Attempt {
    /// It is stored, or there was nothing to store.
    Done(Box<Change>),
    /// Another change came first; this is the campaign since.
    Refused(Box<Campaign>),
}

enum Write {
    Stored,
    Refused(Box<Campaign>),
    Gone,
}

impl Campaigns {
    /// Applies an event to a campaign that was read before. If the campaign has changed since, the event is decided again on
    /// what is stored; if that happens too often, this fails with [`ErrorKind::ConditionFailed`]. The outer error is that of
    /// AWS, the inner one says why the event has no effect ([`Conflict::Gone`]: there is no such campaign). Nothing is written
    /// if nothing changes. The caller enqueues the job.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id))]
    pub async fn apply(
        &self,
        campaign: &Campaign,
        event: &Event,
        now: Millis,
    ) -> Result<Result<Change, Conflict>, Error> {
        self.apply_fenced(campaign, event, Fence::None, now).await
    }

    /// Reads a campaign and applies an event to it.
    pub async fn apply_to(
        &self,
        id: &CampaignId,
        event: &Event,
        now: Millis,
    ) -> Result<Result<Change, Conflict>, Error> {
        match self.get(id).await? {
            Some(campaign) => self.apply(&campaign, event, now).await,
            None => Ok(Err(Conflict::Gone)),
        }
    }

    /// Applies an event that was decided on this very version of the campaign. Returns whether it changed the campaign;
    /// `false` also if the event is not allowed, or if another change came first: it is then not decided again.
    pub async fn apply_if_unchanged(
        &self,
        campaign: &Campaign,
        event: &Event,
        now: Millis,
    ) -> Result<bool, Error> {
        let change_id = new_change_id();
        let attempt = self.attempt(campaign, event, &change_id, Fence::None, now);
        Ok(matches!(attempt.await?, Ok(Attempt::Done(change)) if change.is_changed))
    }

    /// Stores how an import got further with a file, under the lease with which the campaign was read. Fails with
    /// [`ErrorKind::ConditionFailed`] if another invocation has acquired the lease since. The campaign is then as it is
    /// stored, also with what others have changed. Of the inner errors, [`Conflict::Superseded`] means that the file has
    /// changed: it is to be read again.
    pub async fn change_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        change: FileChange,
    ) -> Result<Result<(), Conflict>, Error> {
        let event = Event::File {
            index,
            revision: campaign.files[index].revision,
            change,
        };
        let applied = self.apply_fenced(campaign, &event, Fence::Lease, now());
        match applied.await? {
            Ok(change) => {
                *campaign = change.campaign;
                Ok(Ok(()))
            }
            Err(conflict) => Ok(Err(conflict)),
        }
    }

    async fn apply_fenced(
        &self,
        campaign: &Campaign,
        event: &Event,
        fence: Fence,
        now: Millis,
    ) -> Result<Result<Change, Conflict>, Error> {
        let change_id = new_change_id();
        let mut known = campaign.clone();
        for _ in 0..MAX_ATTEMPTS {
            if fence == Fence::Lease && known.lease_epoch != campaign.lease_epoch {
                return Err(lease_lost());
            }
            match self.attempt(&known, event, &change_id, fence, now).await? {
                Ok(Attempt::Done(change)) => return Ok(Ok(*change)),
                Ok(Attempt::Refused(newer)) => {
                    crate::sometimes!("a change that lost a race is decided again");
                    known = *newer;
                }
                Err(conflict) => return Ok(Err(conflict)),
            }
        }
        let problem = "the campaign changed during each attempt";
        Err(Error::with_kind(
            ACTION,
            ErrorKind::ConditionFailed,
            problem,
        ))
    }

    /// Decides what the event does to the campaign, and writes that if it still has this version.
    async fn attempt(
        &self,
        campaign: &Campaign,
        event: &Event,
        change_id: &str,
        fence: Fence,
        now: Millis,
    ) -> Result<Result<Attempt, Conflict>, Error> {
        let effects = match apply(campaign, event, now) {
            Ok(effects) => effects,
            Err(conflict) => return Ok(Err(conflict)),
        };
        let (job, mut next) = (effects.job, effects.campaign);
        let is_changed = next != *campaign;
        if is_changed {
            next.remember_change(change_id);
            match self.write(campaign, &next, change_id, fence).await? {
                Write::Stored => {}
                Write::Refused(newer) => return Ok(Ok(Attempt::Refused(newer))),
                Write::Gone => return Ok(Err(Conflict::Gone)),
            }
        }
        Ok(Ok(Attempt::Done(Box::new(Change {
            campaign: next,
            job,
            is_changed,
        }))))
    }

    /// Writes what differs, if the campaign has the version of `before`.
    async fn write(
        &self,
        before: &Campaign,
        after: &Campaign,
        change_id: &str,
        fence: Fence,
    ) -> Result<Write, Error> {
        let (old, new) = (
            self.to_stored_item(ACTION, before)?,
            self.to_stored_item(ACTION, after)?,
        );
        let mut condition = "version = :version".to_owned();
        let mut update = self.update(&before.id);
        if fence == Fence::Lease {
            condition += " AND lease_epoch = :epoch";
            update = update.expression_attribute_values(":epoch", number(before.lease_epoch));
        }
        let update = set_differences(update, &old, &new)
            .condition_expression(condition)
            .expression_attribute_values(":version", number(before.version))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let item = match update_if(ACTION, update).await? {
            Update::Written(_) => return Ok(Write::Stored),
            Update::ConditionFailed(Some(item)) => item,
            Update::ConditionFailed(None) => return Ok(Write::Gone),
        };
        let stored: Campaign = from_item(ACTION, item)?;
        // The SDK repeats a request if it received no response.
        if stored.recent_changes.iter().any(|id| id == change_id) {
            crate::sometimes!("a change whose response was lost is recognised");
            return Ok(Write::Stored);
        }
        Ok(Write::Refused(Box::new(stored)))
    }

    /// The item of a campaign. While it is not over, the reconciler visits it, and it does not expire.
    pub(super) fn to_stored_item(
        &self,
        action: &'static str,
        campaign: &Campaign,
    ) -> Result<Item, Error> {
        let mut item = to_item(action, campaign)?;
        match campaign.closed_at {
            None => {
                item.insert(RECONCILE_KEY.into(), text(OPEN_CAMPAIGN));
            }
            Some(closed_at) => {
                let by_age = ttl(campaign.created_at, self.retention_days);
                let expires_at = by_age.max(ttl(closed_at, DAYS_AFTER_CLOSE));
                item.insert("expires_at".into(), number(expires_at));
            }
        }
        Ok(item)
    }
}

/// Sets the attributes that differ, and removes those that are gone.
fn set_differences(
    mut update: UpdateItemFluentBuilder,
    old: &Item,
    new: &Item,
) -> UpdateItemFluentBuilder {
    let changed = new
        .iter()
        .filter(|&(name, value)| old.get(name) != Some(value));
    let changed: Vec<(&String, &AttributeValue)> = changed.collect();
    let mut set = Vec::new();
    for (index, (name, value)) in changed.into_iter().enumerate() {
        update = update
            .expression_attribute_names(format!("#set{index}"), name)
            .expression_attribute_values(format!(":set{index}"), value.clone());
        set.push(format!("#set{index} = :set{index}"));
    }
    let mut remove = Vec::new();
    let gone = old.keys().filter(|&name| !new.contains_key(name));
    for (index, name) in gone.enumerate() {
        update = update.expression_attribute_names(format!("#gone{index}"), name);
        remove.push(format!("#gone{index}"));
    }
    let mut expression = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        expression += &format!(" REMOVE {}", remove.join(", "));
    }
    update.update_expression(expression)
}

fn new_change_id() -> String {
    Uuid::now_v7().simple().to_string()
}

fn lease_lost() -> Error {
    let problem = "another invocation has taken over the campaign's files";
    Error::with_kind(ACTION, ErrorKind::ConditionFailed, problem)
}
