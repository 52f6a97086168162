//! Requests to the API, as an operator's program makes them.

use api::claims::OidcClaims;
use api::tried_tokens::TriedTokens;
use api::{Api, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use campaign::delivery::pacing::Rate;
use campaign::lifecycle::campaign::sendable_for;
use cloud::audit::AuditLog;
use cloud::numbers::Numbers;
use cloud::part_uploads::PartUploads;
use cloud::sessions::Sessions;
use cloud::tokens::Tokens;
use lambda_http::request::RequestContext;
use serde_json::{Value, json};
use tower::ServiceExt;
use whatsapp::account::AccountClient;

use super::env::RETENTION_DAYS;
use super::{API_TOKEN, TestEnv};

/// The API over the environment's tables, with the simulator as Meta.
pub(crate) struct ApiClient(Router);

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct ApiReply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// What `Set-Cookie` says.
    pub(crate) cookie: Option<String>,
    /// Where the next file of an export begins.
    pub(crate) next: Option<String>,
    pub(crate) text: String,
    /// `null` where the body is no JSON.
    pub(crate) body: Value,
}

impl ApiReply {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

/// The rate of the first number.
const RATE: Rate = Rate {
    slots: 40,
    per_slot: 1,
};

impl ApiClient {
    pub(crate) fn new(env: &TestEnv) -> Self {
        Self::with_numbers(env, env.numbers(RATE))
    }

    /// The same where the installation has these numbers.
    pub(crate) fn with_numbers(env: &TestEnv, numbers: Numbers) -> Self {
        let meta = env.simulator.state.settings();
        let account = AccountClient::new(
            &env.simulator.url(),
            "v25.0",
            &meta.waba_id,
            &meta.phone_number_id,
        );
        Self(router(Api {
            campaigns: env.campaigns.clone(),
            counters: env.counters.clone(),
            imports: env.imports.clone(),
            contacts: env.contacts.clone(),
            inbox: env.inbox.clone(),
            settings: env.settings_store(),
            account_events: env.account_events.clone(),
            ledger: env.ledger.clone(),
            schedules: env.schedules.clone(),
            part_uploads: PartUploads::new(
                env.aws.dynamodb.clone(),
                env.table("CampaignsTable"),
                env.files.clone(),
            ),
            files: env.files.clone(),
            numbers,
            jobs: env.job_queue(),
            erasures: env.erasure_queue(),
            import_queue: env.import_queue(),
            secrets: env.secrets(),
            tokens: Tokens::new(env.aws.dynamodb.clone(), env.table("CampaignsTable")),
            sessions: Sessions::new(env.aws.dynamodb.clone(), env.table("CampaignsTable")),
            audit: AuditLog::new(env.aws.dynamodb.clone(), env.table("CampaignsTable")),
            tried_tokens: TriedTokens::default(),
            tls_only: true,
            oidc: Some(OidcClaims {
                name_claim: "email".into(),
                role_claim: "roles".into(),
            }),
            account: account.unwrap(),
            tps_budget: RATE.budget(),
            sendable_for: sendable_for(RETENTION_DAYS, RETENTION_DAYS),
        }))
    }

    /// One request.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> ApiReply {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers = bearer.iter().map(|value| ("authorization", value.as_str()));
        self.request_with(method, path, &headers.collect::<Vec<_>>(), body)
            .await
    }

    /// One request with these headers.
    pub(crate) async fn request_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> ApiReply {
        let request = Self::build(method, path, headers, body);
        self.answer(request).await
    }

    /// A request of the console that passed API Gateway's authorizer, with what it found in the token.
    pub(crate) async fn post_with_claims(&self, path: &str, claims: Value) -> ApiReply {
        let headers = [("x-crier-console", "1"), ("authorization", "Bearer a.b.c")];
        let mut request = Self::build("POST", path, &headers, Vec::new());
        let context =
            json!({"authorizer": {"jwt": {"claims": claims}}, "http": {"method": "POST"}});
        let context = serde_json::from_value(context).unwrap();
        let extensions = request.extensions_mut();
        extensions.insert(RequestContext::ApiGatewayV2(context));
        self.answer(request).await
    }

    fn build(method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body)).unwrap()
    }

    async fn answer(&self, request: Request<Body>) -> ApiReply {
        let response = self.0.clone().oneshot(request).await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let content_type = header("content-type");
        let (cookie, next) = (header("set-cookie"), header("x-crier-next"));
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap();
        ApiReply {
            status,
            content_type: content_type.unwrap_or_default(),
            cookie,
            next,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> ApiReply {
        self.request("GET", path, Some(API_TOKEN), Vec::new()).await
    }

    /// Posts JSON; nothing at all where `body` is `null`.
    pub(crate) async fn post(&self, path: &str, body: Value) -> ApiReply {
        self.send("POST", path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> ApiReply {
        self.send("PUT", path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> ApiReply {
        self.send("PATCH", path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> ApiReply {
        self.send("DELETE", path, Value::Null).await
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> ApiReply {
        let bytes = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        self.request(method, path, Some(API_TOKEN), bytes).await
    }
}
