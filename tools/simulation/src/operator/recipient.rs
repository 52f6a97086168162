//! What recipients write, and how their consent changes.

use serde_json::{Value, json};
use simulator::callbacks::signed_callback;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::Operator;
use crate::clock;
use crate::functions::Function;
use crate::meta::{PHONE_NUMBER_ID, SECOND_NUMBER_ID};
use crate::record::Update;

impl Operator {
    /// Lets every message be answered.
    pub async fn set_replies(&self) {
        let body = json!({"replies": [{"keywords": ["*"], "message": {"type": "text", "text": {"body": "Thank you!"}}}]});
        let answer = self.persist("PUT", "/v1/settings", &body).await;
        self.note_step("set automatic replies", answer.as_ref());
    }

    /// A recipient asks to stop. Meta repeats the callback until it is accepted; from then on the opt-out is in force.
    pub async fn opt_out_by_message(&self, phone: &str) {
        let asked_ms = clock::now_ms();
        self.receive_text(phone, "STOP").await;
        self.record.opted_out(phone, asked_ms);
        self.note_step(&format!("{phone} writes STOP"), None);
    }

    /// A recipient wants messages again.
    pub async fn opt_in_by_message(&self, phone: &str) {
        self.record.opting_in(phone);
        self.receive_text(phone, "START").await;
        self.record.opted_in(phone);
        self.note_step(&format!("{phone} writes START"), None);
    }

    /// Some of those who are messaged ask to stop at once: each with this probability, within one and a half seconds.
    pub async fn stop_soon(&self, share: f64) {
        let mut seen = 0;
        loop {
            let calls = self.meta.wait_for_calls(seen).await;
            seen += calls.len();
            for call in calls {
                if self.random.fault("stop after a message", share) {
                    let recipient = self.clone();
                    let delay = self.random.millis(0..1_500);
                    spawn_local(async move {
                        sleep(delay).await;
                        recipient.opt_out_by_message(&call.to).await;
                    });
                }
            }
        }
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
        let asked_ms = clock::now_ms();
        let answer = self.persist("PUT", &path, &body).await;
        if answer.as_ref().is_some_and(|answer| answer.status == 200) {
            self.record.opted_out(phone, asked_ms);
        } else {
            self.record.write().unclear_consent.push(phone.to_owned());
        }
        self.record.named(phone);
        self.note_step(&format!("suppress {phone}"), answer.as_ref());
    }

    /// The operator lifts a suppression.
    pub async fn lift(&self, phone: &str) {
        self.record.opting_in(phone);
        let path = format!("/v1/contacts/{}", phone.trim_start_matches('+'));
        let body = json!({"suppressed": false, "reason": "asked on the phone"});
        let answer = self.persist("PUT", &path, &body).await;
        if answer.as_ref().is_some_and(|answer| answer.status == 200) {
            self.record.opted_in(phone);
        }
        self.record.named(phone);
        self.note_step(&format!("lift {phone}"), answer.as_ref());
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
        let message = json!({"type": "text", "text": {"body": text}});
        self.receive_message(phone, message).await;
    }

    /// A recipient sends a message to one of the numbers; its type and content are given.
    pub(super) async fn receive_message(&self, phone: &str, mut message: Value) {
        let number = match self.random.chance(0.25) {
            true => SECOND_NUMBER_ID,
            false => PHONE_NUMBER_ID,
        };
        let from = phone.trim_start_matches('+');
        message["from"] = from.into();
        message["id"] = self.meta.state().next_inbound_wamid().into();
        message["timestamp"] = (clock::now_ms() / 1000).to_string().into();
        let contacts = json!([{"profile": {"name": "Ana"}, "wa_id": from}]);
        let value = json!({"contacts": contacts, "messages": [message]});
        self.post_callback(number, "messages", value).await;
        self.record.named(phone);
    }

    /// Posts statuses until the webhook acknowledges them.
    pub async fn post_statuses(&self, number: &str, statuses: Vec<Value>) {
        self.post_callback(number, "messages", json!({"statuses": statuses}))
            .await;
    }

    /// Posts a callback until the webhook accepts it, as Meta does, for seven days at most.
    pub async fn post_callback(&self, number: &str, field: &str, value: Value) {
        let settings = self.meta.state().settings();
        let (body, signature) = signed_callback(&settings, number, field, value.clone());
        let event = json!({"method": "POST", "path": "/webhook", "body": body,
            "headers": {"x-hub-signature-256": signature, "content-type": "application/json"}});
        let first = self.record.read().updates.len();
        let updates = updates(&value);
        let last = first + updates.len();
        self.record.write().updates.extend(updates);
        for attempt in 0..200_u64 {
            let answer = self.lambda.invoke(Function::Webhook, event.clone()).await;
            if answer.is_ok_and(|answer| answer["status"] == 200) {
                for update in &mut self.record.write().updates[first..last] {
                    update.is_acknowledged = true;
                }
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

/// The updates of a callback's value, which is posted now.
fn updates(value: &Value) -> Vec<Update> {
    let posted_ms = clock::now_ms();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    let statuses = list("statuses").into_iter().map(|status| Update {
        wamid: text(&status, "id"),
        status: text(&status, "status"),
        data: text(&status, "biz_opaque_callback_data"),
        phone: text(&status, "recipient_id"),
        posted_ms,
        is_acknowledged: false,
    });
    let messages = list("messages").into_iter().map(|message| Update {
        wamid: text(&message, "id"),
        status: "inbound".to_owned(),
        data: String::new(),
        phone: text(&message, "from"),
        posted_ms,
        is_acknowledged: false,
    });
    statuses.chain(messages).collect()
}
