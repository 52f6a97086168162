//! Messages that were accepted and then not delivered: the same decisions as after a refusal.

use std::time::Duration;

use campaign::contact::{Consent, Source};
use campaign::outcome::{Class, Fault, GiveUp, Millis, Outcome, Refusal, Step, next_step};
use campaign::record::Campaign;
use whatsapp::code::{Seen, classify, reason};
use whatsapp::message;

use crate::Webhook;
use crate::fold::RowReports;
use crate::people::number;

/// How old what is known of a campaign may be here.
const FRESH: Duration = Duration::from_secs(5);

/// The person stopped marketing messages in WhatsApp itself (Meta, "Cloud API error codes").
const STOPPED_MARKETING: i64 = 131_050;

impl Webhook {
    /// Acts on a failure: another try later where it may help and the operator asked for it; the campaign stops where no
    /// other row would fare better; who wants no marketing is sent none.
    pub(crate) async fn failed(
        &self,
        row: &RowReports,
        at: Millis,
        fault: &Fault,
    ) -> Result<(), cloud::Error> {
        let Some(code) = fault.code else {
            return Ok(());
        };
        if code == STOPPED_MARKETING {
            self.suppress(row, at, fault).await?;
        }
        let tracker = &row.tracker;
        let Some(campaign) = self.known.younger_than(&tracker.campaign, FRESH).await? else {
            return Ok(());
        };
        match decide(&campaign, tracker.attempt, code, fault) {
            Step::Retry { not_before, .. } => self.offer_again(&campaign, row, not_before).await,
            Step::Hold { stops, fault } => {
                if is_news(&campaign, at) {
                    self.known
                        .pause(&campaign.id, stops, &reason(&fault))
                        .await?;
                }
                self.offer_again(&campaign, row, cloud::now()).await
            }
            Step::Accept(_) | Step::Reject(_) | Step::Doubt(_) => Ok(()),
        }
    }

    /// Another try, if the operator asked for it and there is time.
    async fn offer_again(
        &self,
        campaign: &Campaign,
        row: &RowReports,
        not_before: Millis,
    ) -> Result<(), cloud::Error> {
        if !campaign.policy.retry_undelivered || campaign.window.is_over(not_before) {
            return Ok(());
        }
        let tracker = &row.tracker;
        self.ledger
            .reoffer(&tracker.campaign, tracker.row, tracker.attempt, not_before)
            .await?;
        // Also where the row moved before: the process of that time may have died right then.
        self.known
            .campaigns()
            .reopen(&campaign.id, cloud::now())
            .await
    }

    async fn suppress(
        &self,
        row: &RowReports,
        at: Millis,
        fault: &Fault,
    ) -> Result<(), cloud::Error> {
        let phone = row.recipient.phone.as_deref().and_then(number);
        let who = self.contacts.who(phone, row.recipient.user_id.as_deref());
        let Some(who) = who.await? else {
            return Ok(());
        };
        let word = Consent {
            at,
            suppressed: true,
            source: Source::Refusal,
            text: Some(fault.title.clone()),
        };
        self.contacts.tell(&who, word).await.map(drop)
    }
}

/// What a failure calls for. Where no further try is asked for, what would end the tries decides at once if it is the
/// campaign that is at fault: every other row would meet the same.
fn decide(campaign: &Campaign, attempt: u32, code: i64, fault: &Fault) -> Step {
    let class = classify(code, Seen::Callback);
    let attempt = match class {
        Class::Again(backoff)
            if !campaign.policy.retry_undelivered
                && matches!(backoff.then, GiveUp::StopUnless(_)) =>
        {
            backoff.tries
        }
        _ => attempt,
    };
    let refusal = Refusal {
        class,
        fault: fault.clone(),
        wait: None,
    };
    let at = message::circumstances(&campaign.message, attempt, cloud::now());
    next_step(Outcome::Refused(refusal), at)
}

/// Whether something happened after the campaign's rows were put into the queue the last time: what happened before has
/// stopped it already, and somebody let it go on. Meta's times are whole seconds.
pub(crate) fn is_news(campaign: &Campaign, at: Millis) -> bool {
    campaign
        .offered_at
        .is_none_or(|offered| at + 999 >= offered)
}
