//! Signs callbacks, posts them, and posts them again until the webhook accepts them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use reqwest::{Client, RequestBuilder, header};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use whatsapp::signature;

use crate::callback_queue::StatusPost;
use crate::settings::Settings;
use crate::state::State;

const MAX_CONCURRENT_POSTS: usize = 4;

/// How long before a refused POST is sent again. Meta's delays grow, over seven days in all.
const REDELIVERY_DELAY: Duration = Duration::from_secs(1);

/// Counts as the answer time of a POST that the webhook did not accept.
const FAILED_POST_MS: f64 = 60_000.0;

/// Posts due statuses batch by batch, for ever.
pub async fn run_callback_loop(state: Arc<State>) {
    let http = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap_or_default();
    loop {
        let batch_window = Duration::from_millis(state.settings().batch_window_ms.max(1));
        tokio::time::sleep(batch_window).await;
        let now = state.elapsed();
        let posts = state.with_callbacks(|queue, _, settings| queue.take_due(now, settings));
        if posts.is_empty() {
            if state.with_callbacks(|queue, _, _| queue.is_idle()) {
                state.callbacks_scheduled.notified().await;
            }
            continue;
        }
        stream::iter(posts)
            .for_each_concurrent(MAX_CONCURRENT_POSTS, |post| {
                post_statuses(&state, &http, post)
            })
            .await;
    }
}

async fn post_statuses(state: &State, http: &Client, post: StatusPost) {
    let settings = state.settings();
    let count = post.statuses.len();
    let value = json!({"statuses": post.statuses});
    let body = callback_body(&settings, &post.number, "messages", value);
    post_until_accepted(state, http, &settings, body, count).await;
}

/// Posts an event that is not a status, such as an inbound message. `number` is the phone number id that it concerns.
/// Returns once the webhook accepts it.
pub async fn post_event(state: &State, number: &str, field: &str, value: Value) {
    let http = Client::builder().no_proxy().build().unwrap_or_default();
    let settings = state.settings();
    let body = callback_body(&settings, number, field, value);
    post_until_accepted(state, &http, &settings, body, 0).await;
}

/// Repeats `count` deliveries of accepted messages, each in a POST of its own, `per_second` of them a second whether
/// earlier ones are answered or not. Returns the answer times in milliseconds, in ascending order.
pub async fn post_at_pace(state: Arc<State>, count: usize, per_second: f64) -> Vec<f64> {
    let http = Client::builder().no_proxy().build().unwrap_or_default();
    let calls = state.calls();
    let accepted: Vec<_> = calls.iter().filter(|call| call.accepted).collect();
    let mut posts = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    for (index, call) in accepted.iter().cycle().take(count).enumerate() {
        ticks.tick().await;
        let status = json!({"id": format!("wamid.PACE{index}"), "status": "delivered",
            "timestamp": state.now_seconds().to_string(), "biz_opaque_callback_data": format!("{}:1", call.row)});
        let settings = state.settings();
        let value = json!({"statuses": [status]});
        let body = callback_body(&settings, &call.number, "messages", value);
        let request = signed_post(&http, &settings, body);
        posts.spawn(async move {
            let start = Instant::now();
            match request.send().await {
                Ok(response) if response.status().is_success() => {
                    start.elapsed().as_secs_f64() * 1000.0
                }
                Ok(_) | Err(_) => FAILED_POST_MS,
            }
        });
    }
    let mut times = posts.join_all().await;
    times.sort_by(f64::total_cmp);
    times
}

/// Posts one body until the webhook accepts it. `statuses` is how many statuses of the queue it carries.
async fn post_until_accepted(
    state: &State,
    http: &Client,
    settings: &Settings,
    body: String,
    statuses: usize,
) {
    loop {
        let start = Instant::now();
        let response = signed_post(http, settings, body.clone()).send().await;
        let accepted = response.is_ok_and(|response| response.status().is_success());
        state.with_callbacks(|queue, stats, _| {
            if accepted {
                stats
                    .accepted_ms
                    .push(start.elapsed().as_secs_f64() * 1000.0);
                stats.statuses += statuses;
                queue.mark_delivered(statuses);
            } else {
                stats.refused += 1;
            }
        });
        if accepted {
            return;
        }
        tokio::time::sleep(REDELIVERY_DELAY).await;
    }
}

/// The body of a callback about the number with this id, and its signature, the header `X-Hub-Signature-256`.
pub fn signed_callback(
    settings: &Settings,
    number: &str,
    field: &str,
    value: Value,
) -> (String, String) {
    let body = callback_body(settings, number, field, value);
    let signature = sign(&body, settings);
    (body, signature)
}

fn sign(body: &str, settings: &Settings) -> String {
    let secret = SecretString::from(settings.app_secret.as_str());
    signature::sign(body.as_bytes(), &secret)
}

fn signed_post(http: &Client, settings: &Settings, body: String) -> RequestBuilder {
    http.post(&settings.webhook_url)
        .header("x-hub-signature-256", sign(&body, settings))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
}

/// Only messages and statuses name the number.
fn callback_body(settings: &Settings, number: &str, field: &str, mut value: Value) -> String {
    if field == "messages" {
        let display_number = settings.display_number(number);
        value["messaging_product"] = "whatsapp".into();
        value["metadata"] =
            json!({"display_phone_number": display_number, "phone_number_id": number});
    }
    let change = json!({"field": field, "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "200000000000002", "changes": [change]}]})
        .to_string()
}
