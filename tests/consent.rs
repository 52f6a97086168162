//! Opt-outs and opt-ins: by message, button, preference, refusal and operator; no send starts after one was acknowledged.

use std::time::Duration;

use campaign::contacts::contact::ConsentEvent;
use campaign::contacts::contact::ConsentSource;
use campaign::delivery::ledger::State;
use campaign::delivery::outcome::Acceptance;
use campaign::lifecycle::campaign::CampaignState;
use cloud::contacts::ContactKey;
use serde_json::{Value, json};
use webhook::Webhook;

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, list};
use crate::harness::meta::{
    MetaClient, change_body, message_body, row_status, statuses_body, text_body,
};
use crate::harness::{TestEnv, phone};

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn latest_opt_out_or_opt_in_wins_in_any_order() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let now = cloud::now() / 1000;
    let say = |wamid, seconds, text| {
        message_body(
            "34610000001",
            wamid,
            seconds,
            json!({"text": {"body": text}}),
        )
    };
    let stop = say("wamid.1", now - 60, "Baja!");
    let start = say("wamid.2", now - 30, "start");
    // An older message that arrives late changes nothing, nor does a repeated one.
    for body in [&start, &stop, &stop, &start] {
        meta.post(body).await;
    }
    let seen = ApiClient::new(&env)
        .get("/v1/contacts/34610000001")
        .await
        .expect(200);
    assert_eq!(seen["suppressed"], false, "{seen}");
    assert_eq!(list(&seen["consent"]).len(), 2);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn opt_out_counts_although_the_statuses_beside_it_cannot_be_stored() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::Sending).await.id;
    env.claim_row(&id, 1).await;
    let throttled = env.throttled_tables("MessagesTable", usize::MAX).await;
    let webhook = Webhook {
        ledger: throttled.ledger.clone(),
        ..env.webhook()
    };
    let meta = MetaClient::posting_to(&env, webhook);
    // The status comes first in the POST, too.
    let status = row_status(&id, 1, "delivered", cloud::now() / 1000);
    let mut post = statuses_body(&[status]);
    let stop = text_body("34610000001", "wamid.1", "stop");
    let changes = post["entry"][0]["changes"].as_array_mut().unwrap();
    changes.push(stop["entry"][0]["changes"][0].clone());
    assert_eq!(meta.post_text(&post.to_string()).await, 500);
    assert!(env.contact(phone("+34610000001")).await.suppressed);
    // Meta sends the POST again.
    MetaClient::new(&env).post(&post).await;
    assert_eq!(env.row_state(&id, 1).await, State::Accepted);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn refusal_without_a_recipient_suppresses_the_number_of_its_row() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::Sending).await.id;
    env.claim_row(&id, 1).await;
    let acceptance = Acceptance {
        wamid: "wamid.1".into(),
        wa_id: Some("34610000005".into()),
        user_id: None,
        message_status: None,
    };
    let recorded = env.ledger.record_acceptance(&id, 1, 1, &acceptance);
    assert!(recorded.await.unwrap());
    let mut status = row_status(&id, 1, "failed", cloud::now() / 1000);
    status["errors"][0]["code"] = json!(131_050);
    assert_eq!(status["recipient_id"], Value::Null);
    MetaClient::new(&env).post(&statuses_body(&[status])).await;
    let seen = ApiClient::new(&env)
        .get("/v1/contacts/34610000005")
        .await
        .expect(200);
    assert_eq!(seen["suppressed"], true, "{seen}");
    assert_eq!(seen["consent"][0]["source"], "refusal");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn button_preference_and_refusal_are_opt_outs() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let now = cloud::now() / 1000;
    let button = json!({"type": "button", "button": {"payload": "OPT_OUT", "text": "No, thanks"}});
    meta.post(&message_body("34610000002", "wamid.3", now, button))
        .await;
    let preference = json!({"wa_id": "34610000003", "category": "marketing_messages", "value": "stop",
        "detail": "User requested to stop marketing messages", "timestamp": now});
    meta.post(&change_body(
        "user_preferences",
        json!({"user_preferences": [preference]}),
    ))
    .await;
    let refusal = json!({"id": "wamid.4", "status": "failed", "timestamp": now.to_string(), "recipient_id": "34610000004",
        "biz_opaque_callback_data": "c1:1:1", "errors": [{"code": 131_050, "title": "Stopped marketing"}]});
    meta.post(&change_body("messages", json!({"statuses": [refusal]})))
        .await;

    let api = ApiClient::new(&env);
    for (ending, source, text) in [
        (2, "button", "No, thanks"),
        (
            3,
            "preferences",
            "User requested to stop marketing messages",
        ),
        (4, "refusal", "Stopped marketing"),
    ] {
        let seen = api
            .get(&format!("/v1/contacts/3461000000{ending}"))
            .await
            .expect(200);
        assert_eq!(seen["suppressed"], true, "{seen}");
        assert_has(
            &seen["consent"][0],
            &json!({"source": source, "text": text}),
        );
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn opt_out_follows_the_recipient_to_a_new_number() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    meta.post(&text_body("34610000002", "wamid.3", "stop"))
        .await;
    let moved = json!({"type": "system",
        "system": {"type": "user_changed_number", "wa_id": "34610000009", "body": "moved"}});
    let now = cloud::now() / 1000;
    meta.post(&message_body("34610000002", "wamid.5", now, moved))
        .await;
    let seen = ApiClient::new(&env)
        .get("/v1/contacts/34610000009")
        .await
        .expect(200);
    assert_eq!(seen["suppressed"], true);
    assert_eq!(seen["consent"][0]["source"], "moved");
    let window = &seen["service_window_until"];
    assert_eq!(*window, Value::Null, "a new number is no message");
}

/// An opt-out that names the recipient by user id alone.
fn opt_out_of_user(user_id: &str, wamid: &str) -> Value {
    let seconds = (cloud::now() / 1000).to_string();
    let message = json!({"from_user_id": user_id, "id": wamid, "timestamp": seconds, "type": "text",
        "text": {"body": "stop"}});
    change_body("messages", json!({"messages": [message]}))
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recipient_known_only_by_user_id_can_opt_out() {
    let env = TestEnv::new().await;
    env.configure_simulator(json!({"user_ids": true}));
    let meta = MetaClient::new(&env);
    let campaign = env.import_campaign(2, |_| {}).await;
    env.send_all().await;
    // The user id that the response to the send named.
    let recipient = phone("+34610000001");
    let user_id = env.contact(recipient).await.user_id.expect("a user id");
    meta.post(&opt_out_of_user(&user_id, "wamid.a")).await;
    assert!(env.contact(recipient).await.suppressed);
    // A user id whose number is learned only later.
    meta.post(&opt_out_of_user("ES.later", "wamid.b")).await;
    let later = phone("+34610000077");
    env.contacts
        .link_user_id(later, "ES.later", cloud::now())
        .await
        .unwrap();
    let contact = env.contact(later).await;
    assert!(contact.suppressed && contact.consent[0].source == ConsentSource::Text);
    assert_eq!(
        env.campaign_state(&campaign.id).await,
        CampaignState::Sending
    );
}

/// An opt-out: when its POST began and when it was acknowledged, on the simulator's clock.
struct OptOut {
    row: u32,
    posted_at: Duration,
    acknowledged_at: Duration,
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn no_send_starts_after_an_opt_out_is_acknowledged() {
    let env = TestEnv::new().await;
    let campaign = env.import_campaign(400, |_| {}).await;
    let opting_out = async {
        let opt_outs = opt_out_while_sending(&env).await;
        env.campaigns.pause(&campaign.id, "enough").await.unwrap();
        opt_outs
    };
    let senders = [env.slow_sender(), env.slow_sender(), env.slow_sender()];
    let (_, opt_outs) = tokio::join!(env.run_senders(&senders), opting_out);

    let (mut earlier, mut meanwhile) = (0, 0);
    let calls = env.simulator.state.calls();
    for opt_out in opt_outs {
        let number = format!("34610{:06}", opt_out.row);
        for call in calls.iter().filter(|call| call.to.ends_with(&number)) {
            let at = Duration::from_micros(call.at_us);
            let late = format!(
                "row {} was sent after its opt-out was acknowledged",
                opt_out.row
            );
            assert!(at <= opt_out.acknowledged_at, "{late}");
            earlier += usize::from(at <= opt_out.posted_at);
            meanwhile += usize::from(at > opt_out.posted_at);
        }
    }
    let summary = format!("{earlier} sends before and {meanwhile} during an opt-out");
    assert!(
        earlier > 0 && meanwhile > 0,
        "{summary}: the test shows nothing"
    );
    let rows = env.ledger_rows(&campaign.id).await;
    assert!(rows.iter().all(|row| row.state != State::Unconfirmed));
}

/// Twelve times, the recipient of the latest send and the next two opt out, each time a little later after a send: the
/// permission of these two is checked shortly before the next one.
async fn opt_out_while_sending(env: &TestEnv) -> Vec<OptOut> {
    let meta = MetaClient::new(env);
    let mut opt_outs = Vec::new();
    for round in 1..=12 {
        env.wait_for_calls(round * 6).await;
        let calls = env.simulator.state.calls();
        let (_, last) = calls.last().unwrap().row.rsplit_once(':').unwrap();
        let last: u32 = last.parse().unwrap();
        tokio::time::sleep(Duration::from_millis(35 * round as u64)).await;
        let posted_at = env.simulator.state.elapsed();
        let posts = [last, last + 1, last + 2].map(async |row| {
            let from = format!("34610{row:06}");
            meta.post(&text_body(&from, &format!("wamid.{row}"), "STOP"))
                .await;
            let acknowledged_at = env.simulator.state.elapsed();
            OptOut {
                row,
                posted_at,
                acknowledged_at,
            }
        });
        opt_outs.extend(futures::future::join_all(posts).await);
    }
    opt_outs
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn operator_opt_in_is_recorded_beside_the_recipients_opt_out() {
    let env = TestEnv::new().await;
    let key = ContactKey::Phone(phone("+34610000001"));
    let opt_out = ConsentEvent {
        at: cloud::now() - 1000,
        suppressed: true,
        source: ConsentSource::Text,
        text: Some("stop".into()),
    };
    env.contacts.record_consent(&key, opt_out).await.unwrap();
    let opt_in = json!({"suppressed": false, "reason": "she called us"});
    let seen = ApiClient::new(&env)
        .put("/v1/contacts/34610000001", opt_in)
        .await
        .expect(200);
    assert_eq!(seen["suppressed"], false);
    assert_eq!(seen["consent"][0]["text"], "she called us");
    assert_eq!(
        seen["consent"][1]["source"], "text",
        "the opt-out stays on record"
    );
}
