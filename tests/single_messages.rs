//! Single messages: once for each key, under the rules of every other message.

use campaign::delivery::ledger::State;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::api_client::{ApiClient, ApiReply};
use crate::harness::json::{assert_has, assert_says, text};
use crate::harness::meta::{MetaClient, text_body};
use crate::harness::{API_TOKEN, TestEnv};

const TO: &str = "+5511987654321";

fn template(to: &str) -> Value {
    json!({"to": to, "message": {"type": "template",
        "template": {"name": "hello_world", "language": {"code": "en_US"}}}})
}

fn free_text(body: &str) -> Value {
    json!({"to": TO, "message": {"type": "text", "text": {"body": body}}})
}

async fn post(api: &ApiClient, key: &str, body: &Value) -> ApiReply {
    let bearer = format!("Bearer {API_TOKEN}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", key),
        ("content-type", "application/json"),
    ];
    let bytes = body.to_string().into_bytes();
    api.request_with("POST", "/v1/messages", &headers, bytes)
        .await
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn many_requests_with_one_key_are_one_message() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let body = template(TO);
    let requests = (0..200).map(|_| post(&api, "order-0001", &body));
    let replies = join_all(requests).await;
    let mut ids: Vec<String> = replies
        .into_iter()
        .map(|reply| text(&reply.expect(202)["id"]).to_owned())
        .collect();
    ids.dedup();
    let [id] = &ids[..] else {
        panic!("{ids:?}");
    };
    env.send_all().await;
    post(&api, "order-0001", &body).await.expect(202);
    env.send_all().await;
    assert_eq!(env.simulator.state.stats().accepted, 1);
    assert_eq!(
        env.row_state(&id.parse().unwrap(), 1).await,
        State::Accepted
    );

    let other = post(&api, "order-0001", &template("+34612345678")).await;
    assert_says(text(&other.expect(409)["detail"]), &["used for another"]);
    let path = format!("/v1/messages/{id}?wait=1");
    let seen = api.get(&path).await.expect(200);
    assert_has(
        &seen,
        &json!({"id": id, "status": "accepted", "error": null}),
    );
    assert!(seen["wamid"].is_string() && seen["attempted_at"].is_string());
    post(&api, "order-0002", &body).await.expect(202);
    env.send_all().await;
    assert_eq!(env.simulator.state.stats().accepted, 2);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn single_message_obeys_consent_and_the_service_window() {
    let env = TestEnv::new().await;
    let (api, meta) = (ApiClient::new(&env), MetaClient::new(&env));
    let closed = post(&api, "00000001", &free_text("Hi")).await.expect(409);
    assert_eq!(closed["title"], "outside the service window");
    meta.post(&text_body("5511987654321", "wamid.1", "hello"))
        .await;
    let sent = post(&api, "00000002", &free_text("Hi")).await.expect(202);
    env.send_all().await;
    let path = format!("/v1/messages/{}?wait=1", text(&sent["id"]));
    assert_eq!(api.get(&path).await.expect(200)["status"], "accepted");

    meta.post(&text_body("5511987654321", "wamid.2", "STOP"))
        .await;
    let refused = post(&api, "00000003", &template(TO)).await.expect(409);
    assert_eq!(refused["title"], "suppressed");
    let accepted = env.simulator.state.stats().accepted;
    env.send_all().await;
    assert_eq!(env.simulator.state.stats().accepted, accepted);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn wrong_requests_are_explained() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    for (key, body, status, field) in [
        ("short", template(TO), 400, "/Idempotency-Key"),
        ("with a space", template(TO), 400, "/Idempotency-Key"),
        ("00000001", template("12"), 422, "/to"),
        (
            "00000001",
            json!({"to": TO, "message": {}}),
            422,
            "/message/type",
        ),
        ("00000001", free_text("{{name}}"), 422, "/message"),
    ] {
        let problem = post(&api, key, &body).await.expect(status);
        assert_eq!(problem["field"], field, "{problem}");
    }
    api.post("/v1/messages", template(TO)).await.expect(400);
    let unknown = "/v1/messages/message-0123456789abcdef0123456789abcdef";
    api.get(unknown).await.expect(404);
    let campaign = env.import_campaign(1, |_| {}).await.id;
    api.get(&format!("/v1/messages/{campaign}"))
        .await
        .expect(404);
    let wrong = api.get(&format!("{unknown}?wait=60")).await.expect(400);
    assert_eq!(wrong["field"], "/wait");
}
