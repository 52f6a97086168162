//! Each function of the stack: started in a process with the clients that its `from_env` makes, it handles events. Events
//! and answers are JSON, as Lambda passes them.

mod clients;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use api::tried_tokens::TriedTokens;
use axum::body::{Body, to_bytes};
use campaign::lifecycle::campaign::sendable_for;
use cloud::aws;
use cloud::campaign_cache::CampaignCache;
use cloud::dead_letters::DeadLetters;
use cloud::outbound::EventBus;
use cloud::schedules::Schedules;
use futures::future::LocalBoxFuture;
use lambda_http::RequestExt;
use lambda_runtime::Context;
use serde::Serialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use self::clients::{Clients, Sending};
pub use self::clients::{Environment, RETENTION_DAYS, SECOND_RATE};
use crate::aws::queue_arn;
use crate::meta::{GRAPH_URL, GRAPH_VERSION, PHONE_NUMBER_ID, WABA_ID};

/// Rows of a chunk: few, so that small files have several.
const CHUNK_ROWS: u32 = 7;

/// Handles one event.
pub type Handler = Rc<dyn Fn(Value, Context) -> LocalBoxFuture<'static, Result<Value, String>>>;

/// The name of the bus that callbacks are forwarded to.
const FORWARD_BUS: &str = "forwarded";

/// The largest answer of an HTTP function.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A function of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// The operator's API.
    Api,
    /// Counts the ledger's stream.
    Counter,
    /// Erases contacts.
    Erase,
    /// Forwards callbacks.
    Forward,
    /// Repairs what was interrupted.
    Reconciler,
    /// Writes reports, recounts.
    Report,
    /// Sends from the first number.
    Sender,
    /// Sends from the second.
    SecondSender,
    /// Imports files.
    Splitter,
    /// Takes Meta's callbacks.
    Webhook,
}

impl Function {
    /// The name of its processes.
    pub fn name(self) -> &'static str {
        match self {
            Function::Api => "api",
            Function::Counter => "counter",
            Function::Erase => "erase",
            Function::Forward => "forward",
            Function::Reconciler => "reconciler",
            Function::Report => "report",
            Function::Sender => "sender",
            Function::SecondSender => "sender-2",
            Function::Splitter => "splitter",
            Function::Webhook => "webhook",
        }
    }
}

/// Starts a function in a process. Fails as its `from_env` would.
pub async fn start(function: Function, environment: Environment) -> Result<Handler, String> {
    let clients = Clients::new(&environment);
    match function {
        Function::Api => Ok(clients.api()),
        Function::Counter => Ok(clients.counter().await),
        Function::Erase => Ok(clients.eraser()),
        Function::Forward => Ok(clients.forwarder()),
        Function::Reconciler => Ok(clients.reconciler()),
        Function::Report => Ok(clients.reporter()),
        Function::Sender => Ok(clients.sender(Sending::First)),
        Function::SecondSender => Ok(clients.sender(Sending::Second)),
        Function::Splitter => Ok(clients.splitter()),
        Function::Webhook => Ok(clients.webhook()),
    }
}

impl Clients {
    fn api(self) -> Handler {
        let transport = self.meta.transport(&self.host);
        let base = format!("{GRAPH_URL}/{GRAPH_VERSION}");
        let account =
            whatsapp::account::AccountClient::over(transport, base, WABA_ID, PHONE_NUMBER_ID);
        let router = api::router(api::Api {
            campaigns: self.campaigns(),
            counters: self.counters(),
            imports: self.imports(),
            ledger: self.ledger(),
            schedules: Schedules::new(
                aws::scheduler(&self.config),
                queue_arn("ImportQueue"),
                "campaigns".into(),
                "arn:aws:iam::000000000000:role/scheduler".into(),
            ),
            contacts: self.contacts(),
            inbox: self.inbox(),
            settings: self.settings(),
            account_events: self.account_events(),
            part_uploads: self.part_uploads(),
            files: self.files(),
            numbers: self.numbers(),
            jobs: self.jobs(),
            erasures: self.erasures(),
            import_queue: self.import_queue(),
            secrets: self.secrets(),
            tokens: self.tokens(),
            sessions: self.sessions(),
            audit: self.audit(),
            tried_tokens: TriedTokens::default(),
            tls_only: true,
            oidc: None,
            account,
            tps_budget: self.rate.budget(),
            sendable_for: sendable_for(RETENTION_DAYS, RETENTION_DAYS),
        });
        Rc::new(move |event, _| {
            let router = router.clone();
            Box::pin(async move {
                let request = http_request(&event).map(Body::from);
                let Ok(response) = router.oneshot(request).await;
                let status = response.status().as_u16();
                let body = to_bytes(response.into_body(), MAX_ANSWER_BYTES).await;
                let body = body.map_err(|error| error.to_string())?;
                Ok(json!({"status": status, "body": String::from_utf8_lossy(&body)}))
            })
        })
    }

    fn webhook(self) -> Handler {
        let webhook = Rc::new(webhook::Webhook {
            callbacks: self.callbacks(),
            campaign_cache: CampaignCache::new(self.campaigns()),
            ledger: self.ledger(),
            contacts: self.contacts(),
            inbox: self.inbox(),
            settings: self.settings(),
            account_events: self.account_events(),
            numbers: self.numbers(),
            secrets: self.secrets(),
        });
        Rc::new(move |event, _| {
            let webhook = Rc::clone(&webhook);
            Box::pin(async move {
                let request = http_request(&event).map(lambda_http::Body::from);
                let query = request.uri().query().unwrap_or_default();
                let query: HashMap<String, String> = form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect();
                let request = request.with_query_string_parameters(query);
                let response = webhook.handle(request).await.map_err(|e| e.to_string())?;
                Ok(json!({"status": response.status().as_u16(), "body": ""}))
            })
        })
    }

    async fn counter(self) -> Handler {
        let first = Rc::new(self.numbers());
        counter::publish_rate(self.rate_keeper(first.first())).await;
        let counter = counter::Counter::new(self.counters(), self.campaigns(), None);
        let counter = Rc::new(counter);
        Rc::new(move |event, _| {
            let counter = Rc::clone(&counter);
            Box::pin(async move { answer(counter.handle(parse(event)?).await) })
        })
    }

    fn sender(self, sending: Sending) -> Handler {
        let numbers = self.numbers_of(sending);
        let own = numbers.first();
        let url = format!("{GRAPH_URL}/{GRAPH_VERSION}/{}/messages", own.id);
        let transport = self.meta.transport(&self.host);
        let client = whatsapp::client::Client::over(transport, url, own.rate.per_slot);
        let rate = self.rate_keeper(own);
        let sender = Rc::new(sender::Sender::new(
            self.campaigns(),
            self.contacts(),
            self.ledger(),
            numbers,
            self.secrets(),
            client,
            rate,
        ));
        Rc::new(move |event, context| {
            let sender = Rc::clone(&sender);
            Box::pin(async move { answer(sender.handle(parse(event)?, context).await) })
        })
    }

    fn splitter(self) -> Handler {
        let splitter = splitter::Splitter::new(
            self.campaigns(),
            self.imports(),
            self.contacts(),
            self.ledger(),
            self.counters(),
            self.files(),
            self.numbers(),
            self.import_queue(),
            self.waiting_jobs(),
            self.sent_files(),
        );
        let splitter = Rc::new(splitter.with_chunk_rows(CHUNK_ROWS));
        Rc::new(move |event, context| {
            let splitter = Rc::clone(&splitter);
            Box::pin(async move { answer(splitter.handle(parse(event)?, context).await) })
        })
    }

    fn reconciler(self) -> Handler {
        let reconciler = Rc::new(reconciler::Reconciler {
            campaigns: self.campaigns(),
            counters: self.counters(),
            ledger: self.ledger(),
            numbers: self.numbers(),
            installation: "simulation".into(),
            dead_letter_queue: self.queue("SendsDeadLetters"),
            dead_letters: DeadLetters::new(
                self.dynamodb.clone(),
                "CampaignsTable".into(),
                RETENTION_DAYS,
            ),
            import_queue: self.import_queue(),
            erasure_queue: self.erasures(),
            waiting_jobs: self.waiting_jobs(),
        });
        Rc::new(move |_, context| {
            let reconciler = Rc::clone(&reconciler);
            Box::pin(async move { answer(reconciler.handle(context).await) })
        })
    }

    fn reporter(self) -> Handler {
        let reporter = Rc::new(report::Reporter {
            campaigns: self.campaigns(),
            imports: self.imports(),
            ledger: self.ledger(),
            counters: self.counters(),
            contacts: self.contacts(),
            files: self.files(),
            jobs: self.jobs(),
            poll_interval: Duration::from_secs(2),
        });
        Rc::new(move |event, _| {
            let reporter = Rc::clone(&reporter);
            Box::pin(async move { answer(reporter.handle(parse(event)?).await) })
        })
    }

    fn eraser(self) -> Handler {
        let eraser = Rc::new(erase::Eraser {
            campaigns: self.campaigns(),
            imports: self.imports(),
            ledger: self.ledger(),
            callbacks: self.callbacks(),
            inbox: self.inbox(),
            contacts: self.contacts(),
            files: self.files(),
            waiting_jobs: self.waiting_jobs(),
        });
        Rc::new(move |event, _| {
            let eraser = Rc::clone(&eraser);
            Box::pin(async move { answer(eraser.handle(parse(event)?).await) })
        })
    }

    fn forwarder(self) -> Handler {
        let bus = EventBus::new(aws::eventbridge(&self.config), FORWARD_BUS.into());
        let forwarder = Rc::new(forward::Forwarder {
            callbacks: self.callbacks(),
            bus: Some(bus),
            endpoint: None,
        });
        Rc::new(move |event, _| {
            let forwarder = Rc::clone(&forwarder);
            Box::pin(async move { answer(forwarder.handle(parse(event)?).await) })
        })
    }
}

/// The request in an event of an HTTP API: `method`, `path`, `headers`, `body`.
fn http_request(event: &Value) -> axum::http::Request<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let mut request = axum::http::Request::builder()
        .method(text("method").as_str())
        .uri(text("path"));
    for (name, value) in event["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    request
        .body(text("body"))
        .unwrap_or_else(|error| panic!("{event}: {error}"))
}

fn parse<T: serde::de::DeserializeOwned>(event: Value) -> Result<T, String> {
    serde_json::from_value(event).map_err(|error| format!("an event that is none: {error}"))
}

fn answer<T: Serialize>(result: Result<T, lambda_runtime::Error>) -> Result<Value, String> {
    let answer = result.map_err(|error| error.to_string())?;
    serde_json::to_value(answer).map_err(|error| error.to_string())
}
