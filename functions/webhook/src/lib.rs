//! The webhook: answers Meta's handshake, verifies the signature of each POST, stores every callback raw, and acts on it.
//!
//! Meta gets a 2xx only after everything is written. After any other response it sends the whole POST again, for up to
//! seven days. Every write can be repeated without harm, so a process that dies between two of them loses nothing:
//!
//! | the process dies … | what is stored | repaired by |
//! |---|---|---|
//! | before the first write | nothing | Meta: it sends the POST again |
//! | between two writes | some of the updates | Meta; what was stored before stays as it is |
//! | after a row was requeued, before its campaign is open again | the row in `retry`, in no queue | Meta: the repeated POST opens the campaign |
//! | after a reply's campaign was created, before it was enqueued | a campaign of one row that is not sent | Meta, whose repeated POST enqueues it, or the reconciler; the row can be claimed only once |
//! | after all writes, before the response | everything | nothing to repair; the repeated POST changes nothing |
//!
//! - `updates`: the updates of a POST, stored and applied
//! - `row_statuses`: the statuses of a POST by row; `failures`: messages that were accepted and then not delivered
//! - `inbound`: messages and calls of recipients: consent, the service window, the inbox; `replies`: automatic replies
//! - `account_events`: templates, the phone number, the account

mod account_events;
mod failures;
mod inbound;
mod replies;
mod row_statuses;
mod updates;

use std::sync::Arc;

use campaign::time::Millis;
use cloud::account_events::AccountEvents;
use cloud::callbacks::Callbacks;
use cloud::campaign_cache::CampaignCache;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::inbox::Inbox;
use cloud::ledger::Ledger;
use cloud::metrics::Metrics;
use cloud::numbers::Numbers;
use cloud::secrets::{Secret, Secrets};
use cloud::settings::SettingsStore;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Error, Request, RequestExt, Response};
use tracing::{error, instrument, warn};
use whatsapp::callback::{self, Event, Update};
use whatsapp::signature;

/// The most bytes of a POST. Meta sends up to 3 MB.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The state of a webhook, made once per process.
#[derive(Debug)]
pub struct Webhook {
    /// Every callback, raw.
    pub callbacks: Callbacks,
    /// Campaigns, as read a moment ago.
    pub campaign_cache: CampaignCache,
    /// The rows of campaigns.
    pub ledger: Ledger,
    /// Recipients and their consent.
    pub contacts: Contacts,
    /// What recipients wrote.
    pub inbox: Inbox,
    /// Opt-out keywords and automatic replies.
    pub settings: SettingsStore,
    /// Notifications about templates, the phone number and the account.
    pub account_events: AccountEvents,
    /// The numbers, with the queues of their senders.
    pub numbers: Numbers,
    /// The app secret and the verify token.
    pub secrets: Secrets,
}

impl Webhook {
    /// Reads the environment. Fails if a variable is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let retention = env::parsed("RETENTION_DAYS")?;
        let config = aws::load_config();
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
            account_events: AccountEvents::new(dynamodb.clone(), table, retention),
            numbers: Numbers::from_env(&sqs, &dynamodb)?,
            secrets: Secrets::new(aws::secrets_manager(&config), env::required("SECRET_ARN")?),
        })
    }

    /// Responds to Meta: 200 stored, 400 empty, 401 not signed by Meta, 403 wrong verify token, 413 too large, 500 send it
    /// again.
    #[instrument(skip_all, fields(method = %request.method()))]
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Error> {
        let secret = match self.secrets.get().await {
            Ok(secret) => secret,
            Err(error) => {
                error!("the app secret was not read: {error}");
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
        if !has_valid_signature(&request, &secret) {
            // Anyone can send such a request, so it raises no alarm and none of it is logged.
            warn!("a callback has no valid signature");
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
                error!("the callbacks were not stored; Meta will send them again: {error}");
                respond(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }
}

fn has_valid_signature(request: &Request, secret: &Secret) -> bool {
    let header = request
        .headers()
        .get("x-hub-signature-256")
        .and_then(|value| value.to_str().ok());
    let body: &[u8] = request.body().as_ref();
    signature::verify(header.unwrap_or_default(), body, &secret.app_secrets)
}

/// Time since the latest status of the POST. Earlier ones may have been sent before, so they do not count.
fn callback_lag_ms(updates: &[Update], now: Millis) -> Millis {
    let at = updates.iter().filter_map(|update| match &update.event {
        Event::Status(status) => status.at,
        _ => None,
    });
    at.max().map_or(0, |at| now.saturating_sub(at))
}

/// Returns the challenge as it came if `hub.mode` is `subscribe` and the verify token is right.
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
