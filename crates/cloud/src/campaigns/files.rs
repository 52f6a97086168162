//! A campaign's files, and the lease under which one invocation at a time reads them.

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignFile, ImportOptions};
use campaign::time::Millis;

use super::{Campaigns, OPEN_CAMPAIGN, state_value};
use crate::dynamodb::{Update, from_item, number, send_if, text, to_attribute, update_if};
use crate::{Error, ErrorKind};

/// The result of asking for the lease on a campaign's files.
#[derive(Clone, Debug, PartialEq)]
pub enum Lease {
    /// The caller has it.
    Acquired(Box<Campaign>),
    /// Another invocation has it.
    HeldByOther,
    /// There is no such campaign.
    UnknownCampaign,
}

impl Campaigns {
    /// Acquires the lease for `owner`: an invocation's request id, which Lambda keeps when it retries an
    /// event. A lease that was not renewed since `expired_before` is free.
    #[tracing::instrument(skip_all, fields(campaign.id = %id))]
    pub async fn acquire_lease(
        &self,
        id: &CampaignId,
        owner: &str,
        now: Millis,
        expired_before: Millis,
    ) -> Result<Lease, Error> {
        let action = "acquire the lease on the campaign's files";
        let update = self
            .update(id)
            .update_expression(
                "SET lease_owner = :owner, lease_renewed_at = :now, \
                 lease_epoch = if_not_exists(lease_epoch, :none) + :one",
            )
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(lease_owner) \
                 OR lease_owner = :owner OR lease_renewed_at < :expired)",
            )
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expired", number(expired_before))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update_if(action, update).await? {
            Update::Written(Some(item)) => Ok(Lease::Acquired(Box::new(from_item(action, item)?))),
            Update::Written(None) => Err(Error::new(action, "the response has no item")),
            Update::ConditionFailed(Some(_)) => Ok(Lease::HeldByOther),
            Update::ConditionFailed(None) => Ok(Lease::UnknownCampaign),
        }
    }

    /// Renews the lease; `false` if another invocation has acquired it.
    pub async fn renew_lease(
        &self,
        id: &CampaignId,
        owner: &str,
        now: Millis,
    ) -> Result<bool, Error> {
        let update = self
            .update(id)
            .update_expression("SET lease_renewed_at = :now")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":owner", text(owner));
        send_if("renew the lease on the campaign's files", update).await
    }

    /// Releases the lease, so that the next event can acquire it at once.
    pub async fn release_lease(&self, id: &CampaignId, owner: &str) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression("REMOVE lease_owner, lease_renewed_at")
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(owner));
        let released = send_if("release the lease on the campaign's files", update).await;
        released.map(drop)
    }

    /// Adds a file at `index`: behind the last one, or in place of one that was never uploaded. `false` if
    /// the campaign has changed in the meantime.
    pub async fn add_file(
        &self,
        campaign: &Campaign,
        index: usize,
        file: &CampaignFile,
    ) -> Result<bool, Error> {
        let action = "add a file to the campaign";
        let update = self
            .update(&campaign.id)
            .update_expression(format!("SET files[{index}] = :file, reconcile_key = :open"))
            .condition_expression("size(files) = :files AND #state = :state")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":open", text(OPEN_CAMPAIGN))
            .expression_attribute_values(":file", to_attribute(action, file)?)
            .expression_attribute_values(":files", number(campaign.files.len() as u64))
            .expression_attribute_values(":state", state_value(campaign.state));
        send_if(action, update).await
    }

    /// Stores the progress of a file, under the lease with which the campaign was read. Fails with
    /// [`ErrorKind::ConditionFailed`] if another invocation has acquired the lease since, or has stored the file.
    pub async fn update_file(&self, campaign: &mut Campaign, index: usize) -> Result<(), Error> {
        let action = "store the progress of a file";
        let file = &mut campaign.files[index];
        let former = file.revision;
        file.revision += 1;
        let update = self
            .update(&campaign.id)
            .update_expression(format!("SET files[{index}] = :file"))
            .condition_expression(format!(
                "lease_epoch = :epoch AND files[{index}].revision = :former"
            ))
            .expression_attribute_values(":file", to_attribute(action, &*file)?)
            .expression_attribute_values(":epoch", number(campaign.lease_epoch))
            .expression_attribute_values(":former", number(former))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Update::ConditionFailed(item) = update_if(action, update).await? else {
            return Ok(());
        };
        let stored: Option<Campaign> = item.map(|item| from_item(action, item)).transpose()?;
        // The SDK repeats a request if it received no response.
        if stored.is_some_and(|stored| stored.files.get(index) == Some(&*file)) {
            crate::sometimes!("a file whose response was lost is recognised");
            return Ok(());
        }
        let problem = "another invocation has taken over the campaign's files";
        Err(Error::with_kind(
            action,
            ErrorKind::ConditionFailed,
            problem,
        ))
    }

    /// Changes how files are parsed. Files that were validated must be validated again.
    pub async fn set_options(&self, id: &CampaignId, options: &ImportOptions) -> Result<(), Error> {
        let action = "change the import options";
        let update = self
            .update(id)
            .update_expression("SET options = :options")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":options", to_attribute(action, options)?);
        send_if(action, update).await.map(drop)
    }
}
