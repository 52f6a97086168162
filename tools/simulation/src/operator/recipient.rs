//! What recipients write, and how their consent changes.

use serde_json::{Value, json};
use simulator::callbacks::signed_callback;
use tokio::time::sleep;

use super::Operator;
use crate::clock;
use crate::functions::Function;

impl Operator {
    /// Lets every message be answered.
    pub async fn set_replies(&self) {
        let body = json!({"replies": [{"keywords": ["*"], "message": {"type": "text", "text": {"body": "Thank you!"}}}]});
        let answer = self.persist("PUT", "/v1/settings", &body).await;
        self.note_step("set automatic replies", answer.as_ref());
    }

    /// A recipient asks to stop. Meta repeats the callback until it is accepted; from then on the opt-out is in force.
    pub async fn opt_out_by_message(&self, phone: &str) {
        self.receive_text(phone, "STOP").await;
        self.record.opted_out(phone);
        self.note_step(&format!("{phone} writes STOP"), None);
    }

    /// A recipient writes something else.
    pub async fn write(&self, phone: &str) {
        self.receive_text(phone, "Thanks!").await;
        self.note_step(&format!("{phone} writes"), None);
    }

    /// The operator suppresses a contact.
    pub async fn suppress(&self, phone: &str) {
        let path = format!("/v1/contacts/{}", phone.trim_start_matches('+'));
        let body = json!({"suppressed": true, "reason": "asked on the phone"});
        let answer = self.persist("PUT", &path, &body).await;
        if answer.as_ref().is_some_and(|answer| answer.status == 200) {
            self.record.opted_out(phone);
        } else {
            self.record.write().unclear_consent.push(phone.to_owned());
        }
        self.note_step(&format!("suppress {phone}"), answer.as_ref());
    }

    /// The operator erases a contact.
    pub async fn erase(&self, phone: &str) {
        let path = format!("/v1/contacts/{}", phone.trim_start_matches('+'));
        let answer = self.persist("DELETE", &path, &Value::Null).await;
        if answer.as_ref().is_some_and(|answer| answer.status == 202) {
            let now = clock::now_ms();
            self.record.write().erased.insert(phone.to_owned(), now);
        } else {
            self.record.write().unclear_consent.push(phone.to_owned());
        }
        self.note_step(&format!("erase {phone}"), answer.as_ref());
    }

    async fn receive_text(&self, phone: &str, text: &str) {
        let from = phone.trim_start_matches('+');
        let (id, at) = (
            self.meta.state().next_inbound_wamid(),
            clock::now_ms() / 1000,
        );
        let message = json!({"from": from, "id": id, "timestamp": at.to_string(), "type": "text",
            "text": {"body": text}});
        let contacts = json!([{"profile": {"name": "Ana"}, "wa_id": from}]);
        let value = json!({"contacts": contacts, "messages": [message]});
        self.post_callback("messages", value).await;
    }

    /// Posts a callback until the webhook accepts it, as Meta does, for seven days at most.
    pub async fn post_callback(&self, field: &str, value: Value) {
        let settings = self.meta.state().settings();
        let (body, signature) = signed_callback(&settings, field, value);
        let event = json!({"method": "POST", "path": "/webhook", "body": body,
            "headers": {"x-hub-signature-256": signature, "content-type": "application/json"}});
        for attempt in 0..200_u64 {
            let answer = self.lambda.invoke(Function::Webhook, event.clone()).await;
            if answer.is_ok_and(|answer| answer["status"] == 200) {
                return;
            }
            sleep(self.random.millis(1_000..5_000 + 2_000 * attempt.min(300))).await;
        }
        self.record.violation(
            "callbacks are not lost",
            "a callback was never accepted".into(),
        );
    }
}
