//! The routes: Meta's one, and `/_control` for tests and people.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{ConnectInfo, Path, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use futures::stream;
use serde_json::{Value, json};

use crate::arrival::Arrivals;
use crate::settings::normal;
use crate::state::{Answer, Body, Send, State};

/// Meta's route, and the controls.
pub fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/{version}/{phone_number_id}/messages", post(send))
        .route(
            "/_control/health",
            get(|| async { Json(json!({"status": "ok"})) }),
        )
        .route("/_control/books", get(books).delete(forget))
        .route("/_control/calls", get(calls))
        .route("/_control/settings", put(set))
        .with_state(state)
}

async fn send(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(arrivals): ConnectInfo<Arrivals>,
    Path((_version, phone_number_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let at = state.since_start(arrivals.last_us());
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let latency = Duration::from_secs_f64(state.settings().latency_ms(normal()) / 1000.0);
    let send = Send {
        at,
        phone_number_id: &phone_number_id,
        authorization,
        body,
    };
    let Answer {
        status,
        body,
        after,
    } = state.send(send, latency);
    tokio::time::sleep(after).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        Body::Json(json) => (status, Json(json)).into_response(),
        Body::Text(text) => (status, text).into_response(),
        Body::Broken => (status, HttpBody::from_stream(broken())).into_response(),
    }
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
    let callbacks = state.reports(|outbox, posts, _| posts.figures(outbox));
    Json(json!({"sends": state.figures(), "callbacks": callbacks}))
}

async fn calls(Shared(state): Shared<Arc<State>>) -> Result<Json<Value>, Infallible> {
    Ok(Json(json!(state.calls())))
}

async fn forget(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.forget();
    StatusCode::NO_CONTENT
}

async fn set(
    Shared(state): Shared<Arc<State>>,
    Json(changes): Json<Value>,
) -> Result<Json<Value>, (StatusCode, String)> {
    match state.set(&changes) {
        Ok(settings) => Ok(Json(json!(settings))),
        Err(error) => Err((StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
    }
}
