//! What happens to a call. Decided at once, on arrival; answered after the latency.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::account::Account;
use crate::arrival::now_us;
use crate::books::{Books, Call, Figures};
use crate::check::{self, Refusal};
use crate::limits::Limits;
use crate::magic::{self, Magic};
use crate::reports::{Outbox, Posts};
use crate::settings::Settings;

/// Everything the simulator knows.
#[derive(Debug)]
pub struct State {
    began_at_us: u64,
    inner: Mutex<Inner>,
    /// Wakes the reporter.
    pub wake: Notify,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    limits: Limits,
    books: Books,
    outbox: Outbox,
    posts: Posts,
    account: Account,
    accepted: u64,
    written: u64,
    forwarded: BTreeSet<String>,
}

/// An answer: what to say, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Body,
    /// How long it takes.
    pub after: Duration,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// JSON, as the API says it.
    Json(Value),
    /// Plain text, as a proxy in between says it.
    Text(&'static str),
    /// A connection that breaks off within the answer.
    Broken,
    /// None, for longer than anybody waits.
    Silence,
}

/// Longer than anybody waits for an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// A slow answer, which is waited for.
const SLOW: Duration = Duration::from_secs(10);

/// A send as it arrived.
#[derive(Debug)]
pub struct Send<'a> {
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
            books: Books::default(),
            outbox: Outbox::default(),
            posts: Posts::default(),
            account: Account::default(),
            accepted: 0,
            written: 0,
            forwarded: BTreeSet::new(),
        };
        Self {
            began_at_us: now_us(),
            inner: Mutex::new(inner),
            wake: Notify::new(),
        }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.since_start(now_us())
    }

    /// A time of day in microseconds as time since the start.
    pub fn since_start(&self, at_us: u64) -> Duration {
        Duration::from_micros(at_us.saturating_sub(self.began_at_us))
    }

    /// The start, in milliseconds since the Unix epoch.
    fn began_at(&self) -> u64 {
        self.began_at_us / 1000
    }

    /// Decides a send and enters it into the books.
    pub fn send(&self, send: Send<'_>, latency: Duration) -> Answer {
        let mut inner = self.lock();
        let (answer, call) = inner.decide(&send, latency, self.began_at());
        inner.books.enter(call);
        drop(inner);
        self.wake.notify_one();
        answer
    }

    /// Looks at the account or changes it; `None` where the token is wrong.
    pub fn account<T>(
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
    pub fn next_wamid(&self) -> String {
        let mut inner = self.lock();
        inner.written += 1;
        format!(
            "wamid.IN{:010}{:08}",
            self.began_at_us / 1_000_000,
            inner.written
        )
    }

    /// A forwarded callback came, under this id.
    pub fn forwarded(&self, id: &str) {
        self.lock().forwarded.insert(id.to_owned());
    }

    /// How many different ones came.
    pub fn forwarded_so_far(&self) -> usize {
        self.lock().forwarded.len()
    }

    /// Management calls so far.
    pub fn management_calls(&self) -> u64 {
        self.lock().account.calls
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
    pub fn set(&self, changes: &Value) -> Result<Settings, serde_json::Error> {
        let mut inner = self.lock();
        let mut settings = serde_json::to_value(&inner.settings)?;
        if let (Some(settings), Some(changes)) = (settings.as_object_mut(), changes.as_object()) {
            settings.extend(changes.clone());
        }
        inner.settings = serde_json::from_value(settings)?;
        Ok(inner.settings.clone())
    }

    /// The books in figures.
    pub fn figures(&self) -> Figures {
        self.lock().books.figures(self.began_at())
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().books.calls().to_vec()
    }

    /// Begins new books; settings stay.
    pub fn forget(&self) {
        let mut inner = self.lock();
        inner.books = Books::default();
        inner.outbox = Outbox::default();
        inner.posts = Posts::default();
    }

    /// Works on the outbox and the record of POSTs.
    pub fn reports<T>(&self, work: impl FnOnce(&mut Outbox, &mut Posts, &Settings) -> T) -> T {
        let Inner {
            outbox,
            posts,
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
    fn decide(&mut self, send: &Send<'_>, latency: Duration, began_at: u64) -> (Answer, Call) {
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
                let silent = body == Body::Silence;
                let after = if silent { SILENCE } else { latency };
                let answer = Answer {
                    status,
                    body,
                    after,
                };
                (answer, false, None)
            }
        };
        let call = Call {
            at_us: send.at.as_micros() as u64,
            answered_us: (send.at + answer.after).as_micros() as u64,
            to,
            row,
            accepted,
            code,
            body: send.body.clone(),
        };
        (answer, call)
    }

    fn outcome(&mut self, send: &Send<'_>, row: &str) -> Result<Option<Magic>, Failure> {
        check::caller(&self.settings, send.phone_number_id, send.authorization)?;
        let to = check::request(&send.body)?;
        if !self.limits.throughput(send.at, self.settings.throughput) {
            return Err(refusal(
                130429,
                "Cloud API message throughput has been reached",
            ));
        }
        if !self.limits.pair(send.at, to) {
            return Err(refusal(
                131056,
                "Too many messages to this person in a short time",
            ));
        }
        if let Some(code) = self.settings.refuse {
            return Err(refusal(code, "every call is refused"));
        }
        let fault = (rand::random::<f64>() < self.settings.fault_share)
            .then(|| magic::FAULTS[rand::random_range(0..magic::FAULTS.len())]);
        match magic::of(to).or(fault) {
            Some(Magic::Refuse(code)) => Err(refusal(code, "a magic number")),
            Some(Magic::RefuseTwice(code)) if self.books.calls_of(row) < 2 => {
                Err(refusal(code, "a magic number"))
            }
            Some(Magic::SilentBefore) => Err(Failure::Body(200, Body::Silence)),
            Some(Magic::BreakOff) => Err(Failure::Body(200, Body::Broken)),
            Some(Magic::BadGateway) => Err(Failure::Body(502, Body::Text("Bad Gateway"))),
            other => Ok(other),
        }
    }

    fn accept(
        &mut self,
        to: &str,
        tracker: &str,
        magic: Option<Magic>,
        from: Duration,
        began_at: u64,
    ) -> Value {
        self.accepted += 1;
        let wamid = format!("wamid.SIM{:016}", self.accepted);
        let wa_id = to.trim_start_matches('+');
        self.outbox.schedule(
            &self.settings,
            magic,
            &wamid,
            wa_id,
            tracker,
            from,
            began_at,
        );
        let status = if magic == Some(Magic::HeldForQuality) {
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
    Refused(Refusal),
    Body(u16, Body),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

fn refusal(code: i64, details: &str) -> Failure {
    Failure::Refused(Refusal {
        code,
        details: details.to_owned(),
    })
}

fn accepted_answer(body: Value, magic: Option<Magic>, after: Duration) -> Answer {
    match magic {
        Some(Magic::LoseAnswer) => Answer {
            status: 200,
            body: Body::Broken,
            after,
        },
        Some(Magic::SilentAfter) => Answer {
            status: 200,
            body: Body::Silence,
            after: SILENCE,
        },
        Some(Magic::Slow) => Answer {
            status: 200,
            body: Body::Json(body),
            after: SLOW,
        },
        Some(Magic::HiddenSend) => {
            let hidden = Refusal {
                code: 131000,
                details: "Something went wrong".into(),
            };
            Answer {
                status: 500,
                ..refusal_answer(&hidden, after)
            }
        }
        _ => Answer {
            status: 200,
            body: Body::Json(body),
            after,
        },
    }
}

fn refusal_answer(refusal: &Refusal, after: Duration) -> Answer {
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
    Answer {
        status,
        body: Body::Json(error),
        after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(state: &State, to: &str, row: u32) -> Answer {
        let settings = state.settings();
        let authorization = format!("Bearer {}", settings.access_token);
        let body = json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "x"},
            "biz_opaque_callback_data": format!("c1:{row}:1")});
        let at = state.elapsed();
        let send = Send {
            at,
            phone_number_id: &settings.phone_number_id,
            authorization: Some(&authorization),
            body,
        };
        state.send(send, Duration::ZERO)
    }

    #[test]
    fn the_books_tell_accepted_from_answered() {
        let state = State::new(Settings::default());
        assert_eq!(send(&state, "+5511987654321", 1).status, 200);
        assert_eq!(send(&state, "+12025550101", 2).body, Body::Broken);
        assert_eq!(send(&state, "+12025550102", 3).body, Body::Broken);
        assert_eq!(send(&state, "+12025550104", 4).status, 500);
        assert_eq!(send(&state, "+12025550150", 5).status, 401);
        let accepted: Vec<bool> = state.calls().iter().map(|call| call.accepted).collect();
        assert_eq!(accepted, [true, true, false, true, false]);
        assert_eq!(state.figures().refused, [(190, 1)].into());
    }

    #[test]
    fn a_number_refused_twice_is_accepted_the_third_time() {
        let state = State::new(Settings::default());
        let statuses: Vec<u16> = (0..3)
            .map(|_| send(&state, "+12025550112", 1).status)
            .collect();
        assert_eq!(statuses, [429, 429, 200]);
        let figures = state.figures();
        assert_eq!((figures.retries, figures.repeats), (2, 0));
    }

    #[test]
    fn every_call_is_refused_while_it_is_told_so() {
        let state = State::new(Settings {
            refuse: Some(131042),
            ..Settings::default()
        });
        assert_eq!(send(&state, "+5511987654321", 1).status, 400);
        state.set(&json!({"refuse": null})).expect("a setting");
        assert_eq!(send(&state, "+5511987654321", 1).status, 200);
        assert_eq!(state.figures().refused, [(131042, 1)].into());
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
            answer.status == 200 && matches!(answer.body, Body::Json(_)) && answer.after < SLOW
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
                .set(&json!({"batch": 7}))
                .is_ok_and(|settings| settings.batch == 7)
        );
        assert!(state.set(&json!({"bach": 7})).is_err());
        assert_eq!(state.settings().batch, 7);
    }
}
