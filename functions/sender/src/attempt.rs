//! One call and its record. Runs beside the ticks, so a slow answer delays no other call.

use std::sync::Arc;

use campaign::batch::Row;
use campaign::id::Tracker;
use campaign::ledger::Move;
use campaign::outcome::{Circumstances, Class, Fault, Millis, Outcome, Step, next_step};
use campaign::record::Campaign;
use cloud::Error;
use secrecy::{ExposeSecret, SecretString};
use whatsapp::code::advice;
use whatsapp::message;

use crate::Shared;

/// A claimed row on its tick.
pub(crate) struct Attempt {
    pub(crate) campaign: Arc<Campaign>,
    pub(crate) row: Row,
    pub(crate) number: u32,
    pub(crate) token: SecretString,
}

/// What the invocation has left to do about a row.
pub(crate) enum Ended {
    /// Nothing.
    Done,
    /// Offer it again when due.
    Again { due: Millis, row: Row },
}

/// Calls, decides, records. Where the record fails the row stays claimed: visible, and never called again unasked.
pub(crate) async fn run(shared: Arc<Shared>, attempt: Attempt) -> Ended {
    let (campaign, row) = (attempt.campaign.id.clone(), attempt.row.row);
    match attempt.run(&shared).await {
        Ok(ended) => ended,
        Err(error) => {
            lambda_runtime::tracing::error!(campaign.id = %campaign, row, "the outcome was not recorded: {error}");
            Ended::Done
        }
    }
}

impl Attempt {
    async fn run(self, shared: &Shared) -> Result<Ended, Error> {
        let tracker = Tracker {
            campaign: self.campaign.id.clone(),
            row: self.row.row,
            attempt: self.number,
        };
        let filled = self.campaign.message.fill(&self.row.values);
        let request = message::request(filled, self.row.to, &tracker);
        let outcome = shared.client.send(&self.token, &request).await;
        let step = match &outcome {
            Outcome::Refused(refusal)
                if refusal.class == Class::Token && self.token_is_old(shared).await =>
            {
                Step::Retry {
                    not_before: cloud::now(),
                    fault: refusal.fault.clone(),
                }
            }
            _ => next_step(outcome, self.circumstances()),
        };
        self.record(shared, step).await
    }

    async fn record(self, shared: &Shared, step: Step) -> Result<Ended, Error> {
        let (id, row, number) = (&self.campaign.id, self.row.row, self.number);
        match step {
            Step::Accept(acceptance) => {
                shared.ledger.accepted(id, row, number, &acceptance).await?;
                if !self.campaign.proven {
                    shared.known.prove(id).await?;
                }
            }
            Step::Reject(fault) => drop(
                shared
                    .ledger
                    .settle(id, row, number, Move::Reject, &fault)
                    .await?,
            ),
            Step::Doubt(fault) => drop(
                shared
                    .ledger
                    .settle(id, row, number, Move::Doubt, &fault)
                    .await?,
            ),
            Step::Hold(fault) => {
                // The stop first: every moment without it costs another refused call.
                shared.known.pause(id, &reason(&fault)).await?;
                shared
                    .ledger
                    .settle(id, row, number, Move::Hold, &fault)
                    .await?;
            }
            Step::Retry { not_before, fault } => {
                // Where a callback settled the row meanwhile there is nothing to try again.
                if shared
                    .ledger
                    .retry(id, row, number, not_before, &fault)
                    .await?
                {
                    return Ok(Ended::Again {
                        due: not_before,
                        row: self.row,
                    });
                }
            }
        }
        Ok(Ended::Done)
    }

    fn circumstances(&self) -> Circumstances {
        let message = &self.campaign.message;
        Circumstances {
            attempt: self.number,
            now: cloud::now(),
            values_vary: !message.columns().is_empty(),
            name_varies: message.varies_at("/template/name")
                || message.varies_at("/template/language"),
            proven: self.campaign.proven,
            jitter: rand::random(),
        }
    }

    /// Whether the secret holds another token by now: a rotation, not a revocation.
    async fn token_is_old(&self, shared: &Shared) -> bool {
        match shared.secrets.refresh().await {
            Ok(secret) => secret.access_token.expose_secret() != self.token.expose_secret(),
            Err(_) => false,
        }
    }
}

/// Why a campaign stopped, and what to do: the sentence people read.
fn reason(fault: &Fault) -> String {
    let details = fault
        .details
        .as_deref()
        .map(|details| format!(": {details}"))
        .unwrap_or_default();
    match fault.code {
        Some(code) => format!(
            "WhatsApp answered error {code}, \"{}\"{details}. {}",
            fault.title,
            advice(code)
        ),
        None => format!(
            "WhatsApp could not be reached ({}). Check the parameter GraphApiUrl and Meta's status page.",
            fault.title
        ),
    }
}
