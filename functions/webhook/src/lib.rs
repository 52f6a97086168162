//! The webhook: verifies Meta's handshake and signature, keeps every callback raw, moves the ledger forward.
//!
//! A 2xx is given only after everything is written; anything else makes Meta send the whole POST again, for seven
//! days. Every write may be repeated without harm, so a process killed between any two of them loses nothing.

mod again;
mod fold;

use std::sync::Arc;

use cloud::callbacks::{Callbacks, Raw};
use cloud::campaigns::Campaigns;
use cloud::ledger::Ledger;
use cloud::secrets::{Secret, Secrets};
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Error, Request, RequestExt, Response, tracing};
use whatsapp::callback::{self, Update};
use whatsapp::signature;

use crate::fold::RowReports;

/// The most bytes of a POST: Meta sends up to 3 MB.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// Ledger writes under way at once.
const IN_FLIGHT: usize = 16;

/// What a webhook needs, made once per process.
#[derive(Debug)]
pub struct Webhook {
    callbacks: Callbacks,
    campaigns: Campaigns,
    ledger: Ledger,
    secrets: Secrets,
}

impl Webhook {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let retention = env::parsed("RETENTION_DAYS")?;
        let config = aws::config().await;
        let dynamodb = aws::dynamodb(&config);
        let callbacks = Callbacks::new(
            dynamodb.clone(),
            env::required("CALLBACKS_TABLE")?,
            retention,
        );
        let campaigns = Campaigns::new(
            dynamodb.clone(),
            env::required("CAMPAIGNS_TABLE")?,
            retention,
        );
        let ledger = Ledger::new(dynamodb, env::required("MESSAGES_TABLE")?, retention);
        let secrets = Secrets::new(aws::secrets(&config), env::required("SECRET_ARN")?);
        Ok(Self::new(callbacks, campaigns, ledger, secrets))
    }

    /// A webhook of these parts.
    pub fn new(
        callbacks: Callbacks,
        campaigns: Campaigns,
        ledger: Ledger,
        secrets: Secrets,
    ) -> Self {
        Self {
            callbacks,
            campaigns,
            ledger,
            secrets,
        }
    }

    /// Answers Meta: 200 stored, 400 empty, 401 not signed by Meta, 413 too large, 500 send it again.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Error> {
        let secret = match self.secrets.get().await {
            Ok(secret) => secret,
            Err(error) => {
                tracing::error!("{error}");
                return answer(StatusCode::INTERNAL_SERVER_ERROR, "");
            }
        };
        if request.method() == Method::GET {
            handshake(&request, &secret)
        } else {
            self.post(request, secret).await
        }
    }

    async fn post(&self, request: Request, secret: Arc<Secret>) -> Result<Response<Body>, Error> {
        let body: &[u8] = request.body().as_ref();
        if body.is_empty() {
            return answer(StatusCode::BAD_REQUEST, "empty body");
        }
        if body.len() > MAX_BODY {
            return answer(StatusCode::PAYLOAD_TOO_LARGE, "body too large");
        }
        let header = request
            .headers()
            .get("x-hub-signature-256")
            .and_then(|value| value.to_str().ok());
        if !signature::verify(header.unwrap_or_default(), body, &secret.app_secrets) {
            // Anybody may send such a request: no alarm, and nothing of it in the log.
            tracing::warn!("a callback without a valid signature");
            return answer(StatusCode::UNAUTHORIZED, "invalid signature");
        }
        match self.store(callback::read(body)).await {
            Ok(()) => answer(StatusCode::OK, ""),
            Err(error) => {
                tracing::error!("callbacks were not stored and will come again: {error}");
                answer(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }

    /// Keeps the updates and moves the ledger; both at once, for either may be repeated.
    async fn store(&self, updates: Vec<Update>) -> Result<(), cloud::Error> {
        let now = cloud::now();
        let rows = fold::by_row(&updates, now);
        tracing::info!(updates = updates.len(), rows = rows.len(), "callbacks");
        let raws = updates.into_iter().map(|update| Raw {
            key: update.key,
            json: update.raw.to_string(),
        });
        let ledger = stream::iter(rows)
            .map(|row| self.move_row(row))
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>();
        tokio::try_join!(self.callbacks.store(raws.collect(), now), ledger)?;
        Ok(())
    }

    async fn move_row(&self, row: RowReports) -> Result<(), cloud::Error> {
        let RowReports { tracker, reports } = row;
        self.ledger
            .reported(&tracker.campaign, tracker.row, tracker.attempt, &reports)
            .await?;
        match &reports.failed {
            Some((_, fault)) => self.offer_again(&tracker, fault).await,
            None => Ok(()),
        }
    }
}

/// `hub.mode=subscribe` with the right token → the challenge, as it came.
fn handshake(request: &Request, secret: &Secret) -> Result<Response<Body>, Error> {
    let query = request.query_string_parameters();
    let token = query.first("hub.verify_token").unwrap_or_default();
    if query.first("hub.mode") == Some("subscribe") && secret.verifies(token) {
        return answer(
            StatusCode::OK,
            query.first("hub.challenge").unwrap_or_default(),
        );
    }
    answer(StatusCode::FORBIDDEN, "")
}

fn answer(status: StatusCode, text: &str) -> Result<Response<Body>, Error> {
    Ok(Response::builder()
        .status(status)
        .header("content-type", "text/plain")
        .body(text.into())?)
}
