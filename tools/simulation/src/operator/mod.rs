//! Operators and recipients: what they do is drawn, what they are told is noted.
//!
//! - this file: requests to the API, repeated as a program of the operator's would
//! - [`campaign`]: one campaign from its creation to its end
//! - [`creation`]: the campaigns that they create
//! - [`mod@file`]: files as operators upload them
//! - `look`: what they look at, and what they get wrong
//! - `update`: what Meta posts besides statuses and texts
//! - `number`: pauses of numbers
//! - `single_message`: messages to one recipient, with keys
//! - [`reading`]: what operators read at the end
//! - [`recipient`]: what recipients write, and how their consent changes

pub mod campaign;
pub mod creation;
pub mod file;
mod look;
mod number;
pub mod reading;
pub mod recipient;
mod retry;
mod single_message;
mod update;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::aws::Aws;
use crate::clock;
use crate::functions::Function;
use crate::lambda::Lambda;
use crate::meta::Meta;
use crate::random::Random;
use crate::record::Record;

/// The operators' token.
pub const API_TOKEN: &str = "operator";

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// An operator. Clones draw independently.
#[derive(Clone)]
pub struct Operator {
    /// The name, which no other one has.
    pub name: String,
    /// The API.
    pub lambda: Lambda,
    /// The bucket that files are uploaded to.
    pub aws: Aws,
    /// Meta, whose customers the recipients are.
    pub meta: Meta,
    /// Chance.
    pub random: Random,
    /// The notes.
    pub record: Record,
}

impl Operator {
    /// One request. `None` if it is not known whether it took effect.
    async fn request(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        self.send(json!({"method": method, "path": path, "body": body,
            "headers": {"authorization": format!("Bearer {API_TOKEN}"), "content-type": "application/json"}}))
            .await
    }

    async fn send(&self, event: Value) -> Option<Answer> {
        let answer = self.lambda.invoke(Function::Api, event).await.ok()?;
        let status = answer["status"].as_u64()? as u16;
        let text = answer["body"].as_str().unwrap_or_default();
        let body = serde_json::from_str(text).unwrap_or(Value::Null);
        (status < 500 && status != 429).then_some(Answer { status, body })
    }

    /// Repeats a request until it is answered, as often as patience lasts.
    pub(crate) async fn persist(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let text = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.persist_text(method, path, &text).await
    }

    async fn persist_text(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        for _ in 0..self.random.range(1..8) {
            if let Some(answer) = self.request(method, path, body).await {
                return Some(answer);
            }
            sleep(self.random.millis(500..20_000)).await;
        }
        None
    }

    /// A request that only reads, repeated for long.
    async fn read(&self, path: &str) -> Option<Value> {
        for _ in 0..50 {
            if let Some(answer) = self.request("GET", path, "").await {
                return (answer.status == 200).then_some(answer.body);
            }
            sleep(Duration::from_secs(10)).await;
        }
        None
    }

    fn note_step(&self, what: &str, answer: Option<&Answer>) {
        let answer = match answer {
            Some(answer) => format!("{} {}", answer.status, brief(&answer.body)),
            None => "no answer".to_owned(),
        };
        let step = format!("{} {what}: {answer}", clock::now_ms());
        self.record.write().steps.push(step);
        self.aws.history().note("operator", what, "", &answer);
    }
}

/// What a person would look at in an answer.
fn brief(body: &Value) -> String {
    let text = |name: &str| body[name].as_str().map(|text| format!("{name}: {text}"));
    let parts = ["state", "reason", "detail"].into_iter().filter_map(text);
    parts.collect::<Vec<_>>().join(", ")
}
