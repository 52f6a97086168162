//! Callbacks on their way to `EventBridge` and a customer's URL.

use std::sync::{Arc, Mutex};

use aws_sdk_eventbridge::types::Target;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use cloud::callbacks::RawCallback;
use cloud::outbound::EventBus;
use forward::signature::sign;
use serde_json::{Value, json};

use crate::harness::{FORWARD_SECRET, TestEnv};

/// What a customer's server got, and how it answers.
#[derive(Clone, Default)]
struct WebhookReceiver {
    posts: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    refusals_left: Arc<Mutex<usize>>,
}

async fn receive_webhook(
    State(received): State<WebhookReceiver>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    received.posts.lock().unwrap().push((headers, body));
    let mut refuses = received.refusals_left.lock().unwrap();
    if *refuses > 0 {
        *refuses -= 1;
        return StatusCode::BAD_GATEWAY;
    }
    StatusCode::NO_CONTENT
}

async fn start_receiver() -> (String, WebhookReceiver) {
    let received = WebhookReceiver::default();
    let router = Router::new()
        .route("/hook", post(receive_webhook))
        .with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    (url, received)
}

/// A change of the callbacks table, as its stream has it.
fn stream_record(name: &str, key: &str, raw: &str) -> Value {
    let image = json!({"key": {"S": key}, "raw": {"S": raw}, "received_at": {"N": "1790000000000"}, "expires_at": {"N": "1"}});
    json!({"eventSource": "aws:dynamodb", "eventName": name, "eventID": "1", "eventVersion": "1.1", "awsRegion": "us-east-1",
        "dynamodb": {"ApproximateCreationDateTime": 1_790_000_000, "Keys": {"key": {"S": key}}, "NewImage": image,
            "SequenceNumber": "1", "SizeBytes": 1, "StreamViewType": "NEW_IMAGE"}})
}

fn stream_event(records: &[Value]) -> forward::Event {
    serde_json::from_value(json!({"Records": records})).unwrap()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn callback_is_delivered_signed_and_retried_until_accepted() {
    let world = TestEnv::new().await;
    let (url, received) = start_receiver().await;
    let forwarder = world.forwarder(None, &url);
    let raw = RawCallback {
        key: "message#wamid.1".into(),
        json: r#"{"message": {"id": "wamid.1"}}"#.into(),
    };
    world.callbacks.store(vec![raw.clone()], 1).await.unwrap();
    // Only what is new: a callback that came again, or expired, is not forwarded again.
    let changes = [
        stream_record("INSERT", &raw.key, &raw.json),
        stream_record("MODIFY", &raw.key, &raw.json),
        stream_record("INSERT", "status#gone#sent", "{}"),
    ];
    forwarder.handle(stream_event(&changes)).await.unwrap();
    *received.refusals_left.lock().unwrap() = 1;
    let mut taken = Vec::new();
    while let Some(one) = world.run_next_webhook_delivery(&forwarder).await {
        taken.push(one);
    }
    taken.sort_unstable();
    assert_eq!(
        taken,
        [false, true],
        "one is gone from the table, the other was refused"
    );
    let (headers, body) = received.posts.lock().unwrap()[0].clone();
    let sent: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sent["type"], "whatsapp.message");
    assert_eq!(sent["data"]["message"]["id"], "wamid.1");
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let timestamp: u64 = header("webhook-timestamp").parse().unwrap();
    let expected = sign(
        &[FORWARD_SECRET.into()],
        &header("webhook-id"),
        timestamp,
        &body,
    );
    assert_eq!(Some(header("webhook-signature")), expected);
    // Hidden for the first wait; then it comes again and is taken, under the same id.
    let again = async {
        loop {
            if let Some(taken) = world.run_next_webhook_delivery(&forwarder).await {
                return taken;
            }
        }
    };
    assert!(
        tokio::time::timeout(crate::harness::TIMEOUT, again)
            .await
            .unwrap()
    );
    let posts = received.posts.lock().unwrap();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].0["webhook-id"], posts[1].0["webhook-id"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn callbacks_are_published_to_the_event_bus() {
    let world = TestEnv::new().await;
    let config = cloud::aws::load_config().await;
    let events = cloud::aws::eventbridge(&config);
    let name = world.bucket.clone();
    events.create_event_bus().name(&name).send().await.unwrap();
    let rule = events.put_rule().name(&name).event_bus_name(&name);
    rule.event_pattern(r#"{"source": ["crier"]}"#)
        .send()
        .await
        .unwrap();
    let (queue, arn) = world.create_event_queue().await;
    let target = Target::builder().id("queue").arn(arn).build().unwrap();
    let targets = events.put_targets().rule(&name).event_bus_name(&name);
    targets.targets(target).send().await.unwrap();
    let forwarder = world.forwarder(Some(EventBus::new(events, name)), "http://127.0.0.1:1");
    let changes: Vec<Value> = (0..25)
        .map(|number| stream_record("INSERT", &format!("status#wamid.{number}#sent"), "{}"))
        .chain([stream_record(
            "INSERT",
            "other#long",
            &format!("\"{}\"", "x".repeat(300_000)),
        )])
        .collect();
    forwarder.handle(stream_event(&changes)).await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..changes.len() {
        let event = world.receive_event(&queue).await;
        assert_eq!(event["source"], "crier");
        keys.push((event["detail-type"].clone(), event["detail"]["key"].clone()));
    }
    assert!(keys.contains(&(json!("whatsapp.status"), json!("status#wamid.24#sent"))));
    assert!(
        keys.contains(&(json!("whatsapp.other"), json!("other#long"))),
        "too long, but told of"
    );
}
