//! Single messages that a program of the operator's sends, each with a key that makes its repetitions the same message.

use serde_json::{Value, json};
use tokio::time::sleep;

use super::creation::message;
use super::{API_TOKEN, Operator};
use crate::clock;
use crate::meta::SECOND_NUMBER_ID;
use crate::record::SingleMessage;

impl Operator {
    /// Sends a message, now and then by two processes at once, or later again. The key is used for nothing else.
    pub(super) async fn send_single_message(&self, to: &str) {
        let key = format!("order-{}-{}", self.name.replace(' ', "-"), clock::now_ms());
        let mut body =
            json!({"to": to, "message": filled_message(), "urgent": self.random.chance(0.7)});
        if self.random.chance(0.2) {
            body["number"] = SECOND_NUMBER_ID.into();
        }
        if self.random.chance(0.3) {
            let twin = Operator {
                random: self.random.fork("twin"),
                ..self.clone()
            };
            tokio::join!(
                self.post_message(&key, to, &body),
                twin.post_message(&key, to, &body)
            );
        } else {
            self.post_message(&key, to, &body).await;
        }
        if self.random.chance(0.3) {
            sleep(self.random.millis(100..60_000)).await;
            self.post_message(&key, to, &body).await;
        }
        if self.random.chance(0.1) {
            let mut other = body.clone();
            other["to"] = "+34699000002".into();
            self.post_message(&key, to, &other).await;
        }
    }

    /// One request, repeated until it is answered. What it says of the message is noted.
    async fn post_message(&self, key: &str, to: &str, body: &Value) {
        let mut answer = None;
        for _ in 0..self.random.range(1..6) {
            answer = self
                .send(
                    json!({"method": "POST", "path": "/v1/messages", "body": body.to_string(),
                    "headers": {"authorization": format!("Bearer {API_TOKEN}"),
                        "content-type": "application/json", "idempotency-key": key}}),
                )
                .await;
            if answer.is_some() {
                break;
            }
            sleep(self.random.millis(500..20_000)).await;
        }
        self.note_step(&format!("message {key} {body}"), answer.as_ref());
        let id = answer.filter(|answer| answer.status == 202);
        let id = id.and_then(|answer| Some(answer.body["id"].as_str()?.to_owned()));
        self.record.write().single_messages.push(SingleMessage {
            key: key.to_owned(),
            to: to.to_owned(),
            is_other: body["to"] != to,
            id,
        });
    }
}

/// The message of campaigns with the values of one order.
fn filled_message() -> Value {
    let text = message().to_string();
    let text = text
        .replace("{{Name}}", "Ana")
        .replace("{{Amount}}", "1 EUR");
    serde_json::from_str(&text).unwrap_or_default()
}
