//! Messages that were accepted and then not delivered: the same decisions as after a refusal.

use std::time::Duration;

use campaign::contacts::contact::{ConsentEvent, ConsentSource};
use campaign::delivery::outcome::{
    ErrorClass, ErrorInfo, GiveUpRule, Millis, NextAction, Outcome, Refusal, next_action,
};
use campaign::lifecycle::campaign::Campaign;
use whatsapp::error_code::{ErrorOrigin, classify_error, explain_pause};
use whatsapp::message;

use crate::Webhook;
use crate::inbound::parse_phone;
use crate::row_statuses::RowStatusUpdate;

/// How old what is known of a campaign may be here.
const CAMPAIGN_MAX_AGE: Duration = Duration::from_secs(5);

/// The person stopped marketing messages in WhatsApp itself (Meta, "Cloud API error codes").
const MARKETING_OPT_OUT_CODE: i64 = 131_050;

impl Webhook {
    /// Acts on a failure: another try later where it may help and the operator asked for it; the campaign stops where no
    /// other row would fare better; who wants no marketing is sent none.
    pub(crate) async fn on_failure(
        &self,
        row: &RowStatusUpdate,
        at: Millis,
        fault: &ErrorInfo,
    ) -> Result<(), cloud::Error> {
        let Some(code) = fault.code else {
            return Ok(());
        };
        if code == MARKETING_OPT_OUT_CODE {
            self.record_marketing_opt_out(row, at, fault).await?;
        }
        let tracker = &row.correlation_id;
        let Some(campaign) = self
            .campaign_cache
            .get_with_max_age(&tracker.campaign, CAMPAIGN_MAX_AGE)
            .await?
        else {
            return Ok(());
        };
        match failure_action(&campaign, tracker.attempt, code, fault) {
            NextAction::Retry { not_before, .. } => {
                self.requeue_undelivered(&campaign, row, not_before).await
            }
            NextAction::Hold {
                pause: stops,
                error: fault,
            } => {
                if is_newer(&campaign, at) {
                    self.campaign_cache
                        .pause(&campaign.id, stops, &explain_pause(&fault))
                        .await?;
                }
                self.requeue_undelivered(&campaign, row, cloud::now()).await
            }
            NextAction::Accept(_) | NextAction::Reject(_) | NextAction::MarkUnconfirmed(_) => {
                Ok(())
            }
        }
    }

    /// Another try, if the operator asked for it and there is time.
    async fn requeue_undelivered(
        &self,
        campaign: &Campaign,
        row: &RowStatusUpdate,
        not_before: Millis,
    ) -> Result<(), cloud::Error> {
        if !campaign.policy.retry_undelivered || campaign.schedule.has_ended(not_before) {
            return Ok(());
        }
        let tracker = &row.correlation_id;
        self.ledger
            .requeue_undelivered(&tracker.campaign, tracker.row, tracker.attempt, not_before)
            .await?;
        // Also where the row moved before: the process of that time may have died right then.
        self.campaign_cache
            .campaigns()
            .reopen(&campaign.id, cloud::now())
            .await
    }

    async fn record_marketing_opt_out(
        &self,
        row: &RowStatusUpdate,
        at: Millis,
        fault: &ErrorInfo,
    ) -> Result<(), cloud::Error> {
        let phone = row.recipient.phone.as_deref().and_then(parse_phone);
        let who = self
            .contacts
            .resolve_key(phone, row.recipient.user_id.as_deref());
        let Some(who) = who.await? else {
            return Ok(());
        };
        let word = ConsentEvent {
            at,
            suppressed: true,
            source: ConsentSource::Refusal,
            text: Some(fault.title.clone()),
        };
        self.contacts.record_consent(&who, word).await.map(drop)
    }
}

/// What a failure calls for. Where no further try is asked for, what would end the tries decides at once if it is the
/// campaign that is at fault: every other row would meet the same.
fn failure_action(campaign: &Campaign, attempt: u32, code: i64, fault: &ErrorInfo) -> NextAction {
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
        error: fault.clone(),
        retry_after: None,
    };
    let at = message::retry_context(&campaign.message, attempt, cloud::now());
    next_action(Outcome::Refused(refusal), at)
}

/// Whether something happened after the campaign's rows were put into the queue the last time: what happened before has
/// stopped it already, and somebody let it go on. Meta's times are whole seconds.
pub(crate) fn is_newer(campaign: &Campaign, at: Millis) -> bool {
    campaign
        .enqueued_at
        .is_none_or(|offered| at + 999 >= offered)
}
