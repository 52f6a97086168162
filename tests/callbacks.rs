//! The webhook: handshake, signature, storage, any order.

use campaign::delivery::ledger::State;
use campaign::lifecycle::campaign::CampaignState;
use cloud::callbacks::Callbacks;
use cloud::ledger::LedgerRow;
use lambda_http::http::Method;
use lambda_http::{Body, Request};
use secrecy::SecretString;
use serde_json::{Value, json};
use webhook::Webhook;
use whatsapp::signature;

use crate::architecture::sample_event;
use crate::harness::{TestEnv, VERIFY_TOKEN};

fn new_webhook(world: &TestEnv) -> Webhook {
    world.webhook()
}

pub(crate) fn signed_request(world: &TestEnv, body: &str) -> Request {
    let secret = SecretString::from(world.simulator.state.settings().app_secret);
    let header = signature::sign(body.as_bytes(), &secret);
    webhook_request(body, &header)
}

fn webhook_request(body: &str, signature: &str) -> Request {
    let request = lambda_http::http::Request::builder()
        .method(Method::POST)
        .uri("/webhook");
    request
        .header("x-hub-signature-256", signature)
        .body(Body::from(body))
        .unwrap()
}

pub(crate) async fn response_status(webhook: &Webhook, request: Request) -> u16 {
    webhook.handle(request).await.unwrap().status().as_u16()
}

pub(crate) fn status_json(tracker: &str, wamid: &str, status: &str, seconds: u64) -> Value {
    let mut report = json!({"id": wamid, "status": status, "timestamp": seconds.to_string(), "biz_opaque_callback_data": tracker});
    if status == "failed" {
        report["errors"] = json!([{"code": 131026, "title": "Message undeliverable"}]);
    }
    report
}

pub(crate) fn statuses_body(list: &[Value]) -> String {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
        {"field": "messages", "value": {"messaging_product": "whatsapp", "statuses": list}}]}]})
    .to_string()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn handshake_requires_verify_token() {
    let world = TestEnv::new().await;
    let webhook = new_webhook(&world);
    let sample = sample_event("webhook.handshake.json").to_string();
    let answer = webhook
        .handle(lambda_http::request::from_str(&sample).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_ref()),
        (200, b"1158201444".as_slice())
    );
    for wrong in ["other", "", "local-verif"] {
        let sample = sample.replace(VERIFY_TOKEN, wrong);
        assert_eq!(
            response_status(&webhook, lambda_http::request::from_str(&sample).unwrap()).await,
            403,
            "{wrong}"
        );
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn signed_callback_is_stored_raw_and_updates_its_row() {
    let world = TestEnv::new().await;
    let campaign = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    world
        .ledger
        .claim(&campaign, 1, "sender", cloud::now())
        .await
        .unwrap();
    let sample =
        lambda_http::request::from_str(&sample_event("webhook.status-delivered.json").to_string())
            .unwrap();
    assert_eq!(response_status(&new_webhook(&world), sample).await, 200);
    let row = world.ledger.get_row(&campaign, 1).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.delivered_at),
        (State::Accepted, Some(1_790_000_002_000))
    );
    let raw = world
        .callbacks
        .get("status#wamid.HBgLMQ==#delivered")
        .await
        .unwrap()
        .unwrap();
    let raw: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(raw["status"]["pricing"]["category"], "utility");
    assert_eq!(raw["metadata"]["phone_number_id"], "100000000000001");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn unsigned_callback_is_neither_stored_nor_applied() {
    let world = TestEnv::new().await;
    let webhook = new_webhook(&world);
    let campaign = world.create_campaign(CampaignState::Sending).await.id;
    world
        .ledger
        .claim(&campaign, 1, "sender", cloud::now())
        .await
        .unwrap();
    let body = statuses_body(&[status_json(
        &format!("{campaign}:1:1"),
        "wamid.1",
        "delivered",
        10,
    )]);
    let other = signature::sign(body.as_bytes(), &SecretString::from("another app's"));
    for forged in ["", "sha256=", "sha256=00", &other] {
        assert_eq!(
            response_status(&webhook, webhook_request(&body, forged)).await,
            401,
            "{forged}"
        );
    }
    assert_eq!(
        world
            .ledger
            .get_row(&campaign, 1)
            .await
            .unwrap()
            .unwrap()
            .state,
        State::Claimed
    );
    assert_eq!(
        world
            .callbacks
            .get("status#wamid.1#delivered")
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        response_status(&webhook, signed_request(&world, "")).await,
        400
    );
    assert_eq!(
        response_status(
            &webhook,
            signed_request(&world, &"x".repeat(webhook::MAX_BODY_BYTES + 1))
        )
        .await,
        413
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn unknown_signed_payload_is_stored_and_acknowledged() {
    let world = TestEnv::new().await;
    let webhook = new_webhook(&world);
    for body in [
        "not json",
        "[]",
        r#"{"entry":[{"changes":[{"field":"new_thing","value":{"a":1}}]}]}"#,
    ] {
        assert_eq!(
            response_status(&webhook, signed_request(&world, body)).await,
            200,
            "{body}"
        );
        let key = whatsapp::callback::parse_callback(body.as_bytes())[0]
            .key
            .clone();
        assert!(world.callbacks.get(&key).await.unwrap().is_some(), "{body}");
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_store_returns_500() {
    let world = TestEnv::new().await;
    let config = cloud::aws::load_config().await;
    let gone = Callbacks::new(cloud::aws::dynamodb(&config), "no-such-table".into(), 7);
    let webhook = Webhook {
        callbacks: gone,
        ..world.webhook()
    };
    let body = statuses_body(&[status_json("c1:1:1", "wamid.1", "sent", 10)]);
    assert_eq!(
        response_status(&webhook, signed_request(&world, &body)).await,
        500
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn statuses_in_any_order_with_repeats_give_the_same_row() {
    let world = TestEnv::new().await;
    let webhook = new_webhook(&world);
    let campaign = world.create_campaign(CampaignState::Sending).await.id;
    let statuses = [
        ("sent", 10),
        ("delivered", 20),
        ("read", 30),
        ("failed", 40),
    ];
    let mut ends: Vec<LedgerRow> = Vec::new();
    for (number, order) in (1..).zip(permutations(4)) {
        world
            .ledger
            .claim(&campaign, number, "sender", 1)
            .await
            .unwrap();
        let tracker = format!("{campaign}:{number}:1");
        for (step, &index) in order.iter().enumerate() {
            let (name, at) = statuses[index];
            let once = status_json(&tracker, "wamid.1", name, at);
            // The first twice in one POST, the last in two.
            let list = if step == 0 {
                vec![once.clone(), once.clone()]
            } else {
                vec![once.clone()]
            };
            for _ in 0..=usize::from(step == 3) {
                assert_eq!(
                    response_status(&webhook, signed_request(&world, &statuses_body(&list))).await,
                    200
                );
            }
        }
        ends.push(
            world
                .ledger
                .get_row(&campaign, number)
                .await
                .unwrap()
                .unwrap(),
        );
    }
    assert_eq!(ends.len(), 24);
    for end in &ends {
        let same = LedgerRow {
            row: ends[0].row.clone(),
            ..end.clone()
        };
        assert_eq!(same, ends[0]);
    }
    let end = &ends[0];
    assert_eq!(
        (end.state, end.sent_at, end.delivered_at, end.read_at),
        (State::Accepted, Some(10_000), Some(20_000), Some(30_000))
    );
    assert_eq!(end.failed_at, Some(40_000));
    let code = end.failure.as_ref().and_then(|fault| fault.code);
    assert_eq!(code, Some(131_026));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn status_of_an_old_attempt_does_not_change_a_new_attempt() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::Sending).await.id;
    world.ledger.claim(&campaign, 1, "one", 1).await.unwrap();
    world
        .ledger
        .schedule_retry(
            &campaign,
            1,
            1,
            2,
            &campaign::delivery::outcome::ErrorInfo::default(),
        )
        .await
        .unwrap();
    world.ledger.claim(&campaign, 1, "two", 3).await.unwrap();
    let body = statuses_body(&[status_json(
        &format!("{campaign}:1:1"),
        "wamid.old",
        "failed",
        10,
    )]);
    assert_eq!(
        response_status(&new_webhook(&world), signed_request(&world, &body)).await,
        200
    );
    let row = world.ledger.get_row(&campaign, 1).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.attempt, row.failed_at),
        (State::Claimed, 2, None)
    );
    assert!(
        world
            .callbacks
            .get("status#wamid.old#failed")
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn undelivered_row_is_retried_a_day_later_if_the_policy_says_so() {
    const DAY: u64 = 24 * 3_600_000;
    let world = TestEnv::new().await;
    let webhook = new_webhook(&world);
    let limit = |tracker: &str, code: u32| {
        let mut failed = status_json(tracker, "wamid.1", "failed", 10);
        failed["errors"][0]["code"] = json!(code);
        statuses_body(&[failed])
    };
    for (asked, code, days_left, expected) in [
        (true, 131_049, None, State::Retry),
        (true, 131_049, Some(2), State::Retry),
        (true, 131_049, Some(1), State::Accepted),
        (false, 131_049, None, State::Accepted),
        (true, 131_026, None, State::Accepted),
    ] {
        let change = |campaign: &mut campaign::lifecycle::campaign::Campaign| {
            campaign.state = CampaignState::Sending;
            campaign.policy.retry_undelivered = asked;
            campaign.schedule.not_after = days_left.map(|days| cloud::now() + days * DAY - 60_000);
        };
        let id = world.create_campaign_with(change).await.id;
        world.ledger.claim(&id, 1, "sender", 1).await.unwrap();
        // Twice, and once more after it moved.
        for _ in 0..3 {
            let body = limit(&format!("{id}:1:1"), code);
            assert_eq!(
                response_status(&webhook, signed_request(&world, &body)).await,
                200
            );
        }
        let row = world.ledger.get_row(&id, 1).await.unwrap().unwrap();
        assert_eq!(row.state, expected, "{asked} {code} {days_left:?}");
        if expected == State::Retry {
            assert!(row.not_before.unwrap() >= cloud::now() + DAY - 60_000);
            let claim = world.ledger.claim(&id, 1, "sender", cloud::now() + 2 * DAY);
            assert_eq!(claim.await.unwrap(), cloud::ledger::Claim::Won(2));
            // What comes late of the first attempt changes nothing any more.
            let body = limit(&format!("{id}:1:1"), code);
            assert_eq!(
                response_status(&webhook, signed_request(&world, &body)).await,
                200
            );
            let row = world.ledger.get_row(&id, 1).await.unwrap().unwrap();
            assert_eq!((row.state, row.attempt), (State::Claimed, 2));
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

/// Where a process of the test below finds its POST.
const BODY_PATH_VAR: &str = "CRIER_POST";

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn killed_webhook_loses_no_status_of_a_repeated_post() {
    const UPDATES: u32 = 1000;
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::Sending).await.id;
    for row in 1..=UPDATES {
        world
            .ledger
            .claim(&campaign, row, "sender", 1)
            .await
            .unwrap();
    }
    let status = |row: u32| {
        status_json(
            &format!("{campaign}:{row}:1"),
            &format!("wamid.{row}"),
            "read",
            10,
        )
    };
    let body = statuses_body(&(1..=UPDATES).map(status).collect::<Vec<_>>());
    let path = std::env::temp_dir().join(format!("crier-{campaign}.json"));
    std::fs::write(&path, &body).unwrap();
    let (mut killed, mut patience) = (0u32, std::time::Duration::from_millis(150));
    let ended = loop {
        let mut process = world.spawn_test_process(
            "callbacks::webhook_process",
            &[(BODY_PATH_VAR, path.to_str().unwrap())],
        );
        match tokio::time::timeout(patience, process.wait()).await {
            Ok(ended) => break ended.unwrap(),
            Err(_) => {
                process.kill().await.unwrap();
                killed += 1;
                patience += std::time::Duration::from_millis(100);
            }
        }
    };
    std::fs::remove_file(&path).unwrap();
    assert!(
        ended.success() && killed > 3,
        "{ended:?}, killed {killed} times"
    );
    for row in 1..=UPDATES {
        let kept = world
            .callbacks
            .get(&format!("status#wamid.{row}#read"))
            .await
            .unwrap();
        assert!(kept.is_some(), "{row}");
    }
    let rows: Vec<LedgerRow> = {
        let mut rows = Vec::new();
        for page in 0..=campaign::id::partition_of(UPDATES) {
            rows.extend(world.ledger.list_partition(&campaign, page).await.unwrap());
        }
        rows
    };
    let mut counters = campaign::lifecycle::counters::Counters::default();
    rows.iter()
        .for_each(|row| counters.apply_change(None, row.row_facts()));
    assert_eq!(
        (counters.accepted, counters.read),
        (i64::from(UPDATES), i64::from(UPDATES))
    );
}

/// One webhook, as Lambda would run it, for the test above; alone it does nothing.
#[tokio::test]
#[ignore = "a process of another test"]
async fn webhook_process() {
    let Ok(path) = std::env::var(BODY_PATH_VAR) else {
        return;
    };
    let body = std::fs::read_to_string(path).unwrap();
    let secret = SecretString::from(simulator::settings::Settings::default().app_secret);
    let header = signature::sign(body.as_bytes(), &secret);
    let webhook = Webhook::from_env().await.unwrap();
    assert_eq!(
        response_status(&webhook, webhook_request(&body, &header)).await,
        200
    );
}
