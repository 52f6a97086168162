//! What Meta posts besides statuses and texts: other messages, preferences, calls, and news of the account.

use serde_json::{Value, json};

use super::Operator;
use crate::clock;
use crate::functions::Function;
use crate::meta::PHONE_NUMBER_ID;

impl Operator {
    /// Something that a recipient or Meta does.
    pub async fn receive_something(&self, phone: &str) {
        match self.random.range(0..8) {
            0 => self.press_button(phone).await,
            1 => self.answer_message(phone).await,
            2 => self.prefer(phone).await,
            3 => self.call(phone).await,
            4 => self.change_number(phone).await,
            5 => self.receive_news().await,
            6 => self.receive_errors().await,
            _ => self.post_as_stranger().await,
        }
    }

    async fn press_button(&self, phone: &str) {
        let payload = *self.random.pick(&["stop", "details", "start"]);
        let asked_ms = clock::now_ms();
        if payload == "start" {
            self.record.opting_in(phone);
        }
        let button = json!({"type": "button", "button": {"text": "A button", "payload": payload}});
        self.receive_message(phone, button).await;
        match payload {
            "stop" => self.record.opted_out(phone, asked_ms),
            "start" => self.record.opted_in(phone),
            _ => {}
        }
        self.note_step(&format!("{phone} presses {payload}"), None);
    }

    /// An answer to a message that this recipient, or another one, got.
    async fn answer_message(&self, phone: &str) {
        let wamid = {
            let notes = self.record.read();
            let sent = notes
                .updates
                .iter()
                .filter(|update| update.status == "sent");
            let wamids: Vec<&String> = sent.map(|update| &update.wamid).collect();
            match wamids.is_empty() {
                true => "wamid.unknown".to_owned(),
                false => (*self.random.pick(&wamids)).clone(),
            }
        };
        let kinds = [
            json!({"type": "text", "text": {"body": "Yes, please"}, "context": {"id": wamid}}),
            json!({"type": "reaction", "reaction": {"message_id": wamid, "emoji": "👍"}}),
            json!({"type": "image", "image": {"id": "1", "caption": "Look"}, "context": {"id": wamid}}),
        ];
        let message = self.random.pick(&kinds).clone();
        self.receive_message(phone, message).await;
        self.note_step(&format!("{phone} answers {wamid}"), None);
    }

    /// A recipient tells WhatsApp whether they want marketing messages.
    async fn prefer(&self, phone: &str) {
        let (digits, asked_ms) = (phone.trim_start_matches('+'), clock::now_ms());
        let value = *self.random.pick(&["stop", "resume"]);
        if value == "resume" {
            self.record.opting_in(phone);
        }
        let preference = json!({"wa_id": digits, "detail": "User requested", "category": "marketing_messages",
            "value": value, "timestamp": asked_ms / 1000});
        let change = json!({"user_preferences": [preference]});
        self.post_callback(PHONE_NUMBER_ID, "user_preferences", change)
            .await;
        match value {
            "stop" => self.record.opted_out(phone, asked_ms),
            _ => self.record.opted_in(phone),
        }
        self.record.named(phone);
        self.note_step(&format!("{phone} prefers to {value}"), None);
    }

    async fn call(&self, phone: &str) {
        let event = *self.random.pick(&["connect", "terminate"]);
        let call = json!({"id": format!("wacid.{}", self.random.number()), "from": phone.trim_start_matches('+'),
            "event": event, "direction": "USER_INITIATED", "timestamp": (clock::now_ms() / 1000).to_string()});
        self.post_callback(PHONE_NUMBER_ID, "calls", json!({"calls": [call]}))
            .await;
        self.record.named(phone);
        self.note_step(&format!("{phone} calls: {event}"), None);
    }

    /// A recipient has another number from now on. An opt-out goes along.
    async fn change_number(&self, phone: &str) {
        let new = phone.replace("+34610", "+34620");
        let asked_ms = clock::now_ms();
        let is_out = {
            let notes = self.record.read();
            let opt_outs = notes.opt_outs.get(phone).into_iter().flatten();
            let has_begun = notes.opt_ins.contains_key(phone);
            opt_outs.clone().any(|opt_out| opt_out.until_ms.is_none()) && !has_begun
        };
        let message = json!({"type": "system", "system": {"body": "changed", "type": "user_changed_number",
            "wa_id": new.trim_start_matches('+')}});
        self.receive_message(phone, message).await;
        if is_out {
            self.record.opted_out(&new, asked_ms);
        }
        self.record.named(&new);
        self.note_step(&format!("{phone} is now {new}"), None);
    }

    /// News of the template, the number or the account. Some pause campaigns.
    async fn receive_news(&self) {
        let news = [
            (
                "message_template_status_update",
                json!({"event": "PAUSED", "message_template_id": 1, "message_template_name": "order_update",
                    "message_template_language": "en", "reason": "NONE"}),
            ),
            (
                "message_template_status_update",
                json!({"event": "APPROVED", "message_template_id": 1, "message_template_name": "order_update",
                    "message_template_language": "en", "reason": "NONE"}),
            ),
            (
                "message_template_quality_update",
                json!({"previous_quality_score": "GREEN", "new_quality_score": "YELLOW", "message_template_id": 1,
                    "message_template_name": "order_update", "message_template_language": "en"}),
            ),
            (
                "template_category_update",
                json!({"message_template_id": 1, "message_template_name": "order_update",
                    "message_template_language": "en", "previous_category": "UTILITY", "new_category": "MARKETING"}),
            ),
            (
                "phone_number_quality_update",
                json!({"display_phone_number": "34600000000", "event": "DOWNGRADE", "current_limit": "TIER_1K"}),
            ),
            (
                "phone_number_quality_update",
                json!({"display_phone_number": "15550000001", "event": "FLAGGED", "current_limit": "TIER_1K"}),
            ),
            (
                "account_update",
                json!({"phone_number": "34600000000", "event": "DISABLED_UPDATE",
                    "ban_info": {"waba_ban_state": "SCHEDULE_FOR_DISABLE", "waba_ban_date": "2026-12-24"}}),
            ),
            ("account_review_update", json!({"decision": "APPROVED"})),
            ("something_new", json!({"event": "WHATEVER"})),
        ];
        let (field, value) = self.random.pick(&news).clone();
        self.post_callback(PHONE_NUMBER_ID, field, value).await;
        self.note_step(&format!("news of {field}"), None);
    }

    async fn receive_errors(&self) {
        let error =
            json!({"code": 130_429, "title": "Rate limit hit", "message": "Rate limit hit"});
        self.post_callback(PHONE_NUMBER_ID, "messages", json!({"errors": [error]}))
            .await;
    }

    /// A POST that Meta did not sign, one without content, and the handshake of somebody who does not know the token.
    async fn post_as_stranger(&self) {
        let post = |body: &str, signature: &str| {
            json!({"method": "POST", "path": "/webhook", "body": body,
                "headers": {"x-hub-signature-256": signature, "content-type": "application/json"}})
        };
        let get = |token: &str| {
            let query =
                format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444");
            json!({"method": "GET", "path": format!("/webhook?{query}"), "body": "", "headers": {}})
        };
        let requests: [(Value, u64); 4] = [
            (post("{\"entry\": []}", "sha256=00"), 401),
            (post("", ""), 400),
            (get("wrong"), 403),
            (get("verify"), 200),
        ];
        let (event, expected) = self.random.pick(&requests).clone();
        let answer = self.lambda.invoke(Function::Webhook, event).await;
        let status = answer.ok().and_then(|answer| answer["status"].as_u64());
        // Without the secret it answers with 500.
        if status.is_some_and(|status| status != expected && status != 500) {
            let what = format!("{status:?} instead of {expected}");
            self.record.violation("only Meta posts callbacks", what);
        }
    }
}
