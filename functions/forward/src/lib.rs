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
use campaign::outcome::Millis;
use cloud::callbacks::Callbacks;
use cloud::forwards::{Bus, Errand, Errands, Forward};
use cloud::metrics::Metrics;
use cloud::secrets::Secrets;
use jiff::Timestamp;
use lambda_runtime::{Error, tracing};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the customer's server may take.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);

/// Waits between two tries: 10 s, three times as long each time, six hours at most.
const FIRST_WAIT: u64 = 10;
const LONGEST_WAIT: u64 = 6 * 3600;

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
    Errand(Box<SqsMessage>),
}

/// What forwarding needs, made once per process.
#[derive(Debug)]
pub struct Forwarder {
    /// Raw callbacks.
    pub callbacks: Callbacks,
    /// Where they go, if anywhere.
    pub bus: Option<Bus>,
    /// Who else gets them.
    pub customer: Option<Customer>,
}

/// A URL of the customer's.
#[derive(Debug)]
pub struct Customer {
    /// Where to.
    pub url: String,
    /// On their way there.
    pub errands: Errands,
    /// With what they are signed.
    pub secrets: Secrets,
    /// The client.
    pub http: reqwest::Client,
}

impl Customer {
    /// Posts to `url`.
    pub fn new(url: String, errands: Errands, secrets: Secrets) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            url,
            errands,
            secrets,
            http,
        })
    }
}

impl Forwarder {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::config().await;
        let customer = match env::optional("FORWARD_URL") {
            Some(url) => {
                let queue = env::required("FORWARDS_QUEUE_URL")?;
                let errands = Errands::new(aws::sqs(&config), queue);
                let secrets = Secrets::new(aws::secrets(&config), env::required("SECRET_ARN")?);
                Some(Customer::new(url, errands, secrets)?)
            }
            None => None,
        };
        let bus = env::optional("FORWARD_BUS").map(|name| Bus::new(aws::events(&config), name));
        let table = env::required("CALLBACKS_TABLE")?;
        let retention = env::parsed("CALLBACK_RETENTION_DAYS")?;
        Ok(Self {
            callbacks: Callbacks::new(aws::dynamodb(&config), table, retention),
            bus,
            customer,
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
                Record::Errand(message) => {
                    if let Some(failed) = self.errand(*message).await? {
                        let mut failure = BatchItemFailure::default();
                        failure.item_identifier = failed;
                        response.batch_item_failures.push(failure);
                    }
                }
            }
        }
        self.changes(changes).await?;
        Ok(response)
    }

    async fn changes(&self, records: Vec<EventRecord>) -> Result<(), Error> {
        let (mut forwards, mut errands) = (Vec::new(), Vec::new());
        // What is written again, or expires, is no news.
        for record in records
            .into_iter()
            .filter(|record| record.event_name == "INSERT")
        {
            let kept: Kept = serde_dynamo::from_item(record.change.new_image)?;
            errands.push(Errand {
                key: kept.key.clone(),
                received_at: kept.received_at,
            });
            forwards.push(Forward {
                detail: body(&kept.key, &kept.raw, kept.received_at),
                kind: kind(&kept.key),
                key: kept.key,
            });
        }
        if let Some(bus) = &self.bus {
            bus.put(&forwards).await?;
        }
        if let Some(customer) = &self.customer {
            customer.errands.send(&errands).await?;
        }
        Metrics::of("forward")
            .count("Forwarded", forwards.len())
            .write();
        Ok(())
    }

    /// One callback to the customer; gives the message's id where it was not taken.
    async fn errand(&self, message: SqsMessage) -> Result<Option<String>, Error> {
        let id = message.message_id.ok_or("a queue message without an id")?;
        let Some(customer) = &self.customer else {
            return Ok(None);
        };
        let errand: Errand = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
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
        let wait = wait(times);
        Metrics::of("forward").count("NotTaken", 1).write();
        tracing::warn!(
            times,
            wait = wait.as_secs(),
            "a callback was not taken: {problem}"
        );
        if let Some(receipt) = message.receipt_handle {
            customer.errands.later(&receipt, wait).await?;
        }
        Ok(Some(id))
    }
}

impl Customer {
    async fn post(&self, errand: &Errand, raw: &str) -> Result<(), String> {
        let secret = self
            .secrets
            .get()
            .await
            .map_err(|error| error.to_string())?;
        let id = format!("msg_{}", hash(&errand.key));
        let (body, now) = (
            body(&errand.key, raw, errand.received_at),
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
struct Kept {
    key: String,
    raw: String,
    received_at: Millis,
}

/// What goes out: the callback as Meta sent it, and what and when it was.
fn body(key: &str, raw: &str, received_at: Millis) -> String {
    let at = Timestamp::from_millisecond(received_at as i64).unwrap_or_default();
    let data: Value = serde_json::from_str(raw).unwrap_or_else(|_| raw.into());
    json!({"type": kind(key), "timestamp": at.to_string(), "key": key, "data": data}).to_string()
}

/// `whatsapp.status`, `whatsapp.message`, …: what its key begins with.
fn kind(key: &str) -> String {
    format!("whatsapp.{}", key.split('#').next().unwrap_or_default())
}

fn wait(times: u32) -> Duration {
    let seconds = FIRST_WAIT.saturating_mul(3u64.saturating_pow(times.saturating_sub(1)));
    Duration::from_secs(seconds.min(LONGEST_WAIT))
}

fn hash(key: &str) -> String {
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
        let seconds: Vec<u64> = (1..=10).map(|times| wait(times).as_secs()).collect();
        assert_eq!(seconds[..4], [10, 30, 90, 270]);
        assert_eq!(seconds[9], LONGEST_WAIT);
        assert_eq!(wait(u32::MAX).as_secs(), LONGEST_WAIT);
    }

    #[test]
    fn what_goes_out_says_what_it_is() {
        let body: Value =
            serde_json::from_str(&body("status#w#sent", r#"{"a":1}"#, 0)).expect("JSON");
        assert_eq!(
            (&body["type"], &body["data"]["a"]),
            (&json!("whatsapp.status"), &json!(1))
        );
        assert_eq!(body["timestamp"], "1970-01-01T00:00:00Z");
    }
}
