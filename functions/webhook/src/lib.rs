//! The webhook: verifies Meta's handshake and signature, keeps every callback raw, and acts on what it says.
//!
//! A 2xx is given only after everything is written; anything else makes Meta send the whole POST again, for seven
//! days. Every write may be repeated without harm, so a process killed between any two of them loses nothing.
//!
//! - `fold`: a POST's statuses by row; `failures`: those that were not delivered
//! - `people`: consent, the 24-hour window, the inbox; `replies`: answers that send themselves
//! - `notices`: templates, the number, the account

mod account_events;
mod failures;
mod inbound;
mod replies;
mod row_statuses;

use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::outcome::Millis;
use cloud::account_events::AccountEvents;
use cloud::batch_queue::BatchQueue;
use cloud::callbacks::{Callbacks, RawCallback};
use cloud::campaign_cache::CampaignCache;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::inbox::Inbox;
use cloud::ledger::Ledger;
use cloud::metrics::Metrics;
use cloud::secrets::{Secret, Secrets};
use cloud::settings::SettingsStore;
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Error, Request, RequestExt, Response, tracing};
use whatsapp::callback::{self, Event, Update};
use whatsapp::signature;

use crate::row_statuses::RowStatusUpdate;

/// The most bytes of a POST: Meta sends up to 3 MB.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Updates at work at once.
const MAX_CONCURRENT_UPDATES: usize = 16;

/// What a webhook needs, made once per process.
#[derive(Debug)]
pub struct Webhook {
    /// Every callback, raw.
    pub callbacks: Callbacks,
    /// Campaigns, as they were a moment ago.
    pub campaign_cache: CampaignCache,
    /// Rows.
    pub ledger: Ledger,
    /// People.
    pub contacts: Contacts,
    /// What they wrote.
    pub inbox: Inbox,
    /// Words and answers.
    pub settings: SettingsStore,
    /// What Meta said of the account.
    pub account_events: AccountEvents,
    /// Wakes senders.
    pub sends_queue: BatchQueue,
    /// Where answers go.
    pub urgent_queue: BatchQueue,
    /// The app secret and the verify token.
    pub secrets: Secrets,
}

impl Webhook {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let retention = env::parsed("RETENTION_DAYS")?;
        let config = aws::load_config().await;
        let (dynamodb, sqs) = (aws::dynamodb(&config), aws::sqs(&config));
        let table = env::required("CAMPAIGNS_TABLE")?;
        let callbacks = env::required("CALLBACKS_TABLE")?;
        let campaigns = Campaigns::new(dynamodb.clone(), table.clone(), retention);
        let contacts = env::required("CONTACTS_TABLE")?;
        Ok(Self {
            callbacks: Callbacks::new(
                dynamodb.clone(),
                callbacks,
                env::parsed("CALLBACK_RETENTION_DAYS")?,
            ),
            campaign_cache: CampaignCache::new(campaigns),
            ledger: Ledger::new(
                dynamodb.clone(),
                env::required("MESSAGES_TABLE")?,
                retention,
            ),
            contacts: Contacts::new(dynamodb.clone(), contacts, retention),
            inbox: Inbox::new(
                dynamodb.clone(),
                env::required("INBOX_TABLE")?,
                env::parsed("INBOX_RETENTION_DAYS")?,
            ),
            settings: SettingsStore::new(dynamodb.clone(), table.clone()),
            account_events: AccountEvents::new(dynamodb, table, retention),
            sends_queue: BatchQueue::new(sqs.clone(), env::required("SENDS_QUEUE_URL")?),
            urgent_queue: BatchQueue::new(sqs, env::required("URGENT_QUEUE_URL")?),
            secrets: Secrets::new(aws::secrets_manager(&config), env::required("SECRET_ARN")?),
        })
    }

    /// Answers Meta: 200 stored, 400 empty, 401 not signed by Meta, 413 too large, 500 send it again.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Error> {
        let secret = match self.secrets.get().await {
            Ok(secret) => secret,
            Err(error) => {
                tracing::error!("{error}");
                return respond(StatusCode::INTERNAL_SERVER_ERROR, "");
            }
        };
        if request.method() == Method::GET {
            answer_handshake(&request, &secret)
        } else {
            self.receive_callbacks(request, secret).await
        }
    }

    async fn receive_callbacks(
        &self,
        request: Request,
        secret: Arc<Secret>,
    ) -> Result<Response<Body>, Error> {
        let body: &[u8] = request.body().as_ref();
        if body.is_empty() {
            return respond(StatusCode::BAD_REQUEST, "empty body");
        }
        if body.len() > MAX_BODY_BYTES {
            return respond(StatusCode::PAYLOAD_TOO_LARGE, "body too large");
        }
        let header = request
            .headers()
            .get("x-hub-signature-256")
            .and_then(|value| value.to_str().ok());
        if !signature::verify(header.unwrap_or_default(), body, &secret.app_secrets) {
            // Anybody may send such a request: no alarm, and nothing of it in the log.
            tracing::warn!("a callback without a valid signature");
            return respond(StatusCode::UNAUTHORIZED, "invalid signature");
        }
        let updates = callback::parse_callback(body);
        let metrics = Metrics::for_function("webhook")
            .add_count("Callbacks", updates.len())
            .add_millis("CallbackLag", callback_lag_ms(&updates, cloud::now()));
        match self.store_and_apply(&updates).await {
            Ok(()) => {
                metrics.emit();
                respond(StatusCode::OK, "")
            }
            Err(error) => {
                metrics.add_count("StoreFailures", 1).emit();
                tracing::error!("callbacks were not stored and will come again: {error}");
                respond(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }

    /// Keeps the updates and acts on them; both at once, for either may be repeated.
    async fn store_and_apply(&self, updates: &[Update]) -> Result<(), cloud::Error> {
        let now = cloud::now();
        let rows = row_statuses::group_by_row(updates, now);
        tracing::info!(updates = updates.len(), rows = rows.len(), "callbacks");
        let ledger = stream::iter(rows)
            .map(|row| self.apply_statuses(row))
            .buffer_unordered(MAX_CONCURRENT_UPDATES)
            .try_collect::<()>();
        let acts: Vec<_> = updates
            .iter()
            .map(|update| self.apply_update(update, now))
            .collect();
        let others = stream::iter(acts)
            .buffer_unordered(MAX_CONCURRENT_UPDATES)
            .try_collect::<Vec<_>>();
        let raws = updates.iter().map(|update| RawCallback {
            key: update.key.clone(),
            json: update.raw.to_string(),
        });
        let kept = self.callbacks.store(raws.collect(), now);
        let ((), in_force, ()) = tokio::try_join!(ledger, others, kept)?;
        // Whoever said stop was perhaps being called right then: the answer tells Meta that no call follows.
        if let Some(until) = in_force.into_iter().flatten().max() {
            let wait = until.saturating_sub(cloud::now());
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        Ok(())
    }

    /// What an update asks for beyond its row; gives the time from which on a word that forbids is in force.
    async fn apply_update(
        &self,
        update: &Update,
        now: Millis,
    ) -> Result<Option<Millis>, cloud::Error> {
        match &update.event {
            Event::Message(inbound) => {
                let raw = update.raw["message"].to_string();
                self.on_message(inbound, &raw, now).await
            }
            Event::Preference(preference) => self.on_preference(preference, now).await,
            Event::Account(notice) => {
                self.on_account_event(&update.key, notice, now).await?;
                Ok(None)
            }
            Event::Error(fault) => {
                tracing::error!(code = fault.code, "Meta says: {}", fault.title);
                Ok(None)
            }
            Event::Status(_) | Event::Other => Ok(None),
        }
    }

    async fn apply_statuses(&self, row: RowStatusUpdate) -> Result<(), cloud::Error> {
        let RowStatusUpdate {
            correlation_id: tracker,
            update: reports,
            ..
        } = &row;
        self.ledger
            .apply_status(&tracker.campaign, tracker.row, tracker.attempt, reports)
            .await?;
        match &reports.failed {
            Some((at, fault)) => self.on_failure(&row, *at, fault).await,
            None => Ok(()),
        }
    }
}

/// How long ago the latest status happened: older ones may have come before.
fn callback_lag_ms(updates: &[Update], now: Millis) -> Millis {
    let at = updates.iter().filter_map(|update| match &update.event {
        Event::Status(report) => report.at,
        _ => None,
    });
    at.max().map_or(0, |at| now.saturating_sub(at))
}

/// `hub.mode=subscribe` with the right token → the challenge, as it came.
fn answer_handshake(request: &Request, secret: &Secret) -> Result<Response<Body>, Error> {
    let query = request.query_string_parameters();
    let token = query.first("hub.verify_token").unwrap_or_default();
    if query.first("hub.mode") == Some("subscribe") && secret.is_verify_token(token) {
        return respond(
            StatusCode::OK,
            query.first("hub.challenge").unwrap_or_default(),
        );
    }
    respond(StatusCode::FORBIDDEN, "")
}

fn respond(status: StatusCode, text: &str) -> Result<Response<Body>, Error> {
    Ok(Response::builder()
        .status(status)
        .header("content-type", "text/plain")
        .body(text.into())?)
}
