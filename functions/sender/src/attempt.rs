//! One call and its record. Runs beside the ticks, so a slow answer delays no other call.

use campaign::id::{CampaignId, Tracker};
use campaign::ledger::Move;
use campaign::outcome::{Circumstances, Class, Fault, Millis, Outcome, Slows, Step, next_step};
use campaign::record::{Rest, Way};
use cloud::Error;
use secrecy::{ExposeSecret, SecretString};
use whatsapp::code::reason;
use whatsapp::message;

use crate::desk::{Attempt, Echo, Ended, Settled};
use crate::office::Office;

/// Calls, decides, records. Where the record fails the row stays claimed: visible, and never called again unasked.
pub(crate) async fn run(office: &Office, attempt: Attempt) -> Ended {
    let (campaign, row) = (attempt.campaign.id.clone(), attempt.row.row);
    match call(office, attempt).await {
        Ok(ended) => ended,
        Err(error) => {
            lambda_runtime::tracing::error!(campaign.id = %campaign, row, "the outcome was not recorded: {error}");
            Ended::default()
        }
    }
}

async fn call(office: &Office, attempt: Attempt) -> Result<Ended, Error> {
    let tracker = Tracker {
        campaign: attempt.campaign.id.clone(),
        row: attempt.row.row,
        attempt: attempt.number,
    };
    let (message, fallback) = attempt.campaign.messages();
    let message = match (attempt.way, fallback) {
        (Way::Fallback, Some(fallback)) => fallback,
        _ => message,
    };
    let filled = message.fill(&attempt.row.values);
    let request = message::request(filled, attempt.row.to, &tracker);
    let outcome = office.client.send(&attempt.token, &request).await;
    let step = match &outcome {
        Outcome::Refused(refusal)
            if refusal.class == Class::Token && is_old(&attempt.token, office).await =>
        {
            Step::Retry {
                not_before: cloud::now(),
                fault: refusal.fault.clone(),
                slows: Slows::Row,
            }
        }
        _ => next_step(outcome, circumstances(&attempt)),
    };
    record(office, attempt, step).await
}

async fn record(office: &Office, attempt: Attempt, step: Step) -> Result<Ended, Error> {
    let (id, row, number) = (&attempt.campaign.id, attempt.row.row, attempt.number);
    let settle =
        async |step, fault: Fault| office.ledger.settle(id, row, number, step, &fault).await;
    match step {
        Step::Accept(acceptance) => {
            office.ledger.accepted(id, row, number, &acceptance).await?;
            learn(office, &attempt, acceptance.user_id).await;
            if !attempt.campaign.proven {
                office.known.prove(id).await?;
            }
            Ok(Ended {
                echo: Echo::Fine,
                ..ended(Settled::Accepted)
            })
        }
        Step::Reject(fault) => settle(Move::Reject, fault)
            .await
            .map(|_| ended(Settled::Rejected)),
        Step::Doubt(fault) => settle(Move::Doubt, fault)
            .await
            .map(|_| ended(Settled::Doubt)),
        Step::Hold { fault, stops } => {
            // The stop first: every moment without it costs another refused call.
            office.known.pause(id, stops, &reason(&fault)).await?;
            settle(Move::Hold, fault)
                .await
                .map(|_| ended(Settled::Held))
        }
        Step::Retry {
            not_before,
            fault,
            slows,
        } => retry(office, attempt, not_before, fault, slows).await,
    }
}

/// Where Meta names somebody by an id, callbacks may name them by nothing else. Learned with the next call where it fails.
async fn learn(office: &Office, attempt: &Attempt, user_id: Option<String>) {
    let Some(user_id) = user_id.filter(|id| attempt.user_id.as_ref() != Some(id)) else {
        return;
    };
    let (to, now) = (attempt.row.to, cloud::now());
    if let Err(error) = office.contacts.link(to, &user_id, now).await {
        lambda_runtime::tracing::error!(campaign.id = %attempt.campaign.id, row = attempt.row.row, "{error}");
    }
}

async fn retry(
    office: &Office,
    attempt: Attempt,
    not_before: Millis,
    fault: Fault,
    slows: Slows,
) -> Result<Ended, Error> {
    let id: &CampaignId = &attempt.campaign.id;
    if slows == Slows::Campaign {
        let rest = Rest {
            until: not_before,
            reason: reason(&fault),
        };
        office.known.rest(id, &rest).await?;
    }
    let open = office
        .ledger
        .retry(id, attempt.row.row, attempt.number, not_before, &fault)
        .await?;
    Ok(Ended {
        echo: match slows {
            Slows::Slot => Echo::TooMuch,
            Slows::Row | Slows::Campaign => Echo::None,
        },
        // Where a callback settled the row meanwhile there is nothing to try again.
        again: open.then_some((not_before, attempt.row)),
        settled: Some(Settled::Retried),
    })
}

fn ended(settled: Settled) -> Ended {
    Ended {
        settled: Some(settled),
        ..Ended::default()
    }
}

fn circumstances(attempt: &Attempt) -> Circumstances {
    let message = match (attempt.way, &attempt.campaign.fallback) {
        (Way::Fallback, Some(fallback)) => fallback,
        _ => &attempt.campaign.message,
    };
    Circumstances {
        proven: attempt.campaign.proven,
        jitter: rand::random(),
        ..message::circumstances(message, attempt.number, cloud::now())
    }
}

/// Whether the secret holds another token by now: a rotation, not a revocation.
async fn is_old(token: &SecretString, office: &Office) -> bool {
    match office.secrets.refresh().await {
        Ok(secret) => secret.access_token.expose_secret() != token.expose_secret(),
        Err(_) => false,
    }
}
