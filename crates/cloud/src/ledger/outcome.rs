//! How an attempt ended, as the sender knows it.

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::{Acceptance, ErrorInfo};
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;

use super::Ledger;
use super::transition::{with_acceptance_condition, with_attempt_condition};
use crate::Error;
use crate::dynamodb::{number, optional_text, send_if, text, to_attribute};

impl Ledger {
    /// Records that the API accepted the message. That may come late, after others took the row for unconfirmed.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, attempt))]
    pub async fn record_acceptance(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        acceptance: &Acceptance,
    ) -> Result<bool, Error> {
        let update = self.update(campaign, row);
        let update = with_acceptance_condition(update, Transition::Accept, attempt)
            .update_expression(
                "SET #state = :to, wamid = :wamid, wa_id = :wa_id, message_status = :status REMOVE was_unconfirmed",
            )
            .expression_attribute_values(":wamid", text(&acceptance.wamid))
            .expression_attribute_values(":wa_id", optional_text(acceptance.wa_id.as_deref()))
            .expression_attribute_values(
                ":status",
                optional_text(acceptance.message_status.as_deref()),
            );
        send_if("record an acceptance", update).await
    }

    /// Records an attempt that ended otherwise: rejected, held, or unconfirmed, as `transition` says.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, attempt, ?transition))]
    pub async fn record_outcome(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        transition: Transition,
        error: &ErrorInfo,
    ) -> Result<bool, Error> {
        let action = "record the outcome of an attempt";
        let update = with_attempt_condition(self.update(campaign, row), transition, attempt)
            .expression_attribute_values(":error_info", to_attribute(action, error)?);
        let update = if transition == Transition::MarkUnconfirmed {
            update
                .update_expression(
                    "SET #state = :to, error_info = :error_info, was_unconfirmed = :yes",
                )
                .expression_attribute_values(":yes", AttributeValue::Bool(true))
        } else {
            update.update_expression("SET #state = :to, error_info = :error_info")
        };
        send_if(action, update).await
    }

    /// Records an attempt that sent nothing; the next one is due at `not_before`.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, attempt))]
    pub async fn schedule_retry(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        not_before: Millis,
        error: &ErrorInfo,
    ) -> Result<bool, Error> {
        let action = "schedule a retry";
        let update = with_attempt_condition(self.update(campaign, row), Transition::Retry, attempt)
            .update_expression("SET #state = :to, error_info = :error_info, not_before = :due")
            .expression_attribute_values(":error_info", to_attribute(action, error)?)
            .expression_attribute_values(":due", number(not_before));
        send_if(action, update).await
    }
}
