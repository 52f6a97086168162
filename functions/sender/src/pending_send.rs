//! One send and its record. It runs in its own task, so a slow response delays no other send.

use std::sync::Arc;

use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::{
    Acceptance, ErrorClass, ErrorInfo, Millis, NextAction, Outcome, PauseScope, RetryContext,
    ThrottleScope, next_action,
};
use campaign::id::CorrelationId;
use campaign::lifecycle::campaign::{Cooldown, MessageChoice};
use cloud::Error;
use cloud::campaign_cache::CampaignCache;
use cloud::contacts::Contacts;
use cloud::ledger::Ledger;
use cloud::secrets::Secrets;
use secrecy::{ExposeSecret, SecretString};
use tracing::{error, instrument};
use whatsapp::client::{Client, NoConnection};
use whatsapp::error_code::explain_pause;
use whatsapp::message;

use crate::send_backend::{Departure, DepartureSignal, PaceSignal, PendingSend, SendResult};
use crate::send_stats::SendOutcome;

/// What a send needs: the Cloud API, its token, and the tables that record the outcome.
#[derive(Debug)]
pub(crate) struct SendClients {
    pub(crate) campaign_cache: CampaignCache,
    pub(crate) contacts: Contacts,
    pub(crate) ledger: Ledger,
    pub(crate) secrets: Secrets,
    pub(crate) whatsapp: Client,
}

impl SendClients {
    /// Sends the message and records the outcome. If the record fails, the row stays claimed: it is visible there, and
    /// it is not sent again unless the operator chose that for unconfirmed rows.
    #[instrument(skip_all, fields(campaign.id = %pending.campaign.id, row = pending.row.row, number = pending.number))]
    pub(crate) async fn send(
        &self,
        pending: PendingSend,
        departure: DepartureSignal,
    ) -> SendResult {
        let Ok(outcome) = self.call_api(&pending, &departure).await else {
            departure.send(Departure::NoConnection(Box::new(pending)));
            return SendResult::default();
        };
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
            attempt: pending.number,
        };
        let (message, fallback) = pending.campaign.messages();
        let message = match (pending.message_choice, fallback) {
            (MessageChoice::Fallback, Some(fallback)) => fallback,
            _ => message,
        };
        let filled = message.fill(&pending.row.values);
        let request = message::build_request(filled, pending.row.to, &correlation_id);
        let departure = departure.clone();
        let on_departure = Arc::new(move || departure.send(Departure::OnTheWire));
        self.whatsapp
            .send(&pending.token, &request, on_departure)
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
        let id = &pending.campaign.id;
        self.ledger
            .record_acceptance(id, pending.row.row, pending.number, &acceptance)
            .await?;
        self.link_user_id(pending, acceptance.user_id).await;
        if !pending.campaign.has_acceptance {
            self.campaign_cache.mark_accepted(id).await?;
        }
        Ok(SendResult {
            pace_signal: PaceSignal::Accepted,
            ..result_of(SendOutcome::Accepted)
        })
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

    /// Pauses first: until the pause is stored, every further send is refused, too.
    async fn record_hold(
        &self,
        pending: &PendingSend,
        error: &ErrorInfo,
        scope: PauseScope,
    ) -> Result<SendResult, Error> {
        self.campaign_cache
            .pause(&pending.campaign.id, scope, &explain_pause(error))
            .await?;
        self.record_outcome(pending, Transition::Hold, error)
            .await?;
        Ok(result_of(SendOutcome::Held))
    }

    async fn record_retry(
        &self,
        pending: PendingSend,
        not_before: Millis,
        error: &ErrorInfo,
        scope: ThrottleScope,
    ) -> Result<SendResult, Error> {
        let id = &pending.campaign.id;
        if scope == ThrottleScope::Campaign {
            let cooldown = Cooldown {
                until: not_before,
                reason: explain_pause(error),
            };
            self.campaign_cache.start_cooldown(id, &cooldown).await?;
        }
        let is_open = self
            .ledger
            .schedule_retry(id, pending.row.row, pending.number, not_before, error)
            .await?;
        Ok(SendResult {
            pace_signal: pace_signal(scope),
            // If a callback settled the row in the meantime, there is nothing to retry.
            retry: is_open.then_some((not_before, pending.row)),
            outcome: Some(SendOutcome::Retried),
        })
    }

    async fn record_outcome(
        &self,
        pending: &PendingSend,
        transition: Transition,
        error: &ErrorInfo,
    ) -> Result<(), Error> {
        let id = &pending.campaign.id;
        self.ledger
            .record_outcome(id, pending.row.row, pending.number, transition, error)
            .await
            .map(drop)
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
        ThrottleScope::Row | ThrottleScope::Campaign => PaceSignal::None,
    }
}

fn result_of(outcome: SendOutcome) -> SendResult {
    SendResult {
        outcome: Some(outcome),
        ..SendResult::default()
    }
}

fn retry_context(pending: &PendingSend) -> RetryContext {
    let message = match (pending.message_choice, &pending.campaign.fallback) {
        (MessageChoice::Fallback, Some(fallback)) => fallback,
        _ => &pending.campaign.message,
    };
    RetryContext {
        has_acceptance: pending.campaign.has_acceptance,
        jitter: rand::random(),
        ..message::retry_context(message, pending.number, cloud::now())
    }
}
