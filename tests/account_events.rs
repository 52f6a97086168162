//! Account notifications and failed deliveries: both pause the campaigns they concern.

use campaign::delivery::ledger::State;
use campaign::delivery::outcome::Acceptance;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use campaign::message::Message;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_says, list, text};
use crate::harness::meta::{MetaClient, change_body, row_status, statuses_body};
use crate::harness::{TestEnv, set_state};

async fn import_with_template(env: &TestEnv, name: &str) -> CampaignId {
    let template = json!({"name": name, "language": {"code": "en"}});
    let message = Message::new(json!({"type": "template", "template": template})).unwrap();
    let campaign = env
        .import_campaign(3, |campaign| campaign.message = message)
        .await;
    campaign.id
}

/// A change of the template `sale`.
fn template_event(event: &str) -> Value {
    let value = json!({"event": event, "message_template_id": 1, "message_template_name": "sale", "message_template_language": "en",
        "reason": "NONE", "other_info": {"title": "FIRST_PAUSE", "description": "Too many people reported it."}});
    change_body("message_template_status_update", value)
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn paused_template_pauses_its_campaigns_unless_the_event_is_outdated() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let sale = import_with_template(&env, "sale").await;
    let update = import_with_template(&env, "update").await;
    let mut outdated = template_event("PAUSED");
    outdated["entry"][0]["time"] = json!(cloud::now() / 1000 - 3600);
    let approved = template_event("APPROVED");
    let unrelated = change_body("account_update", json!({"event": "PARTNER_ADDED"}));
    for harmless in [&outdated, &approved, &unrelated] {
        meta.post(harmless).await;
        assert_eq!(env.campaign_state(&sale).await, CampaignState::Sending);
    }
    meta.post(&template_event("PAUSED")).await;
    let paused = env.load_campaign(&sale).await;
    assert_eq!(paused.state(cloud::now()), CampaignState::Paused);
    assert_says(
        paused.reason(cloud::now()).unwrap(),
        &["sale (en)", "Too many people"],
    );
    assert_eq!(env.campaign_state(&update).await, CampaignState::Sending);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn template_that_becomes_marketing_is_announced_and_then_pauses_its_campaigns() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let template = json!({"name": "sale", "language": {"code": "en_US"}});
    let message = Message::new(json!({"type": "template", "template": template})).unwrap();
    let sale = env
        .import_campaign(3, |campaign| campaign.message = message)
        .await
        .id;
    let post = async |fields: Value| {
        let mut value = json!({"message_template_id": 1, "message_template_name": "sale", "message_template_language": "en-US"});
        let changes = fields.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(changes);
        meta.post(&change_body("template_category_update", value))
            .await;
    };
    post(json!({"new_category": "UTILITY", "correct_category": "MARKETING", "category_update_timestamp": cloud::now() / 1000 + 86_400})).await;
    assert_eq!(env.campaign_state(&sale).await, CampaignState::Sending);
    let account = ApiClient::new(&env).get("/v1/account").await.expect(200);
    let notice = text(&account["events"][0]["text"]);
    assert_says(notice, &["from UTILITY to MARKETING", "24 hours"]);
    post(json!({"new_category": "MARKETING", "previous_category": "UTILITY"})).await;
    let paused = env.load_campaign(&sale).await;
    assert_eq!(paused.state(cloud::now()), CampaignState::Paused);
    assert_says(
        paused.reason(cloud::now()).unwrap(),
        &["sale", "now MARKETING"],
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn held_message_that_is_dropped_pauses_every_campaign_and_is_not_sent_again() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    for (held, expected_row, expected_other) in [
        (true, State::Accepted, CampaignState::Paused),
        (false, State::Retry, CampaignState::Sending),
    ] {
        let other = env.create_campaign(CampaignState::Sending).await.id;
        let id = env
            .create_campaign_with(|campaign| {
                set_state(campaign, CampaignState::Sending);
                campaign.policy.retry_undelivered = true;
            })
            .await
            .id;
        env.claim_row(&id, 1).await;
        let message_status = if held {
            "held_for_quality_assessment"
        } else {
            "accepted"
        };
        let acceptance = Acceptance {
            wamid: "wamid.1".into(),
            wa_id: Some("34610000001".into()),
            user_id: None,
            message_status: Some(message_status.into()),
        };
        let recorded = env.ledger.record_acceptance(&id, 1, 1, &acceptance);
        assert!(recorded.await.unwrap());
        let mut status = row_status(&id, 1, "failed", cloud::now() / 1000);
        status["errors"][0]["code"] = json!(132_015);
        meta.post(&statuses_body(&[status])).await;
        assert_eq!(
            env.campaign_state(&id).await,
            CampaignState::Paused,
            "{held}"
        );
        assert_eq!(env.campaign_state(&other).await, expected_other, "{held}");
        assert_eq!(env.row_state(&id, 1).await, expected_row, "{held}");
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn flagged_number_is_paused_and_an_upgrade_is_shown() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let api = ApiClient::new(&env);
    let post = async |event: &str, limit: &str| {
        let value = json!({"event": event, "current_limit": limit, "display_phone_number": "1"});
        meta.post(&change_body("phone_number_quality_update", value))
            .await;
    };
    post("THROUGHPUT_UPGRADE", "TIER_UNLIMITED").await;
    let account = api.get("/v1/account").await.expect(200);
    let mut events = list(&account["events"]).iter();
    let shown = events.any(|event| text(&event["text"]).contains("raise TpsBudget"));
    assert!(shown, "{account}");
    let numbers = async || api.get("/v1/numbers").await.expect(200);
    assert!(numbers().await["numbers"][0]["paused"].is_null());
    post("FLAGGED", "TIER_10K").await;
    let paused = numbers().await["numbers"][0]["paused"].clone();
    assert_eq!(paused["by"], "crier");
    assert_says(text(&paused["reason"]), &["FLAGGED", "TIER_10K"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_delivery_pauses_the_campaign_like_a_failed_send() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    for (link, code, expected) in [
        ("https://example.com/a.png", 131_053, CampaignState::Paused),
        ("{{name}}", 131_053, CampaignState::Sending),
        ("https://example.com/a.png", 131_026, CampaignState::Sending),
        ("https://example.com/a.png", 131_042, CampaignState::Paused),
    ] {
        let message = json!({"type": "image", "image": {"link": link}});
        let message = Message::new(message).unwrap();
        let campaign = env
            .create_campaign_with(|campaign| {
                set_state(campaign, CampaignState::Sending);
                campaign.message = message;
            })
            .await;
        env.ledger
            .claim(&campaign.id, 1, "sender", 1)
            .await
            .unwrap();
        let mut status = row_status(&campaign.id, 1, "failed", cloud::now() / 1000);
        status["errors"][0]["code"] = json!(code);
        meta.post(&statuses_body(&[status])).await;
        let campaign = env.load_campaign(&campaign.id).await;
        let reason = campaign.reason(cloud::now());
        assert_eq!(
            campaign.state(cloud::now()),
            expected,
            "{link} {code} {reason:?}"
        );
    }
}
