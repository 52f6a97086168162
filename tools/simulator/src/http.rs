//! The routes: Meta's, and `/_control` for tests and for use by hand.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arrival::ArrivedAt;
use crate::call_log::Call;
use crate::callbacks;
use crate::post_stats::quantile;
use crate::send::{ResponseBody, SendRequest, SendResponse};
use crate::settings::Settings;
use crate::state::State;

/// Meta's routes and the control routes.
pub fn router(state: Arc<State>) -> Router {
    Router::new()
        // What Meta answers does not matter: who asks wants the connection.
        .route("/", get(|| async { StatusCode::BAD_REQUEST }))
        .route("/{version}/{phone_number_id}/messages", post(send_message))
        .route(
            "/{version}/{waba_id}/message_templates",
            get(list_templates),
        )
        .route("/{version}/{phone_number_id}", get(get_phone_number))
        .route("/_control/health", get(get_health))
        .route("/_control/stats", get(get_stats))
        .route(
            "/_control/call-log",
            get(get_call_log).delete(clear_call_log),
        )
        .route("/_control/inbound", post(post_inbound))
        .route("/_control/pace", post(post_at_pace))
        .route(
            "/_control/forwarded",
            get(get_forwarded).post(receive_forwarded),
        )
        .route("/_control/settings", put(put_settings))
        .route("/_control/templates", put(put_templates))
        .with_state(state)
}

async fn send_message(
    Shared(state): Shared<Arc<State>>,
    Extension(ArrivedAt(arrived_at)): Extension<ArrivedAt>,
    Path((_version, phone_number_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = SendRequest {
        at: state.since_start(arrived_at),
        phone_number_id: &phone_number_id,
        authorization: authorization(&headers),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let latency_ms = state.settings().sample_latency_ms();
    let SendResponse {
        status,
        body,
        delay,
    } = state.handle_send(request, Duration::from_secs_f64(latency_ms / 1000.0));
    tokio::time::sleep(delay).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        ResponseBody::Json(json) => (status, Json(json)).into_response(),
        ResponseBody::Text(text) => (status, text).into_response(),
        ResponseBody::NoResponse => StatusCode::GATEWAY_TIMEOUT.into_response(),
        ResponseBody::Truncated => (status, Body::from_stream(truncated_body())).into_response(),
    }
}

/// A few bytes, then the connection breaks.
fn truncated_body() -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    let chunks: [Result<Bytes, std::io::Error>; 2] = [
        Ok(Bytes::from_static(b"{\"messaging_")),
        Err(std::io::ErrorKind::ConnectionReset.into()),
    ];
    stream::iter(chunks)
}

/// The query of the list of templates.
#[derive(Debug, Deserialize)]
struct Paging {
    limit: Option<usize>,
    after: Option<String>,
}

async fn list_templates(
    Shared(state): Shared<Arc<State>>,
    Path((_version, waba_id)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Response {
    if waba_id != state.settings().waba_id {
        return graph_error(100, "Object does not exist");
    }
    let page = state.with_account(authorization(&headers), |account| {
        account.template_page(paging.limit.unwrap_or(25), paging.after.as_deref())
    });
    json_or_invalid_token(page)
}

async fn get_phone_number(
    Shared(state): Shared<Arc<State>>,
    Path((_version, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let settings = state.settings();
    if !settings.knows_number(&id) {
        return graph_error(100, "Object does not exist");
    }
    let number = state.with_account(authorization(&headers), |account| {
        let Settings {
            daily_limit,
            quality_rating,
            ..
        } = &settings;
        let mut number = account.phone_number(&id, daily_limit, quality_rating);
        // A further number is told apart by what its callbacks show; the first keeps the account's.
        if id != settings.phone_number_id {
            number["display_phone_number"] = settings.display_number(&id).into();
        }
        number
    });
    json_or_invalid_token(number)
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
}

fn json_or_invalid_token(json: Option<Value>) -> Response {
    json.map_or_else(
        || graph_error(190, "Invalid OAuth access token"),
        |json| Json(json).into_response(),
    )
}

fn graph_error(code: u32, message: &str) -> Response {
    let error = json!({"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "simulated"}});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

async fn get_health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn get_stats(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let management = json!({"calls": state.management_call_count()});
    Json(
        json!({"sends": state.stats(), "callbacks": state.post_summary(), "management": management}),
    )
}

async fn get_call_log(Shared(state): Shared<Arc<State>>) -> Json<Vec<Call>> {
    Json(state.calls())
}

async fn clear_call_log(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.clear_call_log();
    StatusCode::NO_CONTENT
}

/// A message to the business.
#[derive(Debug, Deserialize)]
struct Inbound {
    from: String,
    text: String,
    /// The id of the message that it answers.
    context: Option<String>,
    /// The phone number id that it is sent to; the first number's by default.
    number: Option<String>,
}

/// Posts an inbound message. Answers once the webhook has accepted it, or at once if there is no such number.
async fn post_inbound(
    Shared(state): Shared<Arc<State>>,
    Json(inbound): Json<Inbound>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let settings = state.settings();
    let number = inbound.number.unwrap_or(settings.phone_number_id.clone());
    if !settings.knows_number(&number) {
        let problem = format!("no number has the id {number}");
        return Err((StatusCode::UNPROCESSABLE_ENTITY, problem));
    }
    let from = inbound.from.trim_start_matches('+');
    let (at, id) = (state.now_seconds(), state.next_inbound_wamid());
    let mut message = json!({"from": from, "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": inbound.text}});
    if let Some(context) = inbound.context {
        message["context"] = json!({"id": context});
    }
    let contacts = json!([{"profile": {"name": "Ana"}, "wa_id": from}]);
    let value = json!({"contacts": contacts, "messages": [message]});
    callbacks::post_event(&state, &number, "messages", value).await;
    Ok(Json(json!({"id": id})))
}

#[derive(Debug, Deserialize)]
struct Pace {
    count: usize,
    per_second: f64,
}

/// Posts single callbacks at an even pace. Answers with the median and the 99th percentile of their answer times.
async fn post_at_pace(Shared(state): Shared<Arc<State>>, Json(pace): Json<Pace>) -> Json<Value> {
    let times = callbacks::post_at_pace(state, pace.count, pace.per_second).await;
    let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
    Json(json!({"posts": times.len(), "p50_ms": p50, "p99_ms": p99}))
}

/// Receives a callback that Crier forwards.
async fn receive_forwarded(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    state.record_forwarded(id.unwrap_or_default());
    StatusCode::NO_CONTENT
}

async fn get_forwarded(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    Json(json!({"callbacks": state.forwarded_count()}))
}

async fn put_templates(
    Shared(state): Shared<Arc<State>>,
    Json(templates): Json<Vec<Value>>,
) -> StatusCode {
    state.set_templates(templates);
    StatusCode::NO_CONTENT
}

async fn put_settings(
    Shared(state): Shared<Arc<State>>,
    Json(changes): Json<Value>,
) -> Result<Json<Settings>, (StatusCode, String)> {
    match state.update_settings(&changes) {
        Ok(settings) => Ok(Json(settings)),
        Err(error) => Err((StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tower::ServiceExt;

    fn settings() -> Settings {
        Settings {
            further_numbers: vec!["7".into(), "8".into()],
            ..Settings::default()
        }
    }

    /// Starts a webhook that accepts every callback. Returns its URL and the callbacks.
    async fn start_webhook() -> (String, mpsc::UnboundedReceiver<Value>) {
        let (callbacks, received) = mpsc::unbounded_channel();
        let webhook = Router::new().route(
            "/",
            post(async move |Json(callback): Json<Value>| {
                callbacks.send(callback).expect("the test listens");
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, webhook).await });
        (url, received)
    }

    /// Answers a request as the server does. The body is `Null` if it is not JSON.
    async fn respond(state: &Arc<State>, method: &str, path: &str, body: Value) -> (u16, Value) {
        let token = state.settings().access_token;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let now = crate::arrival::now_us();
        request.extensions_mut().insert(ArrivedAt(now));
        let response = router(Arc::clone(state)).oneshot(request).await;
        let (head, body) = response.expect("a response").into_parts();
        let body = axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("a body");
        let body = serde_json::from_slice(&body).unwrap_or_default();
        (head.status.as_u16(), body)
    }

    #[tokio::test]
    async fn each_known_number_has_its_id_and_display_number() {
        let state = Arc::new(State::new(settings()));
        for (id, display_number) in [
            ("100000000000001", "+1 555-0100"),
            ("7", "15550000001"),
            ("8", "15550000002"),
        ] {
            let (status, number) =
                respond(&state, "GET", &format!("/v25.0/{id}"), Value::Null).await;
            assert_eq!((status, &number["id"]), (200, &json!(id)));
            assert_eq!(number["display_phone_number"], display_number);
        }
        let (status, error) = respond(&state, "GET", "/v25.0/9", Value::Null).await;
        assert_eq!((status, &error["error"]["code"]), (400, &json!(100)));
    }

    #[tokio::test]
    async fn statuses_name_the_number_that_the_message_was_sent_from() {
        let (webhook_url, mut callbacks) = start_webhook().await;
        let state = Arc::new(State::new(Settings {
            webhook_url,
            median_ms: 1.0,
            p99_ms: 1.0,
            status_delay_ms: 1.0,
            read_share: 0.0,
            batch_window_ms: 1,
            ..settings()
        }));
        let callback_task = tokio::spawn(callbacks::run_callback_loop(Arc::clone(&state)));
        let mut expected = Vec::new();
        for (id, display_number) in [("8", "15550000002"), ("100000000000001", "15550000000")] {
            let message = json!({"messaging_product": "whatsapp", "to": "+5511987654321", "type": "text",
                "text": {"body": "x"}, "biz_opaque_callback_data": id});
            let path = format!("/v25.0/{id}/messages");
            let (status, _) = respond(&state, "POST", &path, message).await;
            assert_eq!(status, 200);
            let metadata = json!({"display_phone_number": display_number, "phone_number_id": id});
            expected.push((id, metadata));
        }
        let mut received = 0;
        // Each message is sent and delivered.
        while received < 2 * expected.len() {
            let callback = callbacks.recv().await.expect("a callback");
            let value = &callback["entry"][0]["changes"][0]["value"];
            for status in value["statuses"].as_array().expect("statuses") {
                let id = status["biz_opaque_callback_data"].as_str().expect("an id");
                assert!(
                    expected.contains(&(id, value["metadata"].clone())),
                    "{callback}"
                );
                received += 1;
            }
        }
        callback_task.abort();
    }

    #[tokio::test]
    async fn inbound_message_names_its_number_or_the_first() {
        let (webhook_url, mut callbacks) = start_webhook().await;
        let state = Arc::new(State::new(Settings {
            webhook_url,
            ..settings()
        }));
        let inbound =
            |number: Value| json!({"from": "+34610000001", "text": "STOP", "number": number});
        for (number, id, display_number) in [
            (Value::Null, "100000000000001", "15550000000"),
            ("7".into(), "7", "15550000001"),
        ] {
            let (status, _) = respond(&state, "POST", "/_control/inbound", inbound(number)).await;
            assert_eq!(status, 200);
            let callback = callbacks.recv().await.expect("a callback");
            let metadata = json!({"display_phone_number": display_number, "phone_number_id": id});
            let value = &callback["entry"][0]["changes"][0]["value"];
            assert_eq!(value["metadata"], metadata);
        }
        let (status, _) = respond(&state, "POST", "/_control/inbound", inbound("9".into())).await;
        assert_eq!(status, 422);
    }
}
