//! The main job on the deployed whole, with IAM enforced, held against the simulator's books.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::world::PATIENCE;

/// A deployed stack that `cargo xtask test` started.
struct Deployed {
    http: Client,
    api: String,
    token: String,
    simulator: String,
}

impl Deployed {
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

    async fn create(&self, campaign: &Value) -> (StatusCode, Value) {
        let post = self
            .http
            .post(format!("{}/campaigns", self.api))
            .bearer_auth(&self.token)
            .json(campaign);
        let answer = post.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn upload(&self, upload: &Value, file: &str) -> StatusCode {
        let mut put = self
            .http
            .put(upload["url"].as_str().unwrap())
            .body(file.to_owned());
        for (name, value) in upload["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        put.send().await.unwrap().status()
    }

    async fn json(&self, url: String) -> Value {
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
    async fn until(&self, id: &Value, done: impl Fn(&Value) -> bool) -> Value {
        let (mut last, mut since) = (Value::Null, Instant::now());
        loop {
            let mut seen = self
                .json(format!("{}/campaigns/{}", self.api, id.as_str().unwrap()))
                .await;
            if done(&seen) {
                return seen;
            }
            // Moves with the clock, not with the work.
            seen["sending"] = Value::Null;
            if seen != last {
                (last, since) = (seen, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "nothing moves any more: {last}");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}

/// `rows` rows: every 25th is bad, every 40th repeats the one before.
fn people(rows: u32) -> (String, BTreeMap<String, u32>, usize, usize) {
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
async fn everyone_on_the_list_is_messaged_once_and_never_too_fast() {
    let deployed = Deployed::new();
    let (file, expected, bad, repeated) = people(2000);
    assert!(bad > 50 && repeated > 20);
    let message = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
    let campaign = json!({"name": "Main job", "message": message, "outside_window": "send", "file": {"name": "people.csv", "size": file.len()}});
    let (status, created) = deployed.create(&campaign).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_eq!(
        deployed.upload(&created["upload"], &file).await,
        StatusCode::OK
    );
    assert_eq!(
        deployed.upload(&created["upload"], &file).await,
        StatusCode::PRECONDITION_FAILED
    );
    let total = expected.len() as i64;
    let done = |seen: &Value| {
        let reports = seen["delivery"]["delivered"].as_i64().unwrap()
            + seen["delivery"]["undelivered"].as_i64().unwrap();
        seen["state"] == "finished" && reports == total
    };
    let seen = deployed.until(&created["id"], done).await;

    // By the independent books: each valid distinct number once, from the row it is in, and nobody else.
    let calls = deployed
        .json(format!("{}/_control/calls", deployed.simulator))
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
        .json(format!("{}/_control/books", deployed.simulator))
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
    assert_eq!(rows["conserved"], true);
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn a_campaign_created_ahead_of_time_starts_by_itself_and_not_before() {
    let deployed = Deployed::new();
    let begins = std::time::SystemTime::now() + std::time::Duration::from_secs(15);
    let begins = begins
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let not_before = jiff::Timestamp::from_millisecond(begins).unwrap();
    let file = "phone,name\n+34611000001,Ana\n+34611000002,Bo\n";
    let message = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
    let campaign = json!({"name": "Later", "message": message, "outside_window": "send", "not_before": not_before.to_string(),
        "file": {"name": "people.csv", "size": file.len()}});
    let (status, created) = deployed.create(&campaign).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_eq!(
        deployed.upload(&created["upload"], file).await,
        StatusCode::OK
    );
    let id = &created["id"];
    deployed
        .until(id, |seen| seen["state"] == "scheduled")
        .await;
    let seen = deployed.until(id, |seen| seen["state"] == "finished").await;
    assert_eq!(seen["rows"]["accepted"], 2);
    let first: jiff::Timestamp = seen["sending"]["first_call_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(first >= not_before, "{first} {not_before}");
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn strangers_are_kept_out_of_the_deployed_whole() {
    let mut deployed = Deployed::new();
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
        deployed.create(&json!({})).await.0,
        StatusCode::UNAUTHORIZED
    );
}
