//! From the queue of deliveries to the webhook endpoint.

use std::time::Duration;

use aws_lambda_events::sqs::SqsMessage;
use campaign::delivery::backoff::exponential_delay;
use cloud::metrics::Metrics;
use cloud::outbound::{DeliveryQueue, WebhookDelivery};
use cloud::secrets::Secrets;
use lambda_runtime::Error;

use crate::Forwarder;
use crate::payload::{payload, webhook_id};
use crate::signature;

/// Time for the endpoint to accept the connection, and to respond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The delay before the second attempt. Each further delay is three times as long, up to the maximum.
const FIRST_RETRY_DELAY_SECONDS: u64 = 10;
const MAX_RETRY_DELAY_SECONDS: u64 = 6 * 3600;

/// A webhook endpoint.
#[derive(Debug)]
pub struct WebhookEndpoint {
    /// The URL to post to.
    pub url: String,
    /// The queue of deliveries.
    pub deliveries: DeliveryQueue,
    /// The signing secrets.
    pub secrets: Secrets,
    /// The HTTP client.
    pub http: reqwest::Client,
}

impl WebhookEndpoint {
    /// Creates an endpoint with a client of its own.
    pub fn new(url: String, deliveries: DeliveryQueue, secrets: Secrets) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            url,
            deliveries,
            secrets,
            http,
        })
    }

    /// Posts a callback. Fails, with the reason, unless the response has a 2xx status.
    async fn post(&self, delivery: &WebhookDelivery, raw: &str) -> Result<(), String> {
        let secret = self.secrets.get().await;
        let secret = secret.map_err(|error| error.to_string())?;
        let (id, timestamp) = (webhook_id(&delivery.key), cloud::now() / 1000);
        let body = payload(&delivery.key, raw, delivery.received_at);
        let signature = signature::sign(&secret.forward_secrets, &id, timestamp, &body)
            .ok_or("forward_secrets in the secret is empty, or one of them is not base64")?;
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        // The error's own text is not used, because it contains the URL, which may contain a token.
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("HTTP {}", response.status().as_u16())),
            Err(error) if error.is_timeout() => Err("no response in time".into()),
            Err(_) => Err("could not connect".into()),
        }
    }
}

impl Forwarder {
    /// Delivers one callback. Returns whether that is done; if not, SQS must keep the message.
    #[tracing::instrument(skip_all, fields(attempt = receive_count(message)))]
    pub(crate) async fn deliver(&self, message: &SqsMessage) -> Result<bool, Error> {
        let attempt = receive_count(message);
        let Some(endpoint) = &self.endpoint else {
            return Ok(true);
        };
        let delivery: WebhookDelivery =
            cloud::message_body::decode(message.body.as_deref().unwrap_or_default())?;
        let Some(raw) = self.callbacks.get(&delivery.key).await? else {
            // The callback has expired or was erased.
            return Ok(true);
        };
        let Err(problem) = endpoint.post(&delivery, &raw).await else {
            return Ok(true);
        };
        let delay = retry_delay(attempt);
        Metrics::for_function("forward")
            .add_count("ForwardFailures", 1)
            .emit();
        tracing::warn!(
            attempt,
            retry_in_seconds = delay.as_secs(),
            "the webhook endpoint did not accept a callback: {problem}"
        );
        if let Some(receipt) = &message.receipt_handle {
            endpoint.deliveries.postpone(receipt, delay).await?;
        }
        Ok(false)
    }
}

/// How often SQS has delivered the message, this time included.
fn receive_count(message: &SqsMessage) -> u32 {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn retry_delay(attempt: u32) -> Duration {
    let first = Duration::from_secs(FIRST_RETRY_DELAY_SECONDS);
    let max = Duration::from_secs(MAX_RETRY_DELAY_SECONDS);
    exponential_delay(first, 3, max, attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_grows_to_six_hours() {
        let seconds: Vec<u64> = (1..=10)
            .map(|attempt| retry_delay(attempt).as_secs())
            .collect();
        assert_eq!(seconds[..4], [10, 30, 90, 270]);
        assert_eq!(seconds[9], MAX_RETRY_DELAY_SECONDS);
        assert_eq!(retry_delay(u32::MAX).as_secs(), MAX_RETRY_DELAY_SECONDS);
    }
}
