//! The lease under which one invocation at a time reads a campaign's files.

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::Campaign;
use campaign::time::Millis;

use super::Campaigns;
use crate::Error;
use crate::dynamodb::{Update, from_item, number, send_if, text, update_if};

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
}
