//! One call and its record. Runs beside the ticks, so a slow answer delays no other call.

use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::{
    ErrorClass, ErrorInfo, Millis, NextAction, Outcome, RetryContext, ThrottleScope, next_action,
};
use campaign::id::{CampaignId, CorrelationId};
use campaign::lifecycle::campaign::{Cooldown, MessageChoice};
use cloud::Error;
use secrecy::{ExposeSecret, SecretString};
use whatsapp::error_code::explain_pause;
use whatsapp::message;

use crate::aws_backend::AwsBackend;
use crate::send_backend::{PaceSignal, PendingSend, SendOutcome, SendResult};

/// Calls, decides, records. Where the record fails the row stays claimed: visible, and never called again unasked.
pub(crate) async fn run(office: &AwsBackend, attempt: PendingSend) -> SendResult {
    let (campaign, row) = (attempt.campaign.id.clone(), attempt.row.row);
    match call(office, attempt).await {
        Ok(ended) => ended,
        Err(error) => {
            lambda_runtime::tracing::error!(campaign.id = %campaign, row, "the outcome was not recorded: {error}");
            SendResult::default()
        }
    }
}

async fn call(office: &AwsBackend, attempt: PendingSend) -> Result<SendResult, Error> {
    let tracker = CorrelationId {
        campaign: attempt.campaign.id.clone(),
        row: attempt.row.row,
        attempt: attempt.number,
    };
    let (message, fallback) = attempt.campaign.messages();
    let message = match (attempt.message_choice, fallback) {
        (MessageChoice::Fallback, Some(fallback)) => fallback,
        _ => message,
    };
    let filled = message.fill(&attempt.row.values);
    let request = message::build_request(filled, attempt.row.to, &tracker);
    let outcome = office.client.send(&attempt.token, &request).await;
    let step = match &outcome {
        Outcome::Refused(refusal)
            if refusal.class == ErrorClass::InvalidToken
                && is_old(&attempt.token, office).await =>
        {
            NextAction::Retry {
                not_before: cloud::now(),
                error: refusal.error.clone(),
                scope: ThrottleScope::Row,
            }
        }
        _ => next_action(outcome, circumstances(&attempt)),
    };
    record(office, attempt, step).await
}

async fn record(
    office: &AwsBackend,
    attempt: PendingSend,
    step: NextAction,
) -> Result<SendResult, Error> {
    let (id, row, number) = (&attempt.campaign.id, attempt.row.row, attempt.number);
    let settle = async |step, fault: ErrorInfo| {
        office
            .ledger
            .record_outcome(id, row, number, step, &fault)
            .await
    };
    match step {
        NextAction::Accept(acceptance) => {
            office
                .ledger
                .record_acceptance(id, row, number, &acceptance)
                .await?;
            link_user_id(office, &attempt, acceptance.user_id).await;
            if !attempt.campaign.has_acceptance {
                office.campaign_cache.mark_accepted(id).await?;
            }
            Ok(SendResult {
                pace_signal: PaceSignal::Accepted,
                ..ended(SendOutcome::Accepted)
            })
        }
        NextAction::Reject(fault) => settle(Transition::Reject, fault)
            .await
            .map(|_| ended(SendOutcome::Rejected)),
        NextAction::MarkUnconfirmed(fault) => settle(Transition::MarkUnconfirmed, fault)
            .await
            .map(|_| ended(SendOutcome::Unconfirmed)),
        NextAction::Hold {
            error: fault,
            pause: stops,
        } => {
            // The stop first: every moment without it costs another refused call.
            office
                .campaign_cache
                .pause(id, stops, &explain_pause(&fault))
                .await?;
            settle(Transition::Hold, fault)
                .await
                .map(|_| ended(SendOutcome::Held))
        }
        NextAction::Retry {
            not_before,
            error: fault,
            scope: slows,
        } => retry(office, attempt, not_before, fault, slows).await,
    }
}

/// Where Meta names somebody by an id, callbacks may name them by nothing else. Learned with the next call where it fails.
async fn link_user_id(office: &AwsBackend, attempt: &PendingSend, user_id: Option<String>) {
    let Some(user_id) = user_id.filter(|id| attempt.user_id.as_ref() != Some(id)) else {
        return;
    };
    let (to, now) = (attempt.row.to, cloud::now());
    if let Err(error) = office.contacts.link_user_id(to, &user_id, now).await {
        lambda_runtime::tracing::error!(campaign.id = %attempt.campaign.id, row = attempt.row.row, "{error}");
    }
}

async fn retry(
    office: &AwsBackend,
    attempt: PendingSend,
    not_before: Millis,
    fault: ErrorInfo,
    slows: ThrottleScope,
) -> Result<SendResult, Error> {
    let id: &CampaignId = &attempt.campaign.id;
    if slows == ThrottleScope::Campaign {
        let rest = Cooldown {
            until: not_before,
            reason: explain_pause(&fault),
        };
        office.campaign_cache.start_cooldown(id, &rest).await?;
    }
    let open = office
        .ledger
        .schedule_retry(id, attempt.row.row, attempt.number, not_before, &fault)
        .await?;
    Ok(SendResult {
        pace_signal: match slows {
            ThrottleScope::Slot => PaceSignal::Throttled,
            ThrottleScope::Row | ThrottleScope::Campaign => PaceSignal::None,
        },
        // Where a callback settled the row meanwhile there is nothing to try again.
        retry: open.then_some((not_before, attempt.row)),
        outcome: Some(SendOutcome::Retried),
    })
}

fn ended(settled: SendOutcome) -> SendResult {
    SendResult {
        outcome: Some(settled),
        ..SendResult::default()
    }
}

fn circumstances(attempt: &PendingSend) -> RetryContext {
    let message = match (attempt.message_choice, &attempt.campaign.fallback) {
        (MessageChoice::Fallback, Some(fallback)) => fallback,
        _ => &attempt.campaign.message,
    };
    RetryContext {
        has_acceptance: attempt.campaign.has_acceptance,
        jitter: rand::random(),
        ..message::retry_context(message, attempt.number, cloud::now())
    }
}

/// Whether the secret holds another token by now: a rotation, not a revocation.
async fn is_old(token: &SecretString, office: &AwsBackend) -> bool {
    match office.secrets.refresh().await {
        Ok(secret) => secret.access_token.expose_secret() != token.expose_secret(),
        Err(_) => false,
    }
}
