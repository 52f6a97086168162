//! A deployed stack that `cargo xtask test` started, and requests to it.

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::TIMEOUT;
use crate::harness::json::{list, text};

/// What the simulator signs callbacks with.
const APP_SECRET: &str = "simulated-app-secret";

pub(super) struct DeployedStack {
    pub(super) http: Client,
    pub(super) api: String,
    pub(super) token: String,
    simulator: String,
}

impl DeployedStack {
    pub(super) fn new() -> Self {
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

    async fn send(&self, request: RequestBuilder) -> (StatusCode, Value) {
        let response = request.bearer_auth(&self.token).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let post = self.http.post(format!("{}{path}", self.api));
        self.send(post.json(body)).await
    }

    /// Sends a single message under this key.
    pub(super) async fn post_message(&self, key: &str, body: &Value) -> (StatusCode, Value) {
        let post = self.http.post(format!("{}/v1/messages", self.api));
        self.send(post.header("idempotency-key", key).json(body))
            .await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let put = self.http.put(format!("{}{path}", self.api));
        self.send(put.json(body)).await
    }

    pub(super) async fn get_json(&self, path: &str) -> Value {
        let get = self.http.get(format!("{}{path}", self.api));
        self.send(get).await.1
    }

    /// Reads from the simulator's control interface.
    pub(super) async fn get_control(&self, path: &str) -> Value {
        let get = self.http.get(format!("{}/_control/{path}", self.simulator));
        self.send(get).await.1
    }

    /// The calls of one campaign, from the simulator's call log.
    pub(super) async fn calls_for(&self, campaign: &str) -> Vec<Value> {
        let calls = self.get_control("call-log").await;
        let calls = list(&calls).iter();
        let calls = calls.filter(|call| text(&call["row"]).starts_with(campaign));
        calls.cloned().collect()
    }

    /// Lets the simulated recipient `from` write a message.
    pub(super) async fn write_as(&self, from: &str, message: &str) {
        let post = self
            .http
            .post(format!("{}/_control/inbound", self.simulator));
        let response = post
            .json(&json!({"from": from, "text": message}))
            .send()
            .await;
        assert!(response.unwrap().status().is_success());
    }

    /// Creates a campaign. Tests send the same file again and again.
    pub(super) async fn create_campaign(&self, campaign: &Value) -> Value {
        let mut campaign = campaign.clone();
        campaign["allow_repeat"] = true.into();
        let (status, created) = self.post("/v1/campaigns", &campaign).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        created
    }

    pub(super) async fn upload_file(&self, upload: &Value, file: &str) -> StatusCode {
        let mut put = self.http.put(text(&upload["url"])).body(file.to_owned());
        for (name, value) in upload["headers"].as_object().unwrap() {
            put = put.header(name, text(value));
        }
        put.send().await.unwrap().status()
    }

    /// Creates a campaign with a free-form message and uploads its file; gives the id. `fields` are added to the request.
    pub(super) async fn start_campaign(&self, name: &str, file: &str, fields: Value) -> String {
        let mut campaign = json!({"name": name, "outside_service_window": "send",
            "message": {"type": "text", "text": {"body": "Hello {{name}}"}},
            "file": {"name": "recipients.csv", "size": file.len()}});
        let Value::Object(fields) = fields else {
            panic!("fields: {fields}");
        };
        campaign.as_object_mut().unwrap().extend(fields);
        let created = self.create_campaign(&campaign).await;
        assert_eq!(
            self.upload_file(&created["upload"], file).await,
            StatusCode::OK
        );
        text(&created["id"]).to_owned()
    }

    /// Sends a campaign to `rows` recipients, from +34620 and `first` on, and waits until each message is delivered; gives
    /// the id. Tests run at the same time, and an answer belongs to the campaign that messaged last: each needs recipients
    /// of its own.
    pub(super) async fn send_campaign(&self, name: &str, first: u32, rows: u32) -> String {
        let lines = (first..first + rows).map(|number| format!("+34620{number:06},Ana\n"));
        let file = format!("phone,name\n{}", lines.collect::<String>());
        let id = self.start_campaign(name, &file, json!({})).await;
        let is_delivered = |seen: &Value| {
            seen["state"] == "finished" && seen["delivery"]["delivered"] == i64::from(rows)
        };
        self.wait_for_campaign(&id, is_delivered).await;
        id
    }

    /// Waits until the campaign shows `condition`.
    pub(super) async fn wait_for_campaign(
        &self,
        id: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        self.wait_for(&format!("/v1/campaigns/{id}"), condition)
            .await
    }

    /// Waits until `path` shows `condition`.
    pub(super) async fn wait_for(&self, path: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.wait_until(async || self.get_json(path).await, condition)
            .await
    }

    /// Waits until the simulator's control interface shows `condition` at `path`.
    pub(super) async fn wait_for_control(
        &self,
        path: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        self.wait_until(async || self.get_control(path).await, condition)
            .await
    }

    /// Waits until `condition`; fails where neither what is seen changes for long nor any message is sent, since a
    /// campaign may wait behind those of other tests.
    async fn wait_until(
        &self,
        get: impl AsyncFn() -> Value,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        let (mut last, mut since) = ((Value::Null, Value::Null), Instant::now());
        loop {
            let mut seen = get().await;
            if condition(&seen) {
                return seen;
            }
            // The pace is ignored: it changes with time alone.
            if let Some(pace) = seen.get_mut("sending") {
                *pace = Value::Null;
            }
            let stats = self.get_control("stats").await;
            let progress = (seen, stats["sends"]["calls"].clone());
            if progress != last {
                (last, since) = (progress, Instant::now());
            }
            let (seen, _) = &last;
            assert!(
                since.elapsed() < TIMEOUT,
                "nothing changes any more: {seen}"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Posts a callback as Meta would; gives whether it was accepted.
    pub(super) async fn post_callback(&self, body: &Value) -> bool {
        let body = body.to_string();
        let signature = whatsapp::signature::sign(body.as_bytes(), &APP_SECRET.into());
        let post = self.http.post(format!("{}/webhook", self.api));
        let post = post.header("x-hub-signature-256", signature);
        let response = post.body(body).send().await;
        response.is_ok_and(|response| response.status().is_success())
    }
}
