//! What happens to a call. Decided at once, on arrival; answered after the latency.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::account::Account;
use crate::arrival::now_us;
use crate::call_log::{Call, CallLog, Stats};
use crate::callbacks::{CallbackQueue, PostStats};
use crate::limits::Limits;
use crate::magic_numbers::{self, Behavior};
use crate::settings::Settings;
use crate::validation::{self, ApiError};

/// Everything the simulator knows.
#[derive(Debug)]
pub struct State {
    started_at_us: u64,
    inner: Mutex<Inner>,
    /// Wakes the reporter.
    pub callbacks_scheduled: Notify,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    limits: Limits,
    call_log: CallLog,
    callback_queue: CallbackQueue,
    post_stats: PostStats,
    account: Account,
    accepted: u64,
    inbound_messages: u64,
    forwarded: BTreeSet<String>,
}

/// An answer: what to say, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct SendResponse {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: ResponseBody,
    /// How long it takes.
    pub delay: Duration,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseBody {
    /// JSON, as the API says it.
    Json(Value),
    /// Plain text, as a proxy in between says it.
    Text(&'static str),
    /// A connection that breaks off within the answer.
    Truncated,
    /// None, for longer than anybody waits.
    NoResponse,
}

/// Longer than anybody waits for an answer.
const NO_RESPONSE_DELAY: Duration = Duration::from_secs(60);

/// A slow answer, which is waited for.
const SLOW_RESPONSE_DELAY: Duration = Duration::from_secs(10);

/// A send as it arrived.
#[derive(Debug)]
pub struct SendRequest<'a> {
    /// When, since the simulator's start.
    pub at: Duration,
    /// The number id in the path.
    pub phone_number_id: &'a str,
    /// Header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The body, `Null` where it is no JSON.
    pub body: Value,
}

impl State {
    /// Nothing has happened yet.
    pub fn new(settings: Settings) -> Self {
        let inner = Inner {
            settings,
            limits: Limits::default(),
            call_log: CallLog::default(),
            callback_queue: CallbackQueue::default(),
            post_stats: PostStats::default(),
            account: Account::default(),
            accepted: 0,
            inbound_messages: 0,
            forwarded: BTreeSet::new(),
        };
        Self {
            started_at_us: now_us(),
            inner: Mutex::new(inner),
            callbacks_scheduled: Notify::new(),
        }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.since_start(now_us())
    }

    /// A time of day in microseconds as time since the start.
    pub fn since_start(&self, at_us: u64) -> Duration {
        Duration::from_micros(at_us.saturating_sub(self.started_at_us))
    }

    /// The start, in milliseconds since the Unix epoch.
    fn started_at_ms(&self) -> u64 {
        self.started_at_us / 1000
    }

    /// Decides a send and enters it into the books.
    pub fn handle_send(&self, send: SendRequest<'_>, latency: Duration) -> SendResponse {
        let mut inner = self.lock();
        let (answer, call) = inner.decide(&send, latency, self.started_at_ms());
        inner.call_log.record(call);
        drop(inner);
        self.callbacks_scheduled.notify_one();
        answer
    }

    /// Looks at the account or changes it; `None` where the token is wrong.
    pub fn with_account<T>(
        &self,
        authorization: Option<&str>,
        look: impl FnOnce(&mut Account) -> T,
    ) -> Option<T> {
        let mut inner = self.lock();
        let expected = format!("Bearer {}", inner.settings.access_token);
        (authorization == Some(expected.as_str())).then(|| look(&mut inner.account))
    }

    /// Seconds since 1970.
    pub fn now_seconds(&self) -> u64 {
        now_us() / 1_000_000
    }

    /// An id for a message from somebody.
    pub fn next_inbound_wamid(&self) -> String {
        let mut inner = self.lock();
        inner.inbound_messages += 1;
        format!(
            "wamid.IN{:010}{:08}",
            self.started_at_us / 1_000_000,
            inner.inbound_messages
        )
    }

    /// A forwarded callback came, under this id.
    pub fn record_forwarded(&self, id: &str) {
        self.lock().forwarded.insert(id.to_owned());
    }

    /// How many different ones came.
    pub fn forwarded_count(&self) -> usize {
        self.lock().forwarded.len()
    }

    /// Management calls so far.
    pub fn management_call_count(&self) -> u64 {
        self.lock().account.call_count
    }

    /// Replaces the account's templates; items as Meta lists them.
    pub fn set_templates(&self, templates: Vec<Value>) {
        self.lock().account.templates = templates;
    }

    /// The settings now.
    pub fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    /// Changes the settings named in `changes`.
    pub fn update_settings(&self, changes: &Value) -> Result<Settings, serde_json::Error> {
        let mut inner = self.lock();
        let mut settings = serde_json::to_value(&inner.settings)?;
        if let (Some(settings), Some(changes)) = (settings.as_object_mut(), changes.as_object()) {
            settings.extend(changes.clone());
        }
        inner.settings = serde_json::from_value(settings)?;
        Ok(inner.settings.clone())
    }

    /// The books in figures.
    pub fn stats(&self) -> Stats {
        self.lock().call_log.stats(self.started_at_ms())
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().call_log.calls().to_vec()
    }

    /// Begins new books; settings stay.
    pub fn clear_call_log(&self) {
        let mut inner = self.lock();
        inner.call_log = CallLog::default();
        inner.callback_queue = CallbackQueue::default();
        inner.post_stats = PostStats::default();
    }

    /// Works on the outbox and the record of POSTs.
    pub fn with_callbacks<T>(
        &self,
        work: impl FnOnce(&mut CallbackQueue, &mut PostStats, &Settings) -> T,
    ) -> T {
        let Inner {
            callback_queue: outbox,
            post_stats: posts,
            settings,
            ..
        } = &mut *self.lock();
        work(outbox, posts, settings)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn decide(
        &mut self,
        send: &SendRequest<'_>,
        latency: Duration,
        began_at: u64,
    ) -> (SendResponse, Call) {
        let tracker = send.body["biz_opaque_callback_data"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let row = tracker
            .rsplit_once(':')
            .map_or(tracker.as_str(), |(row, _)| row)
            .to_owned();
        let to = send.body["to"].as_str().unwrap_or_default().to_owned();
        let (answer, accepted, code) = match self.outcome(send, &row) {
            Ok(magic) => {
                let body = self.accept(&to, &tracker, magic, send.at + latency, began_at);
                (accepted_answer(body, magic, latency), true, None)
            }
            Err(Failure::Refused(refusal)) => {
                (refusal_answer(&refusal, latency), false, Some(refusal.code))
            }
            Err(Failure::Body(status, body)) => {
                let silent = body == ResponseBody::NoResponse;
                let after = if silent { NO_RESPONSE_DELAY } else { latency };
                let answer = SendResponse {
                    status,
                    body,
                    delay: after,
                };
                (answer, false, None)
            }
        };
        let call = Call {
            at_us: send.at.as_micros() as u64,
            answered_us: (send.at + answer.delay).as_micros() as u64,
            to,
            row,
            accepted,
            code,
            body: send.body.clone(),
        };
        (answer, call)
    }

    fn outcome(&mut self, send: &SendRequest<'_>, row: &str) -> Result<Option<Behavior>, Failure> {
        validation::validate_caller(&self.settings, send.phone_number_id, send.authorization)?;
        let to = validation::validate_request(&send.body)?;
        if !self
            .limits
            .try_throughput(send.at, self.settings.throughput)
        {
            return Err(refusal(
                130429,
                "Cloud API message throughput has been reached",
            ));
        }
        if !self.limits.try_pair(send.at, to) {
            return Err(refusal(
                131056,
                "Too many messages to this person in a short time",
            ));
        }
        if let Some(code) = self.settings.refuse {
            return Err(refusal(code, "every call is refused"));
        }
        let fault = (rand::random::<f64>() < self.settings.fault_share).then(|| {
            magic_numbers::RANDOM_FAULTS[rand::random_range(0..magic_numbers::RANDOM_FAULTS.len())]
        });
        match magic_numbers::behavior_of(to).or(fault) {
            Some(Behavior::Refuse(code)) => Err(refusal(code, "a magic number")),
            Some(Behavior::RefuseTwice(code)) if self.call_log.calls_for_row(row) < 2 => {
                Err(refusal(code, "a magic number"))
            }
            Some(Behavior::TimeOut) => Err(Failure::Body(200, ResponseBody::NoResponse)),
            Some(Behavior::DropConnection) => Err(Failure::Body(200, ResponseBody::Truncated)),
            Some(Behavior::BadGateway) => {
                Err(Failure::Body(502, ResponseBody::Text("Bad Gateway")))
            }
            other => Ok(other),
        }
    }

    fn accept(
        &mut self,
        to: &str,
        tracker: &str,
        magic: Option<Behavior>,
        from: Duration,
        began_at: u64,
    ) -> Value {
        self.accepted += 1;
        let wamid = format!("wamid.SIM{:016}", self.accepted);
        let wa_id = to.trim_start_matches('+');
        self.callback_queue.schedule(
            &self.settings,
            magic,
            &wamid,
            wa_id,
            tracker,
            from,
            began_at,
        );
        let status = if magic == Some(Behavior::HeldForQuality) {
            "held_for_quality_assessment"
        } else {
            "accepted"
        };
        let mut contact = json!({"input": to, "wa_id": wa_id});
        if self.settings.user_ids {
            contact["user_id"] = format!("XX.{wa_id}").into();
        }
        json!({
            "messaging_product": "whatsapp",
            "contacts": [contact],
            "messages": [{"id": wamid, "message_status": status}],
        })
    }
}

/// Why a call was not accepted.
enum Failure {
    Refused(ApiError),
    Body(u16, ResponseBody),
}

impl From<ApiError> for Failure {
    fn from(refusal: ApiError) -> Self {
        Failure::Refused(refusal)
    }
}

fn refusal(code: i64, details: &str) -> Failure {
    Failure::Refused(ApiError {
        code,
        details: details.to_owned(),
    })
}

fn accepted_answer(body: Value, magic: Option<Behavior>, after: Duration) -> SendResponse {
    match magic {
        Some(Behavior::AcceptThenDrop) => SendResponse {
            status: 200,
            body: ResponseBody::Truncated,
            delay: after,
        },
        Some(Behavior::AcceptThenTimeOut) => SendResponse {
            status: 200,
            body: ResponseBody::NoResponse,
            delay: NO_RESPONSE_DELAY,
        },
        Some(Behavior::RespondSlowly) => SendResponse {
            status: 200,
            body: ResponseBody::Json(body),
            delay: SLOW_RESPONSE_DELAY,
        },
        Some(Behavior::AcceptWithServerError) => {
            let hidden = ApiError {
                code: 131000,
                details: "Something went wrong".into(),
            };
            SendResponse {
                status: 500,
                ..refusal_answer(&hidden, after)
            }
        }
        _ => SendResponse {
            status: 200,
            body: ResponseBody::Json(body),
            delay: after,
        },
    }
}

fn refusal_answer(refusal: &ApiError, after: Duration) -> SendResponse {
    let status = match refusal.code {
        190 => 401,
        10 | 131005 | 368 | 131031 => 403,
        1 | 2 | 131000 | 131016 | 131057 | 133004 => 500,
        4 | 80007 | 130429 | 131048 | 131056 => 429,
        _ => 400,
    };
    let error = json!({"error": {
        "message": format!("(#{}) {}", refusal.code, refusal.details), "type": "OAuthException", "code": refusal.code,
        "error_data": {"messaging_product": "whatsapp", "details": refusal.details}, "fbtrace_id": "Asimulated",
    }});
    SendResponse {
        status,
        body: ResponseBody::Json(error),
        delay: after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(state: &State, to: &str, row: u32) -> SendResponse {
        let settings = state.settings();
        let authorization = format!("Bearer {}", settings.access_token);
        let body = json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "x"},
            "biz_opaque_callback_data": format!("c1:{row}:1")});
        let at = state.elapsed();
        let send = SendRequest {
            at,
            phone_number_id: &settings.phone_number_id,
            authorization: Some(&authorization),
            body,
        };
        state.handle_send(send, Duration::ZERO)
    }

    #[test]
    fn the_books_tell_accepted_from_answered() {
        let state = State::new(Settings::default());
        assert_eq!(send(&state, "+5511987654321", 1).status, 200);
        assert_eq!(
            send(&state, "+12025550101", 2).body,
            ResponseBody::Truncated
        );
        assert_eq!(
            send(&state, "+12025550102", 3).body,
            ResponseBody::Truncated
        );
        assert_eq!(send(&state, "+12025550104", 4).status, 500);
        assert_eq!(send(&state, "+12025550150", 5).status, 401);
        let accepted: Vec<bool> = state.calls().iter().map(|call| call.accepted).collect();
        assert_eq!(accepted, [true, true, false, true, false]);
        assert_eq!(state.stats().refused, [(190, 1)].into());
    }

    #[test]
    fn a_number_refused_twice_is_accepted_the_third_time() {
        let state = State::new(Settings::default());
        let statuses: Vec<u16> = (0..3)
            .map(|_| send(&state, "+12025550112", 1).status)
            .collect();
        assert_eq!(statuses, [429, 429, 200]);
        let figures = state.stats();
        assert_eq!((figures.retries, figures.repeats), (2, 0));
    }

    #[test]
    fn every_call_is_refused_while_it_is_told_so() {
        let state = State::new(Settings {
            refuse: Some(131042),
            ..Settings::default()
        });
        assert_eq!(send(&state, "+5511987654321", 1).status, 400);
        state
            .update_settings(&json!({"refuse": null}))
            .expect("a setting");
        assert_eq!(send(&state, "+5511987654321", 1).status, 200);
        assert_eq!(state.stats().refused, [(131042, 1)].into());
    }

    #[test]
    fn faults_meet_the_share_of_calls_that_is_asked_for() {
        let state = State::new(Settings {
            fault_share: 0.5,
            throughput: 100_000,
            ..Settings::default()
        });
        let plain = |row| {
            let answer = send(&state, &format!("+55119{row:08}"), row);
            answer.status == 200
                && matches!(answer.body, ResponseBody::Json(_))
                && answer.delay < SLOW_RESPONSE_DELAY
        };
        let faults = (0..2000).filter(|&row| !plain(row)).count();
        assert!((800..1200).contains(&faults), "{faults}");
    }

    #[test]
    fn the_throughput_is_enforced() {
        let state = State::new(Settings {
            throughput: 3,
            ..Settings::default()
        });
        let codes: Vec<u16> = (1..=5)
            .map(|row| send(&state, &format!("+551198765432{row}"), row).status)
            .collect();
        assert_eq!(codes, [200, 200, 200, 429, 429]);
    }

    #[test]
    fn settings_change_field_by_field() {
        let state = State::new(Settings::default());
        assert!(
            state
                .update_settings(&json!({"batch_size": 7}))
                .is_ok_and(|settings| settings.batch_size == 7)
        );
        assert!(state.update_settings(&json!({"batch_sise": 7})).is_err());
        assert_eq!(state.settings().batch_size, 7);
    }
}
