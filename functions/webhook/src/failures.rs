//! Messages that were accepted and then not delivered. The decisions are the same as after a refusal.

use std::time::Duration;

use campaign::contacts::contact::{ConsentEvent, ConsentSource};
use campaign::delivery::outcome::{
    ErrorClass, ErrorInfo, GiveUpRule, Millis, NextAction, Outcome, Refusal, next_action,
};
use campaign::lifecycle::campaign::Campaign;
use tracing::instrument;
use whatsapp::error_code::{ErrorOrigin, classify_error, explain_pause};
use whatsapp::message;

use crate::Webhook;
use crate::inbound::parse_phone;
use crate::row_statuses::RowStatusUpdate;

/// The greatest age of the campaign's state for a decision.
const CAMPAIGN_MAX_AGE: Duration = Duration::from_secs(5);

/// The recipient stopped marketing messages in WhatsApp itself (Meta, "Cloud API error codes").
const MARKETING_OPT_OUT_CODE: i64 = 131_050;

impl Webhook {
    /// Acts on a failure. Requeues the row if a later attempt may succeed and the operator chose that. Pauses the campaign
    /// if every other row would fail, too. Records an opt-out if the recipient stopped marketing messages.
    #[instrument(skip_all, fields(
        campaign.id = %row.correlation_id.campaign,
        row = row.correlation_id.row,
        number = row.correlation_id.attempt,
        code = error.code,
    ))]
    pub(crate) async fn on_failure(
        &self,
        row: &RowStatusUpdate,
        at: Millis,
        error: &ErrorInfo,
    ) -> Result<(), cloud::Error> {
        let Some(code) = error.code else {
            return Ok(());
        };
        if code == MARKETING_OPT_OUT_CODE {
            self.record_marketing_opt_out(row, at, error).await?;
        }
        let id = &row.correlation_id;
        let Some(campaign) = self
            .campaign_cache
            .get_with_max_age(&id.campaign, CAMPAIGN_MAX_AGE)
            .await?
        else {
            return Ok(());
        };
        match failure_action(&campaign, id.attempt, code, error) {
            NextAction::Retry { not_before, .. } => {
                self.requeue_undelivered(&campaign, row, not_before).await
            }
            NextAction::Hold { pause, error } => {
                if is_newer(&campaign, at) {
                    self.campaign_cache
                        .pause(&campaign.id, pause, &explain_pause(&error))
                        .await?;
                }
                self.requeue_undelivered(&campaign, row, cloud::now()).await
            }
            NextAction::Accept(_) | NextAction::Reject(_) | NextAction::MarkUnconfirmed(_) => {
                Ok(())
            }
        }
    }

    /// Requeues the row if the operator chose to retry undelivered messages and the campaign's time has not run out.
    async fn requeue_undelivered(
        &self,
        campaign: &Campaign,
        row: &RowStatusUpdate,
        not_before: Millis,
    ) -> Result<(), cloud::Error> {
        if !campaign.policy.retry_undelivered || campaign.schedule.has_ended(not_before) {
            return Ok(());
        }
        let id = &row.correlation_id;
        self.ledger
            .requeue_undelivered(&id.campaign, id.row, id.attempt, not_before)
            .await?;
        // Even if the row was requeued before: that process may have died before it opened the campaign.
        self.campaign_cache
            .campaigns()
            .reopen(&campaign.id, cloud::now())
            .await
    }

    async fn record_marketing_opt_out(
        &self,
        row: &RowStatusUpdate,
        at: Millis,
        error: &ErrorInfo,
    ) -> Result<(), cloud::Error> {
        let phone = row.recipient.phone.as_deref().and_then(parse_phone);
        let user_id = row.recipient.user_id.as_deref();
        let Some(key) = self.contacts.resolve_key(phone, user_id).await? else {
            return Ok(());
        };
        let opt_out = ConsentEvent {
            at,
            suppressed: true,
            source: ConsentSource::Refusal,
            text: Some(error.title.clone()),
        };
        self.contacts.record_consent(&key, opt_out).await.map(drop)
    }
}

/// What to do after a failure. If the operator wants no retries, the rule for giving up applies at once where it would
/// pause the campaign: every other row would fail in the same way.
fn failure_action(campaign: &Campaign, attempt: u32, code: i64, error: &ErrorInfo) -> NextAction {
    let class = classify_error(code, ErrorOrigin::Callback);
    let attempt = match class {
        ErrorClass::Retry(backoff)
            if !campaign.policy.retry_undelivered
                && matches!(backoff.give_up, GiveUpRule::PauseUnless(_)) =>
        {
            backoff.max_attempts
        }
        _ => attempt,
    };
    let refusal = Refusal {
        class,
        error: error.clone(),
        retry_after: None,
    };
    let context = message::retry_context(&campaign.message, attempt, cloud::now());
    next_action(Outcome::Refused(refusal), context)
}

/// Whether something happened after the campaign's rows were last enqueued. If it happened before, it has paused the
/// campaign already, and the operator resumed it since. Meta's times are whole seconds.
pub(crate) fn is_newer(campaign: &Campaign, at: Millis) -> bool {
    campaign
        .enqueued_at
        .is_none_or(|enqueued_at| at + 999 >= enqueued_at)
}
