//! Automatic replies and opt-out keywords, as the operator sets them.

use std::time::Duration;

use campaign::contacts::settings::{AutoReply, Settings};
use campaign::message::Message;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::list;
use crate::harness::meta::{MetaClient, text_body};
use crate::harness::{TestEnv, phone};

/// A rule that answers `Hours` with `9 to 5`.
fn hours_settings() -> Value {
    let message = json!({"type": "text", "text": {"body": "9 to 5"}});
    json!({"replies": [{"keywords": ["Hours"], "message": message}]})
}

/// The texts sent to a number so far.
fn texts_to(env: &TestEnv, number: &str) -> Vec<Value> {
    let calls = env.simulator.state.calls();
    let calls = calls.iter().filter(|call| call.to == number);
    calls
        .map(|call| call.body["text"]["body"].clone())
        .collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn keyword_is_answered_once_and_ahead_of_a_running_campaign() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    api.put("/v1/settings", hours_settings()).await.expect(200);
    let campaign = env.import_campaign(60, |_| {}).await;
    // A campaign that keeps the sender busy for half a minute.
    let sender = env.slow_sender();
    let asking = async {
        env.wait_for_calls(3).await;
        for _ in 0..3 {
            MetaClient::new(&env)
                .post(&text_body("34619999999", "wamid.q", "hours?"))
                .await;
        }
        while texts_to(&env, "+34619999999").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let calls = env.simulator.state.stats().calls;
        env.campaigns.pause(&campaign.id, "enough").await.unwrap();
        calls
    };
    let (_, calls) = tokio::join!(env.try_deliver_next(&sender, Duration::ZERO), asking);
    assert!(
        calls < 40,
        "the reply waited for the campaign: {calls} calls before it"
    );
    env.send_all().await;
    assert_eq!(texts_to(&env, "+34619999999"), ["9 to 5"]);
    let listed = api.get("/v1/campaigns").await.expect(200);
    assert_eq!(
        list(&listed["campaigns"]).len(),
        1,
        "replies are not listed: {listed}"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn reply_starts_an_idle_sender_and_respects_an_opt_out() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    ApiClient::new(&env)
        .put("/v1/settings", hours_settings())
        .await
        .expect(200);
    meta.post(&text_body("34618888888", "wamid.r", "HOURS"))
        .await;
    env.send_all().await;
    assert_eq!(texts_to(&env, "+34618888888").len(), 1);
    // After an opt-out nothing is answered, not even the opt-out.
    meta.post(&text_body("34618888888", "wamid.s", "stop"))
        .await;
    meta.post(&text_body("34618888888", "wamid.t", "hours"))
        .await;
    env.send_all().await;
    assert_eq!(texts_to(&env, "+34618888888").len(), 1);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn settings_keep_their_defaults_and_refuse_replies_with_placeholders() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    api.put("/v1/settings", hours_settings()).await.expect(200);
    let shown = api.get("/v1/settings").await.expect(200);
    assert!(
        list(&shown["opt_out_keywords"]["en"]).contains(&json!("stop")),
        "{shown}"
    );
    let message = json!({"type": "text", "text": {"body": "Hi {{name}}"}});
    let invalid = json!({"replies": [{"keywords": ["a"], "message": message}]});
    let problem = api.put("/v1/settings", invalid).await.expect(422);
    assert_eq!(problem["field"], "/replies/0/message");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn operator_sets_opt_out_keywords_and_replies() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let message = json!({"type": "text", "text": {"body": "We read you"}});
    let reply = AutoReply {
        keywords: vec!["*".into()],
        message: Message::new(message).unwrap(),
    };
    let mut settings = Settings {
        replies: vec![reply],
        ..Settings::default()
    };
    let keywords = [("xx".to_owned(), vec!["basta ya".to_owned()])];
    settings.opt_out_keywords.stop = keywords.into();
    env.settings_store().put(&settings).await.unwrap();

    meta.post(&text_body("34610000001", "wamid.1", "stop"))
        .await;
    meta.post(&text_body("34610000002", "wamid.2", "Basta  ya!"))
        .await;
    assert!(!env.contact(phone("+34610000001")).await.suppressed);
    assert!(env.contact(phone("+34610000002")).await.suppressed);
    env.send_all().await;
    assert_eq!(texts_to(&env, "+34610000001"), ["We read you"]);
    assert_eq!(env.simulator.state.calls().len(), 1);
}
