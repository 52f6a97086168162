//! A table that takes no writes for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use cloud::campaigns::Campaigns;
use cloud::ledger::Ledger;

use super::TestEnv;
use super::env::RETENTION_DAYS;

/// What DynamoDB answers when a table is throttled (AWS, "Error handling with DynamoDB").
const THROTTLED: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"The level of configured provisioned throughput for the table was exceeded."}"#;

/// DynamoDB behind a server that refuses some updates. The SDK's own retries are off.
pub(crate) struct ThrottledTables {
    pub(crate) campaigns: Campaigns,
    pub(crate) ledger: Ledger,
    refusals: Arc<Refusals>,
}

struct Refusals {
    endpoint: String,
    /// Updates with this text are refused.
    text: &'static str,
    left: AtomicUsize,
    http: reqwest::Client,
}

impl ThrottledTables {
    /// How many more updates are going to be refused.
    pub(crate) fn refusals_left(&self) -> usize {
        self.refusals.left.load(Ordering::SeqCst)
    }
}

impl TestEnv {
    /// The environment's tables. The first `count` updates whose request has `text` in it are refused as throttled.
    pub(crate) async fn throttled_tables(
        &self,
        text: &'static str,
        count: usize,
    ) -> ThrottledTables {
        let refusals = Arc::new(Refusals {
            endpoint: std::env::var("AWS_ENDPOINT_URL_DYNAMODB").unwrap(),
            text,
            left: AtomicUsize::new(count),
            http: reqwest::Client::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/", post(forward))
            .with_state(Arc::clone(&refusals));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let config = cloud::aws::load_config();
        let config = aws_sdk_dynamodb::config::Builder::from(&config)
            .endpoint_url(url)
            .retry_config(RetryConfig::disabled());
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        let campaigns = self.table("CampaignsTable");
        ThrottledTables {
            campaigns: Campaigns::new(client.clone(), campaigns, RETENTION_DAYS),
            ledger: Ledger::new(client, self.table("MessagesTable"), RETENTION_DAYS),
            refusals,
        }
    }
}

async fn forward(
    State(refusals): State<Arc<Refusals>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Bytes) {
    let is_update = headers["x-amz-target"].as_bytes().ends_with(b".UpdateItem");
    let has_text = String::from_utf8_lossy(&body).contains(refusals.text);
    let take_one = |left: usize| left.checked_sub(1);
    let left = &refusals.left;
    if is_update
        && has_text
        && left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
            .is_ok()
    {
        return (StatusCode::BAD_REQUEST, THROTTLED.into());
    }
    let post = refusals.http.post(&refusals.endpoint);
    let response = post.headers(headers).body(body).send().await.unwrap();
    (response.status(), response.bytes().await.unwrap())
}
