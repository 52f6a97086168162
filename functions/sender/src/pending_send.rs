//! One send and its record. It runs in its own task, so a slow response delays no other send.
//!
//! The record is repeated until the invocation must end. What goes with it (a pause, a cooldown, that the campaign has an
//! acceptance) runs beside it or after it: an error there never changes what is recorded for the row.

use std::sync::Arc;

use campaign::delivery::ledger::Transition;
use campaign::delivery::number_suspension::NumberPause;
use campaign::delivery::outcome::{
    Acceptance, ErrorClass, ErrorInfo, NextAction, Outcome, PauseScope, RetryContext,
    ThrottleScope, next_action,
};
use campaign::id::{CampaignId, CorrelationId, NumberId};
use campaign::lifecycle::campaign::{Cooldown, PausedBy};
use campaign::time::Millis;
use cloud::Error;
use cloud::campaign_cache::CampaignCache;
use cloud::contacts::Contacts;
use cloud::ledger::Ledger;
use cloud::number_records::NumberRecords;
use cloud::rates::RateKeeper;
use cloud::secrets::Secrets;
use secrecy::{ExposeSecret, SecretString};
use tracing::{error, instrument};
use whatsapp::client::{Client, NoConnection};
use whatsapp::error_code::explain_pause;
use whatsapp::message;

use crate::persist::persist;
use crate::send_backend::{Departure, DepartureSignal, PaceSignal, PendingSend, SendResult};
use crate::send_stats::SendOutcome;

/// What a send needs: the Cloud API, its token, and the tables that record the outcome.
#[derive(Debug)]
pub(crate) struct SendClients {
    pub(crate) campaign_cache: CampaignCache,
    pub(crate) contacts: Contacts,
    pub(crate) ledger: Ledger,
    /// The number of the sends.
    pub(crate) number: NumberId,
    pub(crate) number_records: NumberRecords,
    pub(crate) rate: RateKeeper,
    pub(crate) secrets: Secrets,
    pub(crate) whatsapp: Client,
}

impl SendClients {
    /// Sends the message and records the outcome. If the record fails to the end, the row stays claimed: it is visible
    /// there, and it is not sent again unless the operator chose that for unconfirmed rows.
    #[instrument(skip_all, fields(campaign.id = %pending.campaign.id, row = pending.row.row, attempt = pending.attempt))]
    pub(crate) async fn send(
        &self,
        pending: PendingSend,
        departure: DepartureSignal,
    ) -> SendResult {
        let Ok(outcome) = self.call_api(&pending, &departure).await else {
            departure.send(Departure::NoConnection(Box::new(pending)));
            return SendResult::default();
        };
        if let Outcome::NotSent(_) = &outcome {
            cloud::sometimes!("a send ended before its request was written");
        }
        let action = self.decide(&pending, outcome).await;
        match self.record(pending, action).await {
            Ok(result) => result,
            Err(error) => {
                error!("the outcome was not recorded: {error}");
                SendResult::default()
            }
        }
    }

    async fn call_api(
        &self,
        pending: &PendingSend,
        departure: &DepartureSignal,
    ) -> Result<Outcome, NoConnection> {
        let correlation_id = CorrelationId {
            campaign: pending.campaign.id.clone(),
            row: pending.row.row,
            attempt: pending.attempt,
        };
        let (choice, values) = (pending.message_choice, &pending.row.values);
        let filled = pending.campaign.fill_message(choice, values);
        let request = message::build_request(filled, pending.row.to, &correlation_id);
        let departure = departure.clone();
        let on_departure = Arc::new(move || departure.send(Departure::OnTheWire));
        self.whatsapp
            .send(&pending.token, &request, pending.leave_by, on_departure)
            .await
    }

    /// Decides what follows. A token that was refused because of a rotation is no reason to pause.
    async fn decide(&self, pending: &PendingSend, outcome: Outcome) -> NextAction {
        if let Outcome::Refused(refusal) = &outcome
            && refusal.class == ErrorClass::InvalidToken
            && self.token_was_rotated(&pending.token).await
        {
            return NextAction::Retry {
                not_before: cloud::now(),
                error: refusal.error.clone(),
                scope: ThrottleScope::Row,
            };
        }
        next_action(outcome, retry_context(pending))
    }

    async fn record(&self, pending: PendingSend, action: NextAction) -> Result<SendResult, Error> {
        match action {
            NextAction::Accept(acceptance) => self.record_acceptance(&pending, acceptance).await,
            NextAction::Reject(error) => {
                self.record_outcome(&pending, Transition::Reject, &error)
                    .await?;
                Ok(result_of(SendOutcome::Rejected))
            }
            NextAction::MarkUnconfirmed { error, scope } => {
                self.record_outcome(&pending, Transition::MarkUnconfirmed, &error)
                    .await?;
                Ok(SendResult {
                    pace_signal: pace_signal(scope),
                    ..result_of(SendOutcome::Unconfirmed)
                })
            }
            NextAction::Hold { error, pause } => self.record_hold(&pending, &error, pause).await,
            NextAction::Retry {
                not_before,
                error,
                scope,
            } => self.record_retry(pending, not_before, &error, scope).await,
        }
    }

    async fn record_acceptance(
        &self,
        pending: &PendingSend,
        acceptance: Acceptance,
    ) -> Result<SendResult, Error> {
        let (id, row) = (&pending.campaign.id, pending.row.row);
        let is_recorded = persist(pending.record_until, || {
            self.ledger
                .record_acceptance(id, row, pending.attempt, &acceptance)
        })
        .await?;
        if !is_recorded {
            cloud::sometimes!("an acceptance finds that its row has moved on");
        }
        self.link_user_id(pending, acceptance.user_id).await;
        if !pending.campaign.has_acceptance {
            self.mark_accepted(id).await;
        }
        Ok(SendResult {
            pace_signal: PaceSignal::Accepted,
            ..result_of(SendOutcome::Accepted)
        })
    }

    /// Stores that the campaign has an acceptance. If this fails, the next acceptance stores it.
    async fn mark_accepted(&self, id: &CampaignId) {
        if let Err(error) = self.campaign_cache.mark_accepted(id).await {
            error!("the campaign's first acceptance was not stored: {error}");
        }
    }

    /// Links the recipient's number to the business-scoped id that Meta returned: callbacks may carry nothing but that
    /// id. If this fails, the next send to the recipient links it.
    async fn link_user_id(&self, pending: &PendingSend, user_id: Option<String>) {
        let Some(user_id) = user_id.filter(|id| pending.user_id.as_ref() != Some(id)) else {
            return;
        };
        let linked = self
            .contacts
            .link_user_id(pending.row.to, &user_id, cloud::now());
        if let Err(error) = linked.await {
            error!("the recipient's id was not linked to the number: {error}");
        }
    }

    /// Pauses and holds the row at the same time: until the pause is stored, every further send is refused, too, and
    /// until the row is held, it looks as if it might have been sent. If only the row is held, it is sent again later, and
    /// refused, and that pauses the campaign.
    async fn record_hold(
        &self,
        pending: &PendingSend,
        error: &ErrorInfo,
        scope: PauseScope,
    ) -> Result<SendResult, Error> {
        let (paused, held) = tokio::join!(
            self.pause(pending, error, scope),
            self.record_outcome(pending, Transition::Hold, error)
        );
        if let Err(error) = paused {
            error!("the pause was not stored: {error}");
        }
        held?;
        Ok(result_of(SendOutcome::Held))
    }

    async fn pause(
        &self,
        pending: &PendingSend,
        error: &ErrorInfo,
        scope: PauseScope,
    ) -> Result<(), Error> {
        let (id, reason) = (&pending.campaign.id, &explain_pause(error));
        let (until, campaigns) = (pending.record_until, &self.campaign_cache);
        match scope {
            PauseScope::Campaign => persist(until, || campaigns.pause(id, reason)).await,
            PauseScope::Number => persist(until, || self.pause_number(reason)).await,
            PauseScope::Account => {
                if persist(until, || campaigns.pause_for_account(id, reason)).await? {
                    persist(until, || campaigns.pause_others(id, reason)).await?;
                }
                Ok(())
            }
        }
    }

    async fn pause_number(&self, reason: &str) -> Result<(), Error> {
        cloud::sometimes!("an error of the number pauses the number");
        let pause = NumberPause {
            reason: reason.to_owned(),
            by: PausedBy::Crier,
            at: cloud::now(),
        };
        let paused = self.number_records.pause(&self.number, &pause, None);
        paused.await?;
        self.rate.forget().await;
        Ok(())
    }

    async fn record_retry(
        &self,
        pending: PendingSend,
        not_before: Millis,
        error: &ErrorInfo,
        scope: ThrottleScope,
    ) -> Result<SendResult, Error> {
        let (id, row) = (&pending.campaign.id, pending.row.row);
        let (cooling_down, scheduled) = tokio::join!(
            self.start_cooldown(&pending, not_before, error, scope),
            persist(pending.record_until, || {
                self.ledger
                    .schedule_retry(id, row, pending.attempt, not_before, error)
            })
        );
        if let Err(error) = cooling_down {
            error!("the cooldown was not stored: {error}");
        }
        scheduled?;
        Ok(SendResult {
            pace_signal: pace_signal(scope),
            // Even if the write found the row changed: an earlier try, whose response was lost, may have changed it. A
            // settled row in the queue costs one read.
            retry: Some((not_before, pending.row)),
            outcome: Some(SendOutcome::Retried),
        })
    }

    /// Starts a cooldown of the campaign or the number, if that is what the error asks for.
    async fn start_cooldown(
        &self,
        pending: &PendingSend,
        until: Millis,
        error: &ErrorInfo,
        scope: ThrottleScope,
    ) -> Result<(), Error> {
        let cooldown = Cooldown {
            until,
            reason: explain_pause(error),
        };
        let (id, record_until) = (&pending.campaign.id, pending.record_until);
        match scope {
            ThrottleScope::Row | ThrottleScope::Slot => Ok(()),
            ThrottleScope::Campaign => {
                persist(record_until, || {
                    self.campaign_cache.start_cooldown(id, &cooldown)
                })
                .await
            }
            ThrottleScope::Number => {
                cloud::sometimes!("the cooldown of a number begins");
                persist(record_until, || {
                    self.number_records.start_cooldown(&self.number, &cooldown)
                })
                .await?;
                self.rate.forget().await;
                Ok(())
            }
        }
    }

    async fn record_outcome(
        &self,
        pending: &PendingSend,
        transition: Transition,
        error: &ErrorInfo,
    ) -> Result<(), Error> {
        let (id, row) = (&pending.campaign.id, pending.row.row);
        let is_recorded = persist(pending.record_until, || {
            self.ledger
                .record_outcome(id, row, pending.attempt, transition, error)
        })
        .await?;
        if !is_recorded {
            cloud::sometimes!("an outcome finds that its row is no longer claimed");
        }
        Ok(())
    }

    /// Whether the secret holds another token by now: then the refused one was rotated, not revoked.
    async fn token_was_rotated(&self, token: &SecretString) -> bool {
        match self.secrets.refresh().await {
            Ok(secret) => secret.access_token.expose_secret() != token.expose_secret(),
            Err(_) => false,
        }
    }
}

fn pace_signal(scope: ThrottleScope) -> PaceSignal {
    match scope {
        ThrottleScope::Slot => PaceSignal::Throttled,
        ThrottleScope::Row | ThrottleScope::Campaign | ThrottleScope::Number => PaceSignal::None,
    }
}

fn result_of(outcome: SendOutcome) -> SendResult {
    SendResult {
        outcome: Some(outcome),
        ..SendResult::default()
    }
}

fn retry_context(pending: &PendingSend) -> RetryContext {
    let message = pending.campaign.chosen_message(pending.message_choice);
    RetryContext {
        has_acceptance: pending.campaign.has_acceptance,
        jitter: rand::random(),
        ..message::retry_context(message, pending.attempt, cloud::now())
    }
}
