//! The routes: Meta's one, and `/_control` for tests and people.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{ConnectInfo, Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arrival::LastArrival;
use crate::callbacks;
use crate::settings::{Settings, sample_standard_normal};
use crate::state::{ResponseBody, SendRequest, SendResponse, State};

/// Meta's route, and the controls.
pub fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/{version}/{phone_number_id}/messages", post(send))
        .route("/{version}/{waba_id}/message_templates", get(templates))
        .route("/{version}/{phone_number_id}", get(number))
        .route(
            "/_control/health",
            get(|| async { Json(json!({"status": "ok"})) }),
        )
        .route("/_control/stats", get(books))
        .route("/_control/call-log", get(calls).delete(forget))
        .route("/_control/inbound", post(inbound))
        .route("/_control/pace", post(pace))
        .route("/_control/forwarded", get(forwarded).post(forward))
        .route("/_control/settings", put(set))
        .route("/_control/templates", put(set_templates))
        .with_state(state)
}

async fn send(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(arrivals): ConnectInfo<LastArrival>,
    Path((_version, phone_number_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let at = state.since_start(arrivals.at_us());
    let authorization = bearer(&headers);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let latency =
        Duration::from_secs_f64(state.settings().latency_ms(sample_standard_normal()) / 1000.0);
    let send = SendRequest {
        at,
        phone_number_id: &phone_number_id,
        authorization,
        body,
    };
    let SendResponse {
        status,
        body,
        delay: after,
    } = state.handle_send(send, latency);
    tokio::time::sleep(after).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        ResponseBody::Json(json) => (status, Json(json)).into_response(),
        ResponseBody::Text(text) => (status, text).into_response(),
        ResponseBody::NoResponse => StatusCode::GATEWAY_TIMEOUT.into_response(),
        ResponseBody::Truncated => (status, HttpBody::from_stream(broken())).into_response(),
    }
}

/// What a page of templates is asked for with.
#[derive(Debug, Deserialize)]
struct Paging {
    limit: Option<usize>,
    after: Option<String>,
}

async fn templates(
    Shared(state): Shared<Arc<State>>,
    Path((_version, waba_id)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Response {
    if waba_id != state.settings().waba_id {
        return graph_error(100, "Object does not exist");
    }
    let page = state.with_account(bearer(&headers), |account| {
        account.template_page(paging.limit.unwrap_or(25), paging.after.as_deref())
    });
    page.map_or_else(
        || graph_error(190, "Invalid OAuth access token"),
        |page| Json(page).into_response(),
    )
}

async fn number(
    Shared(state): Shared<Arc<State>>,
    Path((_version, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Settings {
        phone_number_id,
        daily_limit,
        ..
    } = state.settings();
    if id != phone_number_id {
        return graph_error(100, "Object does not exist");
    }
    let number = state.with_account(bearer(&headers), |account| {
        account.phone_number(&id, &daily_limit)
    });
    number.map_or_else(
        || graph_error(190, "Invalid OAuth access token"),
        |number| Json(number).into_response(),
    )
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
}

fn graph_error(code: u32, message: &str) -> Response {
    let error = json!({"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "simulated"}});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// A few bytes, then the connection breaks.
fn broken() -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    let pieces: [Result<Bytes, std::io::Error>; 2] = [
        Ok(Bytes::from_static(b"{\"messaging_")),
        Err(std::io::ErrorKind::ConnectionReset.into()),
    ];
    stream::iter(pieces)
}

async fn books(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let callbacks = state.with_callbacks(|outbox, posts, _| posts.summary(outbox));
    let management = json!({"calls": state.management_call_count()});
    Json(json!({"sends": state.stats(), "callbacks": callbacks, "management": management}))
}

async fn calls(Shared(state): Shared<Arc<State>>) -> Result<Json<Value>, Infallible> {
    Ok(Json(json!(state.calls())))
}

/// A message that somebody writes.
#[derive(Debug, Deserialize)]
struct Inbound {
    from: String,
    text: String,
    /// The message it answers.
    context: Option<String>,
}

/// Somebody writes; answers once the webhook has taken it.
async fn inbound(Shared(state): Shared<Arc<State>>, Json(inbound): Json<Inbound>) -> Json<Value> {
    let from = inbound.from.trim_start_matches('+');
    let (at, id) = (state.now_seconds(), state.next_inbound_wamid());
    let mut message = json!({"from": from, "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": inbound.text}});
    if let Some(context) = inbound.context {
        message["context"] = json!({"id": context});
    }
    let contacts = json!([{"profile": {"name": "Somebody"}, "wa_id": from}]);
    let value = json!({"contacts": contacts, "messages": [message]});
    callbacks::post_event(&state, "messages", value).await;
    Json(json!({"id": id}))
}

/// How many callbacks, and how many a second.
#[derive(Debug, Deserialize)]
struct Pace {
    count: usize,
    per_second: f64,
}

/// Single callbacks at an even pace; answers with the median and the 99th percentile of their answer times.
async fn pace(Shared(state): Shared<Arc<State>>, Json(pace): Json<Pace>) -> Json<Value> {
    let times = callbacks::post_at_pace(state, pace.count, pace.per_second).await;
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
    Json(json!({"posts": times.len(), "p50_ms": at(0.5), "p99_ms": at(0.99)}))
}

/// Callbacks that Crier forwards, as a customer of its user would take them.
async fn forward(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    state.record_forwarded(id.unwrap_or_default());
    StatusCode::NO_CONTENT
}

async fn forwarded(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    Json(json!({"callbacks": state.forwarded_count()}))
}

async fn forget(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.clear_call_log();
    StatusCode::NO_CONTENT
}

async fn set_templates(
    Shared(state): Shared<Arc<State>>,
    Json(templates): Json<Vec<Value>>,
) -> StatusCode {
    state.set_templates(templates);
    StatusCode::NO_CONTENT
}

async fn set(
    Shared(state): Shared<Arc<State>>,
    Json(changes): Json<Value>,
) -> Result<Json<Value>, (StatusCode, String)> {
    match state.update_settings(&changes) {
        Ok(settings) => Ok(Json(json!(settings))),
        Err(error) => Err((StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
    }
}
