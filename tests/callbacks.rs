//! The webhook: handshake, signature, storage, statuses in any order.

use campaign::delivery::ledger::{Claim, LedgerRow, State};
use campaign::delivery::outcome::ErrorInfo;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use cloud::callbacks::Callbacks;
use lambda_http::Request;
use secrecy::SecretString;
use serde_json::{Value, json};
use webhook::Webhook;
use whatsapp::signature;

use crate::harness::json::{assert_has, sample_event};
use crate::harness::meta::{MetaClient, row_status, statuses_body};
use crate::harness::{TestEnv, VERIFY_TOKEN, set_state};

const DAY_MS: u64 = 24 * 3_600_000;

fn sample_request(event: &str) -> Request {
    lambda_http::request::from_str(event).unwrap()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn handshake_requires_verify_token() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let handshake = sample_event("webhook.handshake.json").to_string();
    let reply = meta.send(sample_request(&handshake)).await;
    assert_eq!(reply, (200, "1158201444".to_owned()));
    for wrong in ["other", "", "local-verif"] {
        let request = sample_request(&handshake.replace(VERIFY_TOKEN, wrong));
        assert_eq!(meta.send(request).await.0, 403, "{wrong}");
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn signed_callback_is_stored_raw_and_updates_its_row() {
    let env = TestEnv::new().await;
    let campaign = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    env.claim_row(&campaign, 1).await;
    let sample = sample_event("webhook.status-delivered.json").to_string();
    let (status, _) = MetaClient::new(&env).send(sample_request(&sample)).await;
    assert_eq!(status, 200);
    let row = env.ledger_row(&campaign, 1).await;
    assert_eq!(
        (row.state, row.delivered_at),
        (State::Accepted, Some(1_790_000_002_000))
    );
    let raw = stored_callback(&env, "status#wamid.HBgLMQ==#delivered").await;
    let expected = json!({"status": {"pricing": {"category": "utility"}},
        "metadata": {"phone_number_id": "100000000000001"}});
    assert_has(&serde_json::from_str(&raw.unwrap()).unwrap(), &expected);
}

async fn stored_callback(env: &TestEnv, key: &str) -> Option<String> {
    env.callbacks.get(key).await.unwrap()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn unsigned_callback_is_neither_stored_nor_applied() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let campaign = env.create_campaign(CampaignState::Sending).await.id;
    env.claim_row(&campaign, 1).await;
    let body = statuses_body(&[row_status(&campaign, 1, "delivered", 10)]).to_string();
    let other = signature::sign(body.as_bytes(), &SecretString::from("another app's"));
    for forged in ["", "sha256=", "sha256=00", &other] {
        assert_eq!(
            meta.post_with_signature(&body, forged).await,
            401,
            "{forged}"
        );
    }
    assert_eq!(env.row_state(&campaign, 1).await, State::Claimed);
    assert_eq!(
        stored_callback(&env, "status#wamid.1#delivered").await,
        None
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn empty_and_oversized_bodies_are_refused() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    assert_eq!(meta.post_text("").await, 400);
    let oversized = "x".repeat(webhook::MAX_BODY_BYTES + 1);
    assert_eq!(meta.post_text(&oversized).await, 413);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn unknown_signed_payload_is_stored_and_acknowledged() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    for body in [
        "not json",
        "[]",
        r#"{"entry":[{"changes":[{"field":"new_thing","value":{"a":1}}]}]}"#,
    ] {
        assert_eq!(meta.post_text(body).await, 200, "{body}");
        let key = whatsapp::callback::parse_callback(body.as_bytes())[0]
            .key
            .clone();
        assert!(stored_callback(&env, &key).await.is_some(), "{body}");
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_store_returns_500() {
    let env = TestEnv::new().await;
    let config = cloud::aws::load_config();
    let missing = Callbacks::new(cloud::aws::dynamodb(&config), "no-such-table".into(), 7);
    let webhook = Webhook {
        callbacks: missing,
        ..env.webhook()
    };
    let meta = MetaClient::posting_to(&env, webhook);
    let body = statuses_body(&[row_status(&"c1".parse().unwrap(), 1, "sent", 10)]);
    assert_eq!(meta.post_text(&body.to_string()).await, 500);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn statuses_in_any_order_with_repeats_give_the_same_row() {
    let env = TestEnv::new().await;
    let meta = MetaClient::new(&env);
    let campaign = env.create_campaign(CampaignState::Sending).await.id;
    let mut rows = Vec::new();
    for (row, order) in (1..).zip(permutations(4)) {
        env.ledger.claim(&campaign, row, "sender", 1).await.unwrap();
        post_statuses_in_order(&meta, &campaign, row, &order).await;
        rows.push(env.ledger_row(&campaign, row).await);
    }
    assert_eq!(rows.len(), 24);
    let first = rows[0].clone();
    for row in rows {
        let row = LedgerRow {
            row: first.row.clone(),
            ..row
        };
        assert_eq!(row, first);
    }
    assert_eq!(first.state, State::Accepted);
    let times = [
        first.sent_at,
        first.delivered_at,
        first.read_at,
        first.failed_at,
    ];
    assert_eq!(times, [10_000, 20_000, 30_000, 40_000].map(Some));
    assert_eq!(first.failure.and_then(|error| error.code), Some(131_026));
}

/// Posts all four statuses of a row: the first twice in one POST, the last in two.
async fn post_statuses_in_order(
    meta: &MetaClient,
    campaign: &CampaignId,
    row: u32,
    order: &[usize],
) {
    const STATUSES: [(&str, u64); 4] = [
        ("sent", 10),
        ("delivered", 20),
        ("read", 30),
        ("failed", 40),
    ];
    for (position, &index) in order.iter().enumerate() {
        let (name, seconds) = STATUSES[index];
        let mut status = row_status(campaign, row, name, seconds);
        status["id"] = json!("wamid.1");
        let copies = if position == 0 { 2 } else { 1 };
        let posts = if position == 3 { 2 } else { 1 };
        for _ in 0..posts {
            meta.post(&statuses_body(&vec![status.clone(); copies]))
                .await;
        }
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let smaller = permutations(n - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, n - 1);
        order
    };
    smaller
        .iter()
        .flat_map(|order| (0..n).map(move |at| insert(order, at)))
        .collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn status_of_an_old_attempt_does_not_change_a_new_attempt() {
    let env = TestEnv::new().await;
    let campaign = env.create_campaign(CampaignState::Sending).await.id;
    env.ledger.claim(&campaign, 1, "one", 1).await.unwrap();
    let error = ErrorInfo::default();
    env.ledger
        .schedule_retry(&campaign, 1, 1, 2, &error)
        .await
        .unwrap();
    env.ledger.claim(&campaign, 1, "two", 3).await.unwrap();
    let mut status = row_status(&campaign, 1, "failed", 10);
    status["id"] = json!("wamid.old");
    MetaClient::new(&env).post(&statuses_body(&[status])).await;
    let row = env.ledger_row(&campaign, 1).await;
    assert_eq!(
        (row.state, row.attempt, row.failed_at),
        (State::Claimed, 2, None)
    );
    assert!(
        stored_callback(&env, "status#wamid.old#failed")
            .await
            .is_some()
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn undelivered_row_is_retried_a_day_later_if_the_policy_says_so() {
    let env = TestEnv::new().await;
    for (retry_undelivered, code, days_left, expected) in [
        (true, 131_049, None, State::Retry),
        (true, 131_049, Some(2), State::Retry),
        (true, 131_049, Some(1), State::Accepted),
        (false, 131_049, None, State::Accepted),
        (true, 131_026, None, State::Accepted),
    ] {
        let change = |campaign: &mut Campaign| {
            set_state(campaign, CampaignState::Sending);
            campaign.policy.retry_undelivered = retry_undelivered;
            let end = days_left.map(|days| cloud::now() + days * DAY_MS - 60_000);
            campaign.schedule.not_after = end;
        };
        let id = env.create_campaign_with(change).await.id;
        env.ledger.claim(&id, 1, "sender", 1).await.unwrap();
        // Once, and twice more after it moved.
        for _ in 0..3 {
            MetaClient::new(&env).post(&failure_body(&id, code)).await;
        }
        let state = env.row_state(&id, 1).await;
        assert_eq!(state, expected, "{retry_undelivered} {code} {days_left:?}");
        if expected == State::Retry {
            assert_retry_is_due_in_a_day(&env, &id, code).await;
        }
    }
}

fn failure_body(campaign: &CampaignId, code: u32) -> Value {
    let mut status = row_status(campaign, 1, "failed", 10);
    status["errors"][0]["code"] = json!(code);
    statuses_body(&[status])
}

/// The row waits a day; a late status of its first attempt does not change the second.
async fn assert_retry_is_due_in_a_day(env: &TestEnv, id: &CampaignId, code: u32) {
    let due_at = env.ledger_row(id, 1).await.not_before.unwrap();
    assert!(due_at >= cloud::now() + DAY_MS - 60_000);
    let claim = env.ledger.claim(id, 1, "sender", cloud::now() + 2 * DAY_MS);
    assert_eq!(claim.await.unwrap(), Claim::Won(2));
    MetaClient::new(env).post(&failure_body(id, code)).await;
    let row = env.ledger_row(id, 1).await;
    assert_eq!((row.state, row.attempt), (State::Claimed, 2));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn deliveries_are_recorded_of_one_row_in_so_many_and_every_callback_is_kept() {
    let env = TestEnv::new().await;
    let change = |campaign: &mut Campaign| campaign.policy.delivery_reports_every = 2;
    let id = env.create_campaign_with(change).await.id;
    let meta = MetaClient::new(&env);
    let mut statuses = Vec::new();
    for row in 1..=4 {
        env.ledger.claim(&id, row, "sender", 1).await.unwrap();
        // The response was lost; the first report shows that the message was sent.
        let reports = [("sent", 10), ("delivered", 20), ("read", 30)];
        statuses.extend(reports.map(|(name, seconds)| row_status(&id, row, name, seconds)));
    }
    for status in &statuses {
        meta.post(&statuses_body(std::slice::from_ref(status)))
            .await;
    }
    let rows = env.ledger_rows(&id).await;
    let known: Vec<_> = rows
        .iter()
        .map(|row| (row.sent_at, row.delivered_at, row.read_at))
        .collect();
    let all = (Some(10_000), Some(20_000), Some(30_000));
    let sent = (Some(10_000), None, None);
    assert_eq!(known, [sent, all, sent, all]);
    assert!(rows.iter().all(|row| row.state == State::Accepted));
    for (row, status) in [(1, "read"), (2, "delivered")] {
        let key = format!("status#wamid.{row}#{status}");
        let kept = env.callbacks.get_first(&[key]).await.unwrap();
        assert!(kept.is_some(), "the callback of row {row} is not kept");
    }
}
