//! Decisions about rows that nobody is sending: send them once more, or not at all.

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::ErrorInfo;
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;

use super::Ledger;
use super::transition::{with_attempt_condition, with_transition};
use crate::dynamodb::{number, send_if, text, to_attribute};
use crate::{Error, ttl};

impl Ledger {
    /// Makes an unconfirmed row due at once: no callback came in time, and the operator chose to resend.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, attempt))]
    pub async fn schedule_resend(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
    ) -> Result<bool, Error> {
        let update =
            with_attempt_condition(self.update(campaign, row), Transition::Resend, attempt)
                .update_expression("SET #state = :to REMOVE not_before");
        send_if("schedule a resend", update).await
    }

    /// Schedules another attempt at a row that was accepted and then not delivered; it is due at
    /// `not_before`.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, attempt))]
    pub async fn requeue_undelivered(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        not_before: Millis,
    ) -> Result<bool, Error> {
        let (update, states) =
            with_transition(self.update(campaign, row), Transition::RequeueUndelivered);
        let update = update
            .update_expression("SET #state = :to, not_before = :due, error_info = failure")
            .condition_expression(format!(
                "attempt = :attempt AND #state IN ({states}) AND attribute_exists(failed_at)"
            ))
            .expression_attribute_values(":attempt", number(attempt.into()))
            .expression_attribute_values(":due", number(not_before));
        send_if("requeue an undelivered row", update).await
    }

    /// Ends a row that is not to be sent: it is skipped, or abandoned if an earlier attempt may have been
    /// sent. Returns whether it was skipped. A row that is claimed or settled stays as it is.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, ?reason))]
    pub async fn skip_or_abandon(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        reason: SkipReason,
        now: Millis,
    ) -> Result<bool, Error> {
        let error = ErrorInfo::transport(reason.text());
        let skipped = self.skip(campaign, row, owner, &error, now).await?;
        if !skipped {
            self.abandon(campaign, row, &error).await?;
        }
        Ok(skipped)
    }

    async fn skip(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        error: &ErrorInfo,
        now: Millis,
    ) -> Result<bool, Error> {
        let action = "skip a row";
        let (update, states) = with_transition(self.update(campaign, row), Transition::Skip);
        let update = update
            .update_expression(
                "SET #state = :to, error_info = :error_info, attempt = if_not_exists(attempt, :none), \
                 #owner = if_not_exists(#owner, :owner), claimed_at = if_not_exists(claimed_at, :now), \
                 expires_at = :expires_at",
            )
            .condition_expression(format!(
                "attribute_not_exists(#state) OR #state IN ({states}) AND attribute_not_exists(was_unconfirmed)"
            ))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":error_info", to_attribute(action, error)?)
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires_at", number(ttl(now, self.retention_days)));
        send_if(action, update).await
    }

    async fn abandon(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        error: &ErrorInfo,
    ) -> Result<bool, Error> {
        let action = "abandon a row";
        let (update, states) = with_transition(self.update(campaign, row), Transition::Abandon);
        let update = update
            .update_expression("SET #state = :to, error_info = :error_info, abandoned = :yes")
            .condition_expression(format!(
                "#state IN ({states}) AND attribute_exists(was_unconfirmed)"
            ))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":error_info", to_attribute(action, error)?);
        send_if(action, update).await
    }
}
