//! Callbacks on their way to `EventBridge` and to a webhook endpoint of the operator.

use std::sync::{Arc, Mutex};

use aws_sdk_eventbridge::types::Target;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use cloud::callbacks::RawCallback;
use cloud::outbound::EventBus;
use forward::Forwarder;
use forward::signature::sign;
use serde_json::{Value, json};

use crate::harness::{FORWARD_SECRET, TIMEOUT, TestEnv};

/// A webhook endpoint: what it received, and how many POSTs it still refuses.
#[derive(Clone, Default)]
struct WebhookReceiver {
    posts: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    refusals_left: Arc<Mutex<usize>>,
}

impl WebhookReceiver {
    /// Starts one; gives its URL.
    async fn start() -> (String, Self) {
        let receiver = Self::default();
        let router = Router::new()
            .route("/hook", post(receive_webhook))
            .with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        (url, receiver)
    }

    fn refuse_next(&self) {
        *self.refusals_left.lock().unwrap() = 1;
    }

    fn posts(&self) -> Vec<(HeaderMap, String)> {
        self.posts.lock().unwrap().clone()
    }
}

async fn receive_webhook(
    State(receiver): State<WebhookReceiver>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    receiver.posts.lock().unwrap().push((headers, body));
    let mut refusals_left = receiver.refusals_left.lock().unwrap();
    if *refusals_left > 0 {
        *refusals_left -= 1;
        return StatusCode::BAD_GATEWAY;
    }
    StatusCode::NO_CONTENT
}

/// A change of the callbacks table, as its stream has it.
fn stream_record(name: &str, key: &str, raw: &str) -> Value {
    let image = json!({"key": {"S": key}, "raw": {"S": raw}, "received_at": {"N": "1790000000000"}, "expires_at": {"N": "1"}});
    json!({"eventSource": "aws:dynamodb", "eventName": name, "eventID": "1", "eventVersion": "1.1", "awsRegion": "us-east-1",
        "dynamodb": {"ApproximateCreationDateTime": 1_790_000_000, "Keys": {"key": {"S": key}}, "NewImage": image,
            "SequenceNumber": "1", "SizeBytes": 1, "StreamViewType": "NEW_IMAGE"}})
}

async fn handle_records(forwarder: &Forwarder, records: &[Value]) {
    let event = serde_json::from_value(json!({"Records": records})).unwrap();
    forwarder.handle(event).await.unwrap();
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn callback_is_delivered_signed_and_retried_until_accepted() {
    let env = TestEnv::new().await;
    let (url, receiver) = WebhookReceiver::start().await;
    let forwarder = env.forwarder(None, &url);
    let raw = RawCallback {
        key: "message#wamid.1".into(),
        json: r#"{"message": {"id": "wamid.1"}}"#.into(),
    };
    env.callbacks.store(vec![raw.clone()], 1).await.unwrap();
    // Only inserts are forwarded. The last one has expired from the table meanwhile.
    let records = [
        stream_record("INSERT", &raw.key, &raw.json),
        stream_record("MODIFY", &raw.key, &raw.json),
        stream_record("INSERT", "status#gone#sent", "{}"),
    ];
    handle_records(&forwarder, &records).await;
    receiver.refuse_next();
    let mut accepted = Vec::new();
    while let Some(one) = env.run_next_webhook_delivery(&forwarder).await {
        accepted.push(one);
    }
    accepted.sort_unstable();
    assert_eq!(accepted, [false, true], "one refused, one expired");
    assert_is_signed_callback(&receiver.posts()[0]);

    // The refused delivery is hidden for the first delay; then it is made again, with the same id.
    let retry = async {
        loop {
            if let Some(accepted) = env.run_next_webhook_delivery(&forwarder).await {
                return accepted;
            }
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, retry).await.unwrap());
    let posts = receiver.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].0["webhook-id"], posts[1].0["webhook-id"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn unreadable_delivery_fails_alone() {
    let env = TestEnv::new().await;
    let (url, receiver) = WebhookReceiver::start().await;
    let forwarder = env.forwarder(None, &url);
    let key = "message#wamid.1".to_owned();
    let raw = RawCallback {
        key: key.clone(),
        json: r#"{"message": {"id": "wamid.1"}}"#.into(),
    };
    env.callbacks.store(vec![raw], 1).await.unwrap();
    let delivery = |id: &str, body: &str| json!({"eventSource": "aws:sqs", "messageId": id, "body": body, "attributes": {}});
    let readable = json!({"version": 1, "key": key, "received_at": 1, "hops": 0}).to_string();
    let records = [
        delivery("unreadable", "not JSON"),
        delivery("readable", &readable),
    ];
    let event = serde_json::from_value(json!({"Records": records})).unwrap();
    let response = forwarder.handle(event).await.unwrap();
    let failures = response.batch_item_failures.iter();
    let failed: Vec<_> = failures.map(|failure| &*failure.item_identifier).collect();
    assert_eq!(failed, ["unreadable"]);
    assert_eq!(receiver.posts().len(), 1);
}

fn assert_is_signed_callback((headers, body): &(HeaderMap, String)) {
    let sent: Value = serde_json::from_str(body).unwrap();
    assert_eq!(sent["type"], "whatsapp.message");
    assert_eq!(sent["data"]["message"]["id"], "wamid.1");
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let timestamp: u64 = header("webhook-timestamp").parse().unwrap();
    let secrets = [FORWARD_SECRET.into()];
    let expected = sign(&secrets, &header("webhook-id"), timestamp, body);
    assert_eq!(Some(header("webhook-signature")), expected);
}

/// Creates an event bus whose events of source `crier` go to a queue; gives the bus and the queue's URL.
async fn create_event_bus(env: &TestEnv) -> (EventBus, String) {
    let events = cloud::aws::eventbridge(&cloud::aws::load_config());
    let name = env.name.clone();
    events.create_event_bus().name(&name).send().await.unwrap();
    let rule = events.put_rule().name(&name).event_bus_name(&name);
    let rule = rule.event_pattern(r#"{"source": ["crier"]}"#);
    rule.send().await.unwrap();
    let (queue, arn) = env.create_event_queue().await;
    let target = Target::builder().id("queue").arn(arn).build().unwrap();
    let targets = events.put_targets().rule(&name).event_bus_name(&name);
    targets.targets(target).send().await.unwrap();
    (EventBus::new(events, name), queue)
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn callbacks_are_published_to_the_event_bus() {
    let env = TestEnv::new().await;
    let (bus, queue) = create_event_bus(&env).await;
    let forwarder = env.forwarder(Some(bus), "http://127.0.0.1:1");
    let oversized = format!("\"{}\"", "x".repeat(300_000));
    let records: Vec<Value> = (0..25)
        .map(|number| stream_record("INSERT", &format!("status#wamid.{number}#sent"), "{}"))
        .chain([stream_record("INSERT", "other#long", &oversized)])
        .collect();
    handle_records(&forwarder, &records).await;
    let mut published = Vec::new();
    for _ in &records {
        let event = env.receive_event(&queue).await;
        assert_eq!(event["source"], "crier");
        published.push((event["detail-type"].clone(), event["detail"]["key"].clone()));
    }
    assert!(published.contains(&(json!("whatsapp.status"), json!("status#wamid.24#sent"))));
    let announced = published.contains(&(json!("whatsapp.other"), json!("other#long")));
    assert!(announced, "an oversized callback is announced by its key");
}
