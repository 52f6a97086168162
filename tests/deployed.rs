//! The main job on the deployed whole, with IAM enforced, held against the simulator's books.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::harness::TIMEOUT;

/// A deployed stack that `cargo xtask test` started.
struct DeployedStack {
    http: Client,
    api: String,
    token: String,
    simulator: String,
}

impl DeployedStack {
    fn new() -> Self {
        let variable =
            |name: &str| std::env::var(name).expect("no deployed stack: run `cargo xtask test`");
        let [api, token, simulator] = ["CRIER_API", "CRIER_TOKEN", "CRIER_SIMULATOR"].map(variable);
        Self {
            http: Client::new(),
            api,
            token,
            simulator,
        }
    }

    async fn create_campaign(&self, campaign: &Value) -> (StatusCode, Value) {
        let post = self
            .http
            .post(format!("{}/v1/campaigns", self.api))
            .bearer_auth(&self.token)
            .json(campaign);
        let answer = post.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn upload_file(&self, upload: &Value, file: &str) -> StatusCode {
        let mut put = self
            .http
            .put(upload["url"].as_str().unwrap())
            .body(file.to_owned());
        for (name, value) in upload["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        put.send().await.unwrap().status()
    }

    async fn get_json(&self, url: String) -> Value {
        self.http
            .get(url)
            .bearer_auth(&self.token)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Waits until the campaign shows `done`; fails where nothing changes for long.
    async fn wait_for_campaign(&self, id: &Value, done: impl Fn(&Value) -> bool) -> Value {
        let (mut last, mut since) = (Value::Null, Instant::now());
        loop {
            let mut seen = self
                .get_json(format!(
                    "{}/v1/campaigns/{}",
                    self.api,
                    id.as_str().unwrap()
                ))
                .await;
            if done(&seen) {
                return seen;
            }
            // Moves with the clock, not with the work.
            seen["sending"] = Value::Null;
            if seen != last {
                (last, since) = (seen, Instant::now());
            }
            assert!(since.elapsed() < TIMEOUT, "nothing moves any more: {last}");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}

/// `rows` rows: every 25th is bad, every 40th repeats the one before.
fn generate_file(rows: u32) -> (String, BTreeMap<String, u32>, usize, usize) {
    let mut file = String::from("Name,Phone Number\r\n");
    let (mut expected, mut bad, mut repeated) = (BTreeMap::new(), 0, 0);
    for row in 1..=rows {
        let phone = match row {
            row if row % 25 == 0 => "not a number".to_owned(),
            row if row % 40 == 1 && row > 1 && (row - 1) % 25 != 0 => {
                format!("+34 610 {:06}", row - 1)
            }
            row => format!("+34610{row:06}"),
        };
        file.push_str(&format!("\"Núñez, {row}\",{phone}\r\n"));
        let number = phone.replace(' ', "");
        if number.starts_with("not") {
            bad += 1;
        } else if let Entry::Vacant(first) = expected.entry(number) {
            first.insert(row);
        } else {
            repeated += 1;
        }
    }
    (file, expected, bad, repeated)
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn every_recipient_is_messaged_once_within_the_rate_limit() {
    let deployed = DeployedStack::new();
    let (file, expected, bad, repeated) = generate_file(2000);
    assert!(bad > 50 && repeated > 20);
    let message = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
    let campaign = json!({"name": "Main job", "message": message, "outside_service_window": "send", "file": {"name": "people.csv", "size": file.len()}});
    let (status, created) = deployed.create_campaign(&campaign).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_eq!(
        deployed.upload_file(&created["upload"], &file).await,
        StatusCode::OK
    );
    assert_eq!(
        deployed.upload_file(&created["upload"], &file).await,
        StatusCode::PRECONDITION_FAILED
    );
    let total = expected.len() as i64;
    let done = |seen: &Value| {
        let reports = seen["delivery"]["delivered"].as_i64().unwrap()
            + seen["delivery"]["undelivered"].as_i64().unwrap();
        seen["state"] == "finished" && reports == total
    };
    let seen = deployed.wait_for_campaign(&created["id"], done).await;

    // By the independent books: each valid distinct number once, from the row it is in, and nobody else.
    let calls = deployed
        .get_json(format!("{}/_control/call-log", deployed.simulator))
        .await;
    let calls: Vec<&Value> = calls
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| {
            call["row"]
                .as_str()
                .unwrap()
                .starts_with(created["id"].as_str().unwrap())
        })
        .collect();
    let accepted: BTreeMap<String, u32> = calls
        .iter()
        .filter(|call| call["accepted"] == true)
        .map(|call| {
            let row = call["row"]
                .as_str()
                .unwrap()
                .rsplit(':')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            (call["to"].as_str().unwrap().to_owned(), row)
        })
        .collect();
    assert_eq!(accepted, expected);
    assert_eq!(
        calls.len(),
        expected.len(),
        "no call beyond the first for a row"
    );
    let books = deployed
        .get_json(format!("{}/_control/stats", deployed.simulator))
        .await;
    assert!(
        books["sends"]["busiest_second"].as_i64() <= seen["sending"]["budget"].as_i64(),
        "{books}"
    );
    assert_eq!(books["sends"]["repeats"], 0);

    let rows = &seen["rows"];
    let count = |name: &str| rows[name].as_i64().unwrap();
    assert_eq!(
        (
            count("total"),
            count("rejected_at_import"),
            count("duplicates")
        ),
        (2000, bad as i64, repeated as i64)
    );
    assert_eq!((count("enqueued"), count("accepted")), (total, total));
    let rest: BTreeSet<i64> = [
        "waiting",
        "claimed",
        "retry",
        "held",
        "rejected",
        "unconfirmed",
        "skipped",
    ]
    .map(count)
    .into();
    assert_eq!(rest, [0].into());
    assert_eq!(rows["balanced"], true);
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn scheduled_campaign_starts_by_itself_at_its_time() {
    let deployed = DeployedStack::new();
    let begins = std::time::SystemTime::now() + std::time::Duration::from_secs(15);
    let begins = begins
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let not_before = jiff::Timestamp::from_millisecond(begins).unwrap();
    let file = "phone,name\n+34611000001,Ana\n+34611000002,Bo\n";
    let message = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
    let campaign = json!({"name": "Later", "message": message, "outside_service_window": "send", "not_before": not_before.to_string(),
        "file": {"name": "people.csv", "size": file.len()}});
    let (status, created) = deployed.create_campaign(&campaign).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_eq!(
        deployed.upload_file(&created["upload"], file).await,
        StatusCode::OK
    );
    let id = &created["id"];
    deployed
        .wait_for_campaign(id, |seen| seen["state"] == "scheduled")
        .await;
    let seen = deployed
        .wait_for_campaign(id, |seen| seen["state"] == "finished")
        .await;
    assert_eq!(seen["rows"]["accepted"], 2);
    let first: jiff::Timestamp = seen["sending"]["first_attempt_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(first >= not_before, "{first} {not_before}");
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn deployed_stack_refuses_unauthenticated_requests() {
    let mut deployed = DeployedStack::new();
    let webhook = deployed
        .http
        .post(format!("{}/webhook", deployed.api))
        .header("x-hub-signature-256", "sha256=00");
    assert_eq!(
        webhook.body("{}").send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let handshake = "/webhook?hub.mode=subscribe&hub.challenge=42&hub.verify_token=";
    let challenge = async |token: &str| {
        let answer = deployed
            .http
            .get(format!("{}{handshake}{token}", deployed.api))
            .send()
            .await
            .unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(
        challenge("local-verify").await,
        (StatusCode::OK, "42".into())
    );
    assert_eq!(challenge("guess").await.0, StatusCode::FORBIDDEN);
    deployed.token = "guess".into();
    assert_eq!(
        deployed.create_campaign(&json!({})).await.0,
        StatusCode::UNAUTHORIZED
    );
}

/// What the simulator signs callbacks with.
const APP_SECRET: &str = "simulated-app-secret";

impl DeployedStack {
    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let post = self.http.post(format!("{}{path}", self.api));
        let answer = post
            .bearer_auth(&self.token)
            .json(body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        self.get_json(format!("{}{path}", self.api)).await
    }

    /// Waits until `path` shows `done`.
    async fn wait_for(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let seen = self.get(path).await;
            if done(&seen) {
                return seen;
            }
            assert!(began.elapsed() < TIMEOUT, "{path}: {seen}");
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    }

    /// Posts a callback as Meta would; gives whether it was taken.
    async fn post_callback(&self, body: &str) -> bool {
        let signature = whatsapp::signature::sign(body.as_bytes(), &APP_SECRET.into());
        let post = self.http.post(format!("{}/webhook", self.api));
        let post = post.header("x-hub-signature-256", signature);
        let answer = post.body(body.to_owned()).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// A campaign of these people, sent and reported to its end.
    async fn send_campaign(&self, name: &str, rows: u32) -> Value {
        let file: String = (1..=rows)
            .map(|row| format!("+34620{row:06},Ana\n"))
            .collect();
        let file = format!("phone,name\n{file}");
        let message = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
        let campaign = json!({"name": name, "message": message, "outside_service_window": "send",
            "file": {"name": "people.csv", "size": file.len()}});
        let (status, created) = self.create_campaign(&campaign).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        assert_eq!(
            self.upload_file(&created["upload"], &file).await,
            StatusCode::OK
        );
        let reported = |seen: &Value| {
            seen["state"] == "finished" && seen["delivery"]["delivered"] == i64::from(rows)
        };
        self.wait_for_campaign(&created["id"], reported).await;
        created["id"].clone()
    }
}

/// Kills the webhook's processes, as Lambda's host may at any time; gives how many.
fn kill_webhooks() -> usize {
    let mut killed = 0;
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        let is_it = environment.split(|&byte| byte == 0).any(|variable| {
            variable.starts_with(b"AWS_LAMBDA_FUNCTION_NAME=")
                && variable.windows(7).any(|name| name == b"Webhook")
        });
        let program = std::fs::read_link(process.path().join("exe")).unwrap_or_default();
        if is_it && program.ends_with("bootstrap") {
            let mut kill = std::process::Command::new("kill");
            kill.arg("-KILL").arg(process.file_name());
            killed += usize::from(kill.status().is_ok_and(|status| status.success()));
        }
    }
    killed
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn killed_webhook_neither_loses_nor_double_counts_statuses() {
    const ROWS: u32 = 1000;
    let deployed = DeployedStack::new();
    let id = deployed.send_campaign("Killed", ROWS).await;
    let id = id.as_str().unwrap();
    let path = format!("/v1/campaigns/{id}");
    let before = deployed.get(&path).await["delivery"]["read"]
        .as_i64()
        .unwrap();
    assert!(before < i64::from(ROWS), "some are never read");
    let statuses: Vec<Value> = (1..=ROWS)
        .map(|row| {
            json!({"id": format!("wamid.again{row}"), "status": "read", "timestamp": "1790000000",
                "biz_opaque_callback_data": format!("{id}:{row}:1")})
        })
        .collect();
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
        {"field": "messages", "value": {"statuses": statuses}}]}]})
    .to_string();
    let mut killed = 0;
    for round in 0..8u64 {
        let dying = async {
            tokio::time::sleep(std::time::Duration::from_millis(60 + 90 * round)).await;
            kill_webhooks()
        };
        let (_, dead) = tokio::join!(deployed.post_callback(&body), dying);
        killed += dead;
    }
    assert!(killed > 0, "nothing was killed: the test shows nothing");
    let began = Instant::now();
    while !deployed.post_callback(&body).await {
        assert!(began.elapsed() < TIMEOUT, "the POST is never taken");
    }
    let all = |seen: &Value| seen["delivery"]["read"] == i64::from(ROWS);
    deployed.wait_for(&path, all).await;
    assert_eq!(
        deployed
            .post(&format!("{path}/recount"), &json!({}))
            .await
            .0,
        StatusCode::ACCEPTED
    );
    let done = |job: &Value| job["state"] == "done" || job["state"] == "failed";
    let job = deployed.wait_for(&format!("{path}/recount"), done).await;
    assert_eq!(job["outcome"], "The counters were right.", "{job}");
    let seen = deployed.get(&path).await;
    assert_eq!(
        (&seen["rows"]["accepted"], &seen["rows"]["balanced"]),
        (&json!(ROWS), &json!(true))
    );
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn template_permissions_suffice_for_inbound_messages_and_reports() {
    let deployed = DeployedStack::new();
    let rule =
        json!({"keywords": ["hours"], "message": {"type": "text", "text": {"body": "9 to 5"}}});
    let put = deployed.http.put(format!("{}/v1/settings", deployed.api));
    let put = put
        .bearer_auth(&deployed.token)
        .json(&json!({"replies": [rule]}));
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    let id = deployed.send_campaign("Results", 20).await;
    let path = format!("/v1/campaigns/{}", id.as_str().unwrap());
    // Somebody answers, somebody asks, somebody stops.
    for (from, text) in [
        ("+34620000001", "thanks"),
        ("+34620000002", "Hours?"),
        ("+34620000003", "STOP"),
    ] {
        let inbound = json!({"from": from, "text": text});
        let url = format!("{}/_control/inbound", deployed.simulator);
        assert!(
            deployed
                .http
                .post(url)
                .json(&inbound)
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    }
    let stopped = deployed.get("/v1/contacts/34620000003").await;
    assert_eq!(stopped["suppressed"], true, "{stopped}");
    let listed = deployed.get("/v1/inbox").await;
    let mine = |message: &&Value| message["campaign"] == id;
    assert_eq!(
        listed["messages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(mine)
            .count(),
        3,
        "{listed}"
    );
    let calls = format!("{}/_control/call-log", deployed.simulator);
    let began = Instant::now();
    loop {
        let calls = deployed.get_json(calls.clone()).await;
        let answers = calls
            .as_array()
            .unwrap()
            .iter()
            .filter(|call| call["row"].as_str().unwrap().starts_with("reply-"));
        if answers.count() == 1 {
            break;
        }
        assert!(began.elapsed() < TIMEOUT, "no answer was sent");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let (status, asked) = deployed.post(&format!("{path}/report"), &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{asked}");
    let report = deployed
        .wait_for(&format!("{path}/report"), |job| job["state"] == "done")
        .await;
    assert_eq!(report["summary"]["rows"], 20);
    let file = deployed
        .http
        .get(report["files"][0]["url"].as_str().unwrap());
    let file = file.send().await.unwrap().text().await.unwrap();
    assert_eq!(file.lines().count(), 21, "{file}");
    let scraped = deployed
        .http
        .get(format!("{}/v1/metrics", deployed.api))
        .bearer_auth(&deployed.token);
    let scraped = scraped.send().await.unwrap().text().await.unwrap();
    assert!(scraped.contains("# TYPE crier_rows gauge"), "{scraped}");
    assert!(deployed.get("/v1/account").await["events"].is_array());
    // Every callback goes on, once under each id.
    let forwarded = format!("{}/_control/forwarded", deployed.simulator);
    let began = Instant::now();
    while deployed.get_json(forwarded.clone()).await["callbacks"]
        .as_u64()
        .unwrap()
        < 20 * 2 + 3
    {
        assert!(began.elapsed() < TIMEOUT, "callbacks are not forwarded");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}
