//! The inbox: what recipients write, with the campaign it answers.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, list, text};
use crate::harness::meta::{MetaClient, message_body, row_status, statuses_body};

/// The payloads that Meta and others publish, by source.
fn public_payloads() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/whatsapp/tests/callbacks");
    let mut paths = Vec::new();
    for source in ["facebook-openapi", "pywa"] {
        for entry in std::fs::read_dir(folder.join(source)).unwrap() {
            paths.push(entry.unwrap().path());
        }
    }
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_public_payload_is_accepted_and_stored_once() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let payloads = public_payloads();
    assert!(payloads.len() >= 90, "{}", payloads.len());
    for path in payloads {
        let body = std::fs::read_to_string(&path).unwrap();
        for _ in 0..2 {
            assert_eq!(meta.post_text(&body).await, 200, "{}", path.display());
        }
        for update in whatsapp::callback::parse_callback(body.as_bytes()) {
            let stored = env.callbacks.get(&update.key).await.unwrap();
            assert!(stored.is_some(), "{}", path.display());
        }
    }
    let account = ApiClient::new(&env).get("/v1/account").await.expect(200);
    let mut events = list(&account["events"]).iter();
    assert!(
        events.any(|event| event["event"] == "ACCOUNT_RESTRICTION"),
        "{account}"
    );
}

/// Two campaigns to the same recipients were sent. Gives the first one's id and the message id of its first row, and the
/// second one's id.
async fn send_two_campaigns(env: &TestEnv, meta: &MetaClient) -> (String, String, String) {
    let first = env.import_campaign(2, |_| {}).await.id;
    env.send_all().await;
    let wamid = env.ledger_row(&first, 1).await.wamid.unwrap();
    let mut sent = row_status(&first, 1, "sent", cloud::now() / 1000);
    sent["id"] = json!(wamid);
    meta.post(&statuses_body(&[sent])).await;
    let second = env.import_campaign(2, |_| {}).await.id;
    env.send_all().await;
    (first.to_string(), wamid, second.to_string())
}

/// Every message of the inbox, two a page.
async fn read_inbox(api: &ApiClient) -> Vec<Value> {
    let (mut messages, mut after) = (Vec::new(), String::new());
    loop {
        let page = api
            .get(&format!("/v1/inbox?limit=2{after}"))
            .await
            .expect(200);
        if list(&page["messages"]).is_empty() {
            return messages;
        }
        messages.extend_from_slice(list(&page["messages"]));
        after = format!("&after={}", text(&page["next"]));
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn inbound_messages_are_in_the_inbox_with_their_campaign() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let api = ApiClient::new(&env);
    let (first, wamid, second) = send_two_campaigns(&env, &meta).await;
    let now = cloud::now() / 1000;
    let quote = json!({"text": {"body": "about the first"}, "context": {"from": "1", "id": wamid}});
    let quote = message_body("34610000001", "wamid.x", now, quote);
    let thanks = json!({"text": {"body": "thanks"}});
    let image = json!({"type": "image", "image": {"id": "7", "caption": "look"}});
    meta.post(&quote).await;
    meta.post(&message_body("34610000001", "wamid.y", now, thanks))
        .await;
    meta.post(&message_body("34619999999", "wamid.z", now, image))
        .await;
    // Meta posts the first one again.
    meta.post(&quote).await;

    let seen = read_inbox(&api).await;
    assert_eq!(seen.len(), 3);
    let expected = [
        json!({"id": "wamid.x", "campaign": first, "attribution": "context", "text": "about the first",
            "phone": "+34610000001", "name": "Ana"}),
        json!({"id": "wamid.y", "campaign": second, "attribution": "latest", "text": "thanks"}),
        json!({"id": "wamid.z", "campaign": null, "attribution": null, "text": "look",
            "message": {"image": {"id": "7"}}}),
    ];
    for (message, expected) in seen.iter().zip(&expected) {
        assert_has(message, expected);
    }
    let since = text(&seen[1]["received_at"]);
    let later = api
        .get(&format!("/v1/inbox?since={since}"))
        .await
        .expect(200);
    assert!(list(&later["messages"]).len() >= 2, "{later}");
    for invalid in ["since=yesterday", "after=nothing"] {
        api.get(&format!("/v1/inbox?{invalid}")).await.expect(400);
    }
}
