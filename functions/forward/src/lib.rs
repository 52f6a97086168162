//! Forwarding: every callback goes on to `EventBridge` and to a URL of the customer's, where these are configured. It reads
//! the callbacks table's stream, so Meta's answer never waits for it and repeats are gone already.
//!
//! | it fails … | then | repaired by |
//! |---|---|---|
//! | to put on the bus, or into the queue | the stream's batch fails | the stream, for a day; then the queue of failed events, with an alarm |
//! | to reach the customer | the message comes again after 10 s, 30 s, 90 s … 6 h | the queue, twelve times in all (about a day) |
//! | for good | the message is among the forward's dead letters, with an alarm | whoever moves it back (SQS redrive) |
//!
//! At least once: a receiver drops what it has, by `webhook-id`.
//!
//! - [`signature`]: Standard Webhooks

pub mod signature;

use std::time::Duration;

use aws_lambda_events::dynamodb::EventRecord;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsMessage};
use campaign::delivery::outcome::Millis;
use cloud::callbacks::Callbacks;
use cloud::metrics::Metrics;
use cloud::outbound::{DeliveryQueue, EventBus, OutboundEvent, WebhookDelivery};
use cloud::secrets::Secrets;
use jiff::Timestamp;
use lambda_runtime::{Error, tracing};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the customer's server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits between two tries: 10 s, three times as long each time, six hours at most.
const FIRST_RETRY_DELAY_SECONDS: u64 = 10;
const MAX_RETRY_DELAY_SECONDS: u64 = 6 * 3600;

/// What wakes it: changes of the callbacks table, or messages of its own queue.
#[derive(Debug, Deserialize)]
pub struct Event {
    #[serde(rename = "Records", default)]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "eventSource")]
enum Record {
    #[serde(rename = "aws:dynamodb")]
    Change(Box<EventRecord>),
    #[serde(rename = "aws:sqs")]
    Delivery(Box<SqsMessage>),
}

/// What forwarding needs, made once per process.
#[derive(Debug)]
pub struct Forwarder {
    /// Raw callbacks.
    pub callbacks: Callbacks,
    /// Where they go, if anywhere.
    pub bus: Option<EventBus>,
    /// Who else gets them.
    pub endpoint: Option<WebhookEndpoint>,
}

/// A URL of the customer's.
#[derive(Debug)]
pub struct WebhookEndpoint {
    /// Where to.
    pub url: String,
    /// On their way there.
    pub deliveries: DeliveryQueue,
    /// With what they are signed.
    pub secrets: Secrets,
    /// The client.
    pub http: reqwest::Client,
}

impl WebhookEndpoint {
    /// Posts to `url`.
    pub fn new(url: String, errands: DeliveryQueue, secrets: Secrets) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            url,
            deliveries: errands,
            secrets,
            http,
        })
    }
}

impl Forwarder {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config().await;
        let customer = match env::optional("FORWARD_URL") {
            Some(url) => {
                let queue = env::required("OUTBOUND_QUEUE_URL")?;
                let errands = DeliveryQueue::new(aws::sqs(&config), queue);
                let secrets =
                    Secrets::new(aws::secrets_manager(&config), env::required("SECRET_ARN")?);
                Some(WebhookEndpoint::new(url, errands, secrets)?)
            }
            None => None,
        };
        let bus =
            env::optional("FORWARD_BUS").map(|name| EventBus::new(aws::eventbridge(&config), name));
        let table = env::required("CALLBACKS_TABLE")?;
        let retention = env::parsed("CALLBACK_RETENTION_DAYS")?;
        Ok(Self {
            callbacks: Callbacks::new(aws::dynamodb(&config), table, retention),
            bus,
            endpoint: customer,
        })
    }

    /// Forwards what an event holds. Messages that were not taken are reported and come again; a batch of the stream that
    /// fails comes again whole.
    pub async fn handle(&self, event: Event) -> Result<SqsBatchResponse, Error> {
        let mut response = SqsBatchResponse::default();
        let mut changes = Vec::new();
        for record in event.records {
            match record {
                Record::Change(record) => changes.push(*record),
                Record::Delivery(message) => {
                    if let Some(failed) = self.deliver(*message).await? {
                        let mut failure = BatchItemFailure::default();
                        failure.item_identifier = failed;
                        response.batch_item_failures.push(failure);
                    }
                }
            }
        }
        self.publish_inserts(changes).await?;
        Ok(response)
    }

    async fn publish_inserts(&self, records: Vec<EventRecord>) -> Result<(), Error> {
        let (mut forwards, mut errands) = (Vec::new(), Vec::new());
        // What is written again, or expires, is no news.
        for record in records
            .into_iter()
            .filter(|record| record.event_name == "INSERT")
        {
            let kept: StoredCallback = serde_dynamo::from_item(record.change.new_image)?;
            errands.push(WebhookDelivery {
                key: kept.key.clone(),
                received_at: kept.received_at,
            });
            forwards.push(OutboundEvent {
                detail: payload(&kept.key, &kept.raw, kept.received_at),
                kind: event_type(&kept.key),
                key: kept.key,
            });
        }
        if let Some(bus) = &self.bus {
            bus.put_events(&forwards).await?;
        }
        if let Some(customer) = &self.endpoint {
            customer.deliveries.enqueue(&errands).await?;
        }
        Metrics::for_function("forward")
            .add_count("Forwarded", forwards.len())
            .emit();
        Ok(())
    }

    /// One callback to the customer; gives the message's id where it was not taken.
    async fn deliver(&self, message: SqsMessage) -> Result<Option<String>, Error> {
        let id = message.message_id.ok_or("a queue message without an id")?;
        let Some(customer) = &self.endpoint else {
            return Ok(None);
        };
        let errand: WebhookDelivery =
            serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
        // Expired or erased meanwhile: there is nothing to forward.
        let Some(raw) = self.callbacks.get(&errand.key).await? else {
            return Ok(None);
        };
        let problem = match customer.post(&errand, &raw).await {
            Ok(()) => return Ok(None),
            Err(problem) => problem,
        };
        let times = message.attributes.get("ApproximateReceiveCount");
        let times = times.and_then(|times| times.parse().ok()).unwrap_or(1u32);
        let wait = retry_delay(times);
        Metrics::for_function("forward")
            .add_count("ForwardFailures", 1)
            .emit();
        tracing::warn!(
            times,
            wait = wait.as_secs(),
            "a callback was not taken: {problem}"
        );
        if let Some(receipt) = message.receipt_handle {
            customer.deliveries.postpone(&receipt, wait).await?;
        }
        Ok(Some(id))
    }
}

impl WebhookEndpoint {
    async fn post(&self, errand: &WebhookDelivery, raw: &str) -> Result<(), String> {
        let secret = self
            .secrets
            .get()
            .await
            .map_err(|error| error.to_string())?;
        let id = format!("msg_{}", hash_hex(&errand.key));
        let (body, now) = (
            payload(&errand.key, raw, errand.received_at),
            cloud::now() / 1000,
        );
        let signature = signature::sign(&secret.forward_secrets, &id, now, &body)
            .ok_or("the secret has no forward_secrets, or one that is no whsec_ and base64")?;
        let post = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature)
            .body(body);
        // Not reqwest's own text: it quotes the URL, which may hold a token.
        match post.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("HTTP {}", answer.status().as_u16())),
            Err(error) if error.is_timeout() => Err("no answer in time".into()),
            Err(_) => Err("could not connect".into()),
        }
    }
}

/// A callback as the table has it.
#[derive(Debug, Deserialize)]
struct StoredCallback {
    key: String,
    raw: String,
    received_at: Millis,
}

/// What goes out: the callback as Meta sent it, and what and when it was.
fn payload(key: &str, raw: &str, received_at: Millis) -> String {
    let at = Timestamp::from_millisecond(received_at as i64).unwrap_or_default();
    let data: Value = serde_json::from_str(raw).unwrap_or_else(|_| raw.into());
    json!({"type": event_type(key), "timestamp": at.to_string(), "key": key, "data": data})
        .to_string()
}

/// `whatsapp.status`, `whatsapp.message`, …: what its key begins with.
fn event_type(key: &str) -> String {
    format!("whatsapp.{}", key.split('#').next().unwrap_or_default())
}

fn retry_delay(times: u32) -> Duration {
    let seconds =
        FIRST_RETRY_DELAY_SECONDS.saturating_mul(3u64.saturating_pow(times.saturating_sub(1)));
    Duration::from_secs(seconds.min(MAX_RETRY_DELAY_SECONDS))
}

fn hash_hex(key: &str) -> String {
    let hash = Sha256::digest(key.as_bytes());
    hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_six_hours() {
        let seconds: Vec<u64> = (1..=10).map(|times| retry_delay(times).as_secs()).collect();
        assert_eq!(seconds[..4], [10, 30, 90, 270]);
        assert_eq!(seconds[9], MAX_RETRY_DELAY_SECONDS);
        assert_eq!(retry_delay(u32::MAX).as_secs(), MAX_RETRY_DELAY_SECONDS);
    }

    #[test]
    fn what_goes_out_says_what_it_is() {
        let body: Value =
            serde_json::from_str(&payload("status#w#sent", r#"{"a":1}"#, 0)).expect("JSON");
        assert_eq!(
            (&body["type"], &body["data"]["a"]),
            (&json!("whatsapp.status"), &json!(1))
        );
        assert_eq!(body["timestamp"], "1970-01-01T00:00:00Z");
    }
}
