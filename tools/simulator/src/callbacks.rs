//! Status callbacks: gathered, signed, posted, and posted again until they are taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use rand::seq::SliceRandom;
use reqwest::{Client, header};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use whatsapp::signature;

use crate::magic_numbers::Behavior;
use crate::settings::Settings;
use crate::state::State;

/// POSTs under way at once.
const MAX_CONCURRENT_POSTS: usize = 4;

/// How long before a POST that was not taken is sent again. Meta's grows, to seven days in all.
const REDELIVERY_DELAY: Duration = Duration::from_secs(1);

/// Statuses that wait for their time.
#[derive(Debug, Default)]
pub struct CallbackQueue {
    due: Vec<(Duration, Value)>,
    in_flight: usize,
}

/// What became of the POSTs.
#[derive(Clone, Debug, Default)]
pub struct PostStats {
    /// Answer times of POSTs that were taken, in milliseconds.
    pub accepted_ms: Vec<f64>,
    /// POSTs that were not taken.
    pub refused: usize,
    /// Statuses taken.
    pub statuses: usize,
}

/// The POSTs in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PostSummary {
    /// Taken.
    pub posts: usize,
    /// Not taken, and sent again.
    pub refused: usize,
    /// Statuses in the POSTs that were taken.
    pub statuses: usize,
    /// Statuses that wait or are under way.
    pub pending: usize,
    /// Median answer time, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the answer time, milliseconds.
    pub p99_ms: f64,
}

impl CallbackQueue {
    /// Schedules what will be reported of an accepted message, from the time of its answer on.
    #[expect(
        clippy::too_many_arguments,
        reason = "a message has that many facts, and nobody else needs them together"
    )]
    pub fn schedule(
        &mut self,
        settings: &Settings,
        magic: Option<Behavior>,
        wamid: &str,
        wa_id: &str,
        tracker: &str,
        from: Duration,
        began_at: u64,
    ) {
        if settings.webhook_url.is_empty() {
            return;
        }
        let mut at = from;
        for (status, error) in status_sequence(magic, settings.read_share) {
            at += Duration::from_secs_f64(
                settings.status_delay_ms / 1000.0 * (0.25 + 1.5 * rand::random::<f64>()),
            );
            let seconds = (began_at + at.as_millis() as u64) / 1000;
            let mut report = json!({
                "id": wamid, "status": status, "timestamp": seconds.to_string(), "recipient_id": wa_id,
                "biz_opaque_callback_data": tracker,
                "pricing": {"billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility"},
            });
            if let Some(code) = error {
                report["errors"] = json!([{"code": code, "title": format!("simulated error {code}"),
                    "message": format!("simulated error {code}"), "error_data": {"details": "a magic number"}}]);
            }
            if rand::random::<f64>() < settings.duplicate_share {
                self.due
                    .push((at + Duration::from_millis(700), report.clone()));
            }
            self.due.push((at, report));
        }
    }

    /// Takes what is due at `now`, cut into POSTs.
    fn take_due(&mut self, now: Duration, settings: &Settings) -> Vec<Vec<Value>> {
        let (mut due, later): (Vec<_>, Vec<_>) = self.due.drain(..).partition(|(at, _)| *at <= now);
        self.due = later;
        if settings.shuffle {
            due.shuffle(&mut rand::rng());
        } else {
            due.sort_by_key(|(at, _)| *at);
        }
        self.in_flight += due.len();
        let reports: Vec<Value> = due.into_iter().map(|(_, report)| report).collect();
        reports
            .chunks(settings.batch_size.max(1))
            .map(<[Value]>::to_vec)
            .collect()
    }
}

/// The statuses of a message in their order, the last with its error where it fails.
fn status_sequence(magic: Option<Behavior>, read_share: f64) -> Vec<(&'static str, Option<i64>)> {
    if let Some(Behavior::FailInCallback(code)) = magic {
        return vec![("sent", None), ("failed", Some(code))];
    }
    let mut course = vec![("sent", None), ("delivered", None)];
    if magic != Some(Behavior::NeverRead) && rand::random::<f64>() < read_share {
        course.push(("read", None));
    }
    course
}

impl PostStats {
    /// Adds up; `outbox` knows what is still to come.
    pub fn summary(&self, outbox: &CallbackQueue) -> PostSummary {
        let mut times = self.accepted_ms.clone();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| {
            times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
        };
        PostSummary {
            posts: times.len(),
            refused: self.refused,
            statuses: self.statuses,
            pending: outbox.due.len() + outbox.in_flight,
            p50_ms: at(0.5).copied().unwrap_or_default(),
            p99_ms: at(0.99).copied().unwrap_or_default(),
        }
    }
}

/// Posts what is due, window after window, for ever.
pub async fn run_callback_loop(state: Arc<State>) {
    let http = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap_or_default();
    loop {
        let window = Duration::from_millis(state.settings().batch_window_ms.max(1));
        tokio::time::sleep(window).await;
        let now = state.elapsed();
        let posts = state.with_callbacks(|outbox, _, settings| outbox.take_due(now, settings));
        if posts.is_empty() {
            let idle = state.with_callbacks(|outbox, _, _| outbox.due.is_empty());
            if idle {
                state.callbacks_scheduled.notified().await;
            }
            continue;
        }
        stream::iter(posts)
            .for_each_concurrent(MAX_CONCURRENT_POSTS, |statuses| {
                let change = json!({"statuses": statuses});
                post_until_accepted(&state, &http, "messages", change, statuses.len())
            })
            .await;
    }
}

/// Says something of its own, such as a message from somebody; returns once it is taken.
pub async fn post_event(state: &State, field: &str, value: Value) {
    let http = Client::builder().no_proxy().build().unwrap_or_default();
    post_until_accepted(state, &http, field, value, 0).await;
}

/// Reports so many deliveries once more, each in a POST of its own, so many a second, whether earlier ones are answered or
/// not; gives the answer times in milliseconds, the shortest first. One that is not taken counts as a minute.
pub async fn post_at_pace(state: Arc<State>, count: usize, per_second: f64) -> Vec<f64> {
    let http = Client::builder().no_proxy().build().unwrap_or_default();
    let calls = state.calls();
    let accepted: Vec<_> = calls.iter().filter(|call| call.accepted).collect();
    let mut posts = tokio::task::JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    for (index, call) in accepted.iter().cycle().take(count).enumerate() {
        ticks.tick().await;
        let status = json!({"id": format!("wamid.PACE{index}"), "status": "delivered",
            "timestamp": state.now_seconds().to_string(), "biz_opaque_callback_data": format!("{}:1", call.row)});
        let settings = state.settings();
        let body = callback_body(&settings, "messages", json!({"statuses": [status]}));
        let secret = SecretString::from(settings.app_secret);
        let signature = signature::sign(body.as_bytes(), &secret);
        let request = http
            .post(&settings.webhook_url)
            .header("x-hub-signature-256", signature)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        posts.spawn(async move {
            let sent = Instant::now();
            match request.send().await {
                Ok(answer) if answer.status().is_success() => sent.elapsed().as_secs_f64() * 1000.0,
                Ok(_) | Err(_) => 60_000.0,
            }
        });
    }
    let mut times = posts.join_all().await;
    times.sort_by(f64::total_cmp);
    times
}

/// Sends one POST until it is taken; `statuses` of the outbox are in it.
async fn post_until_accepted(
    state: &State,
    http: &Client,
    field: &str,
    value: Value,
    statuses: usize,
) {
    let settings = state.settings();
    let body = callback_body(&settings, field, value);
    let signature = signature::sign(
        body.as_bytes(),
        &SecretString::from(settings.app_secret.as_str()),
    );
    loop {
        let sent = Instant::now();
        let request = http
            .post(&settings.webhook_url)
            .header("x-hub-signature-256", &signature);
        let answer = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.clone())
            .send()
            .await;
        let taken = answer.is_ok_and(|answer| answer.status().is_success());
        state.with_callbacks(|outbox, posts, _| {
            if taken {
                posts
                    .accepted_ms
                    .push(sent.elapsed().as_secs_f64() * 1000.0);
                posts.statuses += statuses;
                outbox.in_flight = outbox.in_flight.saturating_sub(statuses);
            } else {
                posts.refused += 1;
            }
        });
        if taken {
            return;
        }
        tokio::time::sleep(REDELIVERY_DELAY).await;
    }
}

fn callback_body(settings: &Settings, field: &str, mut value: Value) -> String {
    if field == "messages" {
        let number = &settings.phone_number_id;
        value["messaging_product"] = "whatsapp".into();
        value["metadata"] =
            json!({"display_phone_number": "15550000000", "phone_number_id": number});
    }
    let change = json!({"field": field, "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "200000000000002", "changes": [change]}]})
        .to_string()
}
