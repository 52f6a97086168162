//! Meta in this process: the state model of the simulator behind a transport that loses, delays and repeats.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use campaign::delivery::outcome::ErrorInfo;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use simulator::send::{ResponseBody, SendRequest, SendResponse};
use simulator::settings::Settings;
use simulator::state::State;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use whatsapp::client::RESPONSE_TIMEOUT;
use whatsapp::connection_pool::Opened;
use whatsapp::transport::{
    Connection, GetError, Post, PostError, Response, Transport, TransportFuture,
};

use crate::aws::Host;
use crate::call::{Call, Told, told};
use crate::clock;
use crate::random::Random;

/// Where Meta is; nothing resolves it.
pub const GRAPH_URL: &str = "http://meta.simulation";
/// The API's version.
pub const GRAPH_VERSION: &str = "v25.0";
/// The number that sends.
pub const PHONE_NUMBER_ID: &str = "100000000000001";
/// The second number that sends.
pub const SECOND_NUMBER_ID: &str = "100000000000002";
/// The WhatsApp Business account.
pub const WABA_ID: &str = "200000000000001";

/// The other end closes an idle connection after this time.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// What goes wrong between a sender and Meta, and at Meta. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MetaFaults {
    /// A connection cannot be opened.
    pub not_connected: f64,
    /// A connection breaks after a request has left and before it arrives.
    pub lost_before: f64,
    /// A connection breaks before the response arrives.
    pub lost_after: f64,
    /// A connection carries few requests.
    pub short_connections: f64,
}

/// Meta. Clones are the same.
#[derive(Clone, Debug)]
pub struct Meta(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: State,
    log: Mutex<Log>,
    departed: Notify,
}

#[derive(Debug)]
struct Log {
    random: Random,
    faults: MetaFaults,
    calls: Vec<Call>,
}

impl Meta {
    /// Meta with these settings. Must be made in virtual time.
    pub fn new(random: &Random, settings: Settings) -> Self {
        let settings = Settings {
            further_numbers: vec![SECOND_NUMBER_ID.to_owned()],
            ..settings
        };
        let log = Log {
            random: random.fork("meta"),
            faults: MetaFaults::default(),
            calls: Vec::new(),
        };
        Self(Arc::new(Shared {
            state: State::new(settings),
            log: Mutex::new(log),
            departed: Notify::new(),
        }))
    }

    /// The state model.
    pub fn state(&self) -> &State {
        &self.0.state
    }

    /// Every message that left a sender.
    pub fn calls(&self) -> Vec<Call> {
        self.log().calls.clone()
    }

    /// Waits until more messages than `seen` have left; returns the new ones.
    pub async fn wait_for_calls(&self, seen: usize) -> Vec<Call> {
        loop {
            let departed = self.0.departed.notified();
            let new = self.log().calls[seen..].to_vec();
            if !new.is_empty() {
                return new;
            }
            departed.await;
        }
    }

    /// Sets what goes wrong.
    pub fn set_faults(&self, faults: MetaFaults) {
        self.log().faults = faults;
    }

    /// Lets every message be refused with a code, or none.
    pub fn refuse(&self, code: Option<i64>) {
        self.change_settings(&json!({"refuse": code}));
    }

    /// From now on Meta answers at once and as it should.
    pub fn be_quiet(&self) {
        self.change_settings(&json!({"fault_share": 0.0, "slow_share": 0.0, "refuse": null}));
    }

    /// Changes how Meta behaves.
    pub(crate) fn change_settings(&self, changes: &Value) {
        if let Err(error) = self.state().update_settings(changes) {
            panic!("{changes}: {error}");
        }
    }

    /// The way from a process to Meta.
    pub fn transport(&self, host: &Host) -> Arc<dyn Transport> {
        Arc::new(Way {
            meta: self.clone(),
            host: host.clone(),
        })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happens(&self, kind: &'static str, share: impl FnOnce(&MetaFaults) -> f64) -> bool {
        let log = self.log();
        log.random.fault(kind, share(&log.faults))
    }

    fn millis(&self, range: std::ops::Range<u64>) -> Duration {
        self.log().random.millis(range)
    }

    /// Records that a message left; returns its place in the log.
    fn record_departure(&self, host: &Host, number: &str, body: &Value) -> usize {
        let data = body["biz_opaque_callback_data"].as_str();
        let mut data = data.unwrap_or_default().split(':');
        let mut next = || data.next().unwrap_or_default();
        let call = Call {
            at_ms: clock::now_ms(),
            campaign: next().to_owned(),
            row: next().parse().unwrap_or_default(),
            attempt: next().parse().unwrap_or_default(),
            to: body["to"].as_str().unwrap_or_default().to_owned(),
            number: number.to_owned(),
            invocation: host.invocation(),
            name: first_value(body),
            host: host.label().to_owned(),
            accepted: false,
            told: Told::Nothing,
        };
        self.0.departed.notify_waiters();
        let mut log = self.log();
        log.calls.push(call);
        log.calls.len() - 1
    }
}

/// The way from one process to Meta.
struct Way {
    meta: Meta,
    host: Host,
}

impl Transport for Way {
    fn open(&self) -> TransportFuture<'_, Result<Opened<Arc<dyn Connection>>, ErrorInfo>> {
        Box::pin(async move {
            sleep(self.meta.millis(10..300)).await;
            live(&self.host).await;
            if self
                .meta
                .happens("no connection to Meta", |faults| faults.not_connected)
            {
                return Err(ErrorInfo::transport("could not connect: connection failed"));
            }
            let is_short = self
                .meta
                .happens("short connection", |faults| faults.short_connections);
            let requests = match is_short {
                true => self.meta.log().random.range(0..5) as u32,
                false => 50,
            };
            let connection: Arc<dyn Connection> = Arc::new(Line {
                meta: self.meta.clone(),
                host: self.host.clone(),
                requests_left: AtomicU32::new(requests),
                last_used: Mutex::new(Instant::now()),
            });
            Ok(Opened {
                connection,
                is_multiplexed: false,
            })
        })
    }

    fn get<'a>(
        &'a self,
        url: &'a str,
        token: &'a SecretString,
    ) -> TransportFuture<'a, Result<Response, GetError>> {
        Box::pin(async move {
            sleep(self.meta.millis(20..200)).await;
            live(&self.host).await;
            if self
                .meta
                .happens("lost response", |faults| faults.lost_after)
            {
                return Err(GetError("no response"));
            }
            let authorization = format!("Bearer {}", token.expose_secret());
            let settings = self.meta.state().settings();
            let body = self
                .meta
                .state()
                .with_account(Some(&authorization), |account| {
                    if url.contains("/message_templates") {
                        json!({"data": account.templates})
                    } else {
                        account.phone_number(
                            &settings.phone_number_id,
                            &settings.daily_limit,
                            &settings.quality_rating,
                        )
                    }
                });
            let status = if body.is_some() { 200 } else { 401 };
            let body =
                body.unwrap_or_else(|| json!({"error": {"code": 190, "message": "Invalid token"}}));
            Ok(respond(status, body.to_string().into_bytes(), false))
        })
    }
}

/// An open connection.
struct Line {
    meta: Meta,
    host: Host,
    requests_left: AtomicU32,
    last_used: Mutex<Instant>,
}

impl Line {
    /// Whether the other end still takes a request.
    fn takes_request(&self) -> bool {
        let mut last_used = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_idle = last_used.elapsed() >= IDLE_LIMIT;
        *last_used = Instant::now();
        let left = self.requests_left.load(Ordering::Relaxed);
        self.requests_left
            .store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0 && !is_idle
    }
}

impl Connection for Line {
    fn post<'a>(&'a self, request: Post<'a>) -> TransportFuture<'a, Result<Response, PostError>> {
        Box::pin(async move {
            live(&self.host).await;
            if !self.takes_request() {
                if !request.may_open {
                    return Err(PostError::NotConnected(failed("could not connect")));
                }
                sleep(self.meta.millis(10..300)).await;
            }
            let (_, kill_point) = self.host.count_request();
            if kill_point.is_some_and(|point| !point.is_applied) {
                return die(&self.host).await;
            }
            self.host.goes_on().await;
            let Some(bytes) = request.body.depart() else {
                return Err(PostError::Failed(failed("not sent")));
            };
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            // …/{number}/messages
            let number = request.url.rsplit('/').nth(1).unwrap_or_default();
            let call = self.meta.record_departure(&self.host, number, &body);
            let answer = deliver(self.meta.clone(), call, number, request.token, body);
            if kill_point.is_some() {
                answer.await;
                return die(&self.host).await;
            }
            let answered = tokio::time::timeout(RESPONSE_TIMEOUT, answer).await;
            live(&self.host).await;
            let (response, told) = match answered {
                Ok(Some(answer)) => answer,
                Ok(None) => return Err(PostError::Failed(failed("no response"))),
                Err(_) => return Err(PostError::Failed(failed("no response: timed out"))),
            };
            self.meta.log().calls[call].told = told;
            Ok(response)
        })
    }
}

/// The first value of a message's text.
fn first_value(body: &Value) -> String {
    let template = body.pointer("/template/components/0/parameters/0/text");
    let text = body["text"]["body"].as_str();
    let text = text.and_then(|text| text.strip_prefix("Hello "));
    let value = template.and_then(Value::as_str).or(text);
    value.unwrap_or_default().to_owned()
}

/// What happens to a message that has left. `None` if no response arrives.
async fn deliver(
    meta: Meta,
    call: usize,
    number: &str,
    token: &SecretString,
    body: Value,
) -> Option<(Response, Told)> {
    sleep(meta.millis(1..30)).await;
    if meta.happens("lost message", |faults| faults.lost_before) {
        return None;
    }
    let state = meta.state();
    let authorization = format!("Bearer {}", token.expose_secret());
    let request = SendRequest {
        at: state.elapsed(),
        phone_number_id: number,
        authorization: Some(&authorization),
        body,
    };
    let latency = Duration::from_secs_f64(state.settings().sample_latency_ms() / 1000.0);
    let response = state.handle_send(request, latency);
    let accepted = state.accepted_last_call();
    meta.log().calls[call].accepted = accepted;
    sleep(response.delay).await;
    if meta.happens("lost response", |faults| faults.lost_after) {
        return None;
    }
    read_answer(&response)
}

fn read_answer(response: &SendResponse) -> Option<(Response, Told)> {
    match &response.body {
        ResponseBody::Json(body) => {
            let bytes = body.to_string().into_bytes();
            let answer = respond(response.status, bytes, false);
            Some((answer, told(response.status, body)))
        }
        ResponseBody::Text(text) => Some((
            respond(response.status, text.as_bytes().to_vec(), true),
            Told::Nothing,
        )),
        ResponseBody::Truncated | ResponseBody::NoResponse => None,
    }
}

fn respond(status: u16, body: Vec<u8>, closes: bool) -> Response {
    Response {
        status,
        retry_after: None,
        usage: None,
        closes,
        body,
    }
}

fn failed(what: &str) -> ErrorInfo {
    ErrorInfo::transport(what)
}

/// Goes on only if the process lives, and once it does not stand still.
async fn live(host: &Host) {
    host.goes_on().await;
    if host.is_dead() {
        std::future::pending::<()>().await;
    }
}

async fn die<T>(host: &Host) -> T {
    host.kill();
    std::future::pending().await
}
