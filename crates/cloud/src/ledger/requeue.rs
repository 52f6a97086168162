//! Decisions about rows that nobody is sending: send them once more, or not at all.

use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::ErrorInfo;
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;

use super::Ledger;
use crate::dynamodb::{number, text, to_attribute};
use crate::{Error, part_ttl};

impl Ledger {
    /// Makes an unconfirmed row due at once: no callback came in time, and the operator chose to resend.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, attempt))]
    pub async fn schedule_resend(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
    ) -> Result<bool, Error> {
        self.transition(campaign, row, Transition::Resend, attempt)
            .remove(&["not_before"])
            .send_if("schedule a resend")
            .await
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
        self.transition(campaign, row, Transition::RequeueUndelivered, attempt)
            .set("not_before", number(not_before))
            .copy("error_info", "failure")
            .send_if("requeue an undelivered row")
            .await
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
            // About no attempt in particular.
            self.record_outcome(campaign, row, 0, Transition::Abandon, &error)
                .await?;
        }
        Ok(skipped)
    }

    /// The same for a row that the caller has claimed for this attempt, and for which it sends nothing.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, attempt, ?reason))]
    pub async fn skip_or_abandon_claimed(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        reason: SkipReason,
    ) -> Result<bool, Error> {
        let error = ErrorInfo::transport(reason.text());
        let record = async |transition| {
            self.record_outcome(campaign, row, attempt, transition, &error)
                .await
        };
        let skipped = record(Transition::SkipClaimed).await?;
        if !skipped {
            record(Transition::AbandonClaimed).await?;
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
        self.transition(campaign, row, Transition::Skip, 0)
            .set("error_info", to_attribute(action, error)?)
            .set_first("owner", text(owner))
            .set_first("claimed_at", number(now))
            .set("expires_at", number(part_ttl(now, self.retention_days)))
            .send_if(action)
            .await
    }
}
