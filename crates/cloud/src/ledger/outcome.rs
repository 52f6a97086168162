//! How an attempt ended, as the sender knows it.

use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::{Acceptance, ErrorInfo};
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;

use super::Ledger;
use crate::Error;
use crate::dynamodb::{number, optional_text, text, to_attribute};

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
        self.transition(campaign, row, Transition::Accept, attempt)
            .set("wamid", text(&acceptance.wamid))
            .set("wa_id", optional_text(acceptance.wa_id.as_deref()))
            .set(
                "message_status",
                optional_text(acceptance.message_status.as_deref()),
            )
            .send_if("record an acceptance")
            .await
    }

    /// Records an attempt that ended otherwise, or a row that is given up, as `transition` says, and why.
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
        self.transition(campaign, row, transition, attempt)
            .set("error_info", to_attribute(action, error)?)
            .send_if(action)
            .await
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
        self.transition(campaign, row, Transition::Retry, attempt)
            .set("error_info", to_attribute(action, error)?)
            .set("not_before", number(not_before))
            .send_if(action)
            .await
    }
}
