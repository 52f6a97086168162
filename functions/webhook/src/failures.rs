//! Messages that were accepted and then not delivered. The decisions are the same as after a refusal.

use std::time::Duration;

use campaign::contacts::contact::{ConsentEvent, ConsentSource};
use campaign::delivery::outcome::{
    ErrorClass, ErrorInfo, GiveUpRule, NextAction, Outcome, PauseScope, Refusal, next_action,
};
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::event::Event;
use campaign::time::Millis;
use tracing::{error, instrument};
use whatsapp::error_code::{
    ErrorOrigin, TEMPLATE_PAUSED_CODE, classify_error, explain_dropped, explain_pause,
};
use whatsapp::message;

use crate::Webhook;
use crate::inbound::parse_phone;
use crate::row_statuses::RowStatusUpdate;

/// The greatest age of the campaign's state for a decision.
const CAMPAIGN_MAX_AGE: Duration = Duration::from_secs(5);

/// The recipient stopped marketing messages in WhatsApp itself (Meta, "Cloud API error codes").
const MARKETING_OPT_OUT_CODE: i64 = 131_050;

/// The `message_status` of a message that WhatsApp accepted and holds back for now (Meta, "Template pacing").
const HELD: &str = "held_for_quality_assessment";

impl Webhook {
    /// Acts on a failure. Requeues the row if a later attempt may succeed and the operator chose that. Pauses the campaign
    /// if every other row would fail, too. Records an opt-out if the recipient stopped marketing messages. A row that was
    /// held and then dropped is not requeued: it would meet the same judgement.
    #[instrument(skip_all, fields(
        campaign.id = %row.correlation_id.campaign,
        row = row.correlation_id.row,
        attempt = row.correlation_id.attempt,
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
        let was_held = code == TEMPLATE_PAUSED_CODE && self.was_held(row).await?;
        match failure_action(&campaign, id.attempt, code, was_held, error) {
            NextAction::Retry { not_before, .. } => {
                self.requeue_undelivered(&campaign, row, not_before).await
            }
            NextAction::Hold { pause, error } => {
                let reason = match was_held {
                    true => explain_dropped(&error),
                    false => explain_pause(&error),
                };
                self.pause(&campaign, row, pause, &reason, at).await?;
                if was_held {
                    return Ok(());
                }
                self.requeue_undelivered(&campaign, row, cloud::now()).await
            }
            NextAction::Accept(_) | NextAction::Reject(_) | NextAction::MarkUnconfirmed { .. } => {
                Ok(())
            }
        }
    }

    /// Pauses what would fail in the same way, unless an operator has resumed it since `at`.
    async fn pause(
        &self,
        campaign: &Campaign,
        row: &RowStatusUpdate,
        scope: PauseScope,
        reason: &str,
        at: Millis,
    ) -> Result<(), cloud::Error> {
        let (cache, id) = (&self.campaign_cache, &campaign.id);
        match scope {
            PauseScope::Number => {
                let number = row.number.as_ref().unwrap_or(&self.numbers.first().id);
                return self.pause_number(number, reason, at).await;
            }
            PauseScope::Campaign | PauseScope::Account if !is_newer(campaign, at) => {}
            PauseScope::Campaign => cache.pause(id, reason).await?,
            PauseScope::Account => {
                if cache.pause_for_account(id, reason).await? {
                    cache.pause_others(id, reason).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether WhatsApp accepted the row's message only to hold it back.
    async fn was_held(&self, row: &RowStatusUpdate) -> Result<bool, cloud::Error> {
        let id = &row.correlation_id;
        let stored = self.ledger.get_row(&id.campaign, id.row).await?;
        Ok(stored.is_some_and(|stored| {
            stored.attempt == id.attempt && stored.message_status.as_deref() == Some(HELD)
        }))
    }

    /// Requeues the row if the operator chose to retry undelivered messages and the campaign's time has not run out.
    async fn requeue_undelivered(
        &self,
        campaign: &Campaign,
        row: &RowStatusUpdate,
        not_before: Millis,
    ) -> Result<(), cloud::Error> {
        if !campaign.policy.retry_undelivered {
            return Ok(());
        }
        // First, and whatever follows: a process may have died when it had requeued the row, and a row that is due after the
        // campaign's end is settled by the reconciler.
        let campaigns = self.campaign_cache.campaigns();
        let reopened = campaigns.apply_to(&campaign.id, &Event::Reopen, cloud::now());
        reopened.await?.ok();
        if campaign.has_ended(not_before) {
            return Ok(());
        }
        let id = &row.correlation_id;
        let is_requeued = self
            .ledger
            .requeue_undelivered(&id.campaign, id.row, id.attempt, not_before)
            .await?;
        if is_requeued {
            cloud::sometimes!("a message that was not delivered is scheduled again");
        }
        Ok(())
    }

    async fn record_marketing_opt_out(
        &self,
        row: &RowStatusUpdate,
        at: Millis,
        error: &ErrorInfo,
    ) -> Result<(), cloud::Error> {
        let phone = match row.recipient.phone.as_deref().and_then(parse_phone) {
            Some(phone) => Some(phone),
            None => self.row_phone(row).await?,
        };
        let user_id = row.recipient.user_id.as_deref();
        let Some(key) = self.contacts.resolve_key(phone, user_id).await? else {
            error!(
                "a recipient stopped marketing, but neither the callback nor the row names the number"
            );
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

    /// The number that the row was sent to: since 2026 a callback may name no recipient.
    async fn row_phone(&self, row: &RowStatusUpdate) -> Result<Option<Phone>, cloud::Error> {
        let id = &row.correlation_id;
        let stored = self.ledger.get_row(&id.campaign, id.row).await?;
        Ok(stored.and_then(|stored| parse_phone(stored.wa_id.as_deref()?)))
    }
}

/// What to do after a failure. If the operator wants no retries, the rule for giving up applies at once where it would
/// pause the campaign: every other row would fail in the same way.
fn failure_action(
    campaign: &Campaign,
    attempt: u32,
    code: i64,
    was_held: bool,
    error: &ErrorInfo,
) -> NextAction {
    let class = classify_error(code, ErrorOrigin::Callback { was_held });
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
