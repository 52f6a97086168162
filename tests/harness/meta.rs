//! Callbacks as Meta posts them, and posting them to the webhook.

use campaign::id::CampaignId;
use lambda_http::http::{Method, Request as HttpRequest};
use lambda_http::{Body, Request};
use secrecy::SecretString;
use serde_json::{Value, json};
use webhook::Webhook;
use whatsapp::signature;

use super::TestEnv;

/// Meta, posting to a webhook on the environment's tables.
pub(crate) struct MetaClient {
    webhook: Webhook,
    app_secret: SecretString,
}

impl MetaClient {
    pub(crate) fn new(env: &TestEnv) -> Self {
        Self::posting_to(env, env.webhook())
    }

    /// Meta, posting to this webhook.
    pub(crate) fn posting_to(env: &TestEnv, webhook: Webhook) -> Self {
        let app_secret = env.simulator.state.settings().app_secret.into();
        Self {
            webhook,
            app_secret,
        }
    }

    /// Posts a signed callback, which must be accepted.
    pub(crate) async fn post(&self, body: &Value) {
        assert_eq!(self.post_text(&body.to_string()).await, 200, "{body}");
    }

    /// Posts any text, signed; gives the status.
    pub(crate) async fn post_text(&self, body: &str) -> u16 {
        let signature = signature::sign(body.as_bytes(), &self.app_secret);
        self.post_with_signature(body, &signature).await
    }

    /// Posts any text with any signature; gives the status.
    pub(crate) async fn post_with_signature(&self, body: &str, signature: &str) -> u16 {
        self.send(webhook_request(body, signature)).await.0
    }

    /// Sends any request; gives the status and the body.
    pub(crate) async fn send(&self, request: Request) -> (u16, String) {
        let response = self.webhook.handle(request).await.unwrap();
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        (response.status().as_u16(), body)
    }
}

/// A POST to the webhook.
pub(crate) fn webhook_request(body: &str, signature: &str) -> Request {
    let request = HttpRequest::builder().method(Method::POST).uri("/webhook");
    let request = request.header("x-hub-signature-256", signature);
    request.body(Body::from(body)).unwrap()
}

/// A callback of one change, of now.
pub(crate) fn change_body(field: &str, value: Value) -> Value {
    let seconds = cloud::now() / 1000;
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "1", "time": seconds, "changes": [{"field": field, "value": value}]}]})
}

/// A status of a row's first attempt, as of `seconds`.
pub(crate) fn row_status(campaign: &CampaignId, row: u32, name: &str, seconds: u64) -> Value {
    let mut status = json!({"id": format!("wamid.{row}"), "status": name, "timestamp": seconds.to_string(),
        "biz_opaque_callback_data": format!("{campaign}:{row}:1")});
    if name == "failed" {
        status["errors"] = json!([{"code": 131026, "title": "Message undeliverable"}]);
    }
    status
}

/// A callback of these statuses.
pub(crate) fn statuses_body(statuses: &[Value]) -> Value {
    change_body(
        "messages",
        json!({"messaging_product": "whatsapp", "statuses": statuses}),
    )
}

/// A callback of one message from `from`, as of `seconds`; `fields` are added to the message.
pub(crate) fn message_body(from: &str, wamid: &str, seconds: u64, fields: Value) -> Value {
    let mut message =
        json!({"from": from, "id": wamid, "timestamp": seconds.to_string(), "type": "text"});
    let Value::Object(fields) = fields else {
        panic!("fields: {fields}");
    };
    message.as_object_mut().unwrap().extend(fields);
    let contacts = json!([{"profile": {"name": "Ana"}, "wa_id": from}]);
    change_body(
        "messages",
        json!({"contacts": contacts, "messages": [message]}),
    )
}

/// A callback of one text message, of now.
pub(crate) fn text_body(from: &str, wamid: &str, text: &str) -> Value {
    message_body(
        from,
        wamid,
        cloud::now() / 1000,
        json!({"text": {"body": text}}),
    )
}
