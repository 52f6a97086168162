//! The forward function sends every callback to an `EventBridge` bus and to a webhook endpoint, if these are configured. It
//! is invoked by the stream of the callbacks table. So the response to Meta does not wait for it, and repeated callbacks
//! are already dropped.
//!
//! | what fails | what happens | repaired by |
//! |---|---|---|
//! | putting events on the bus, or deliveries into the queue | the whole batch of the stream fails and is repeated | the stream, for one day; then the queue of failed events with its alarm |
//! | the endpoint does not accept a callback | the delivery becomes visible again after 10 s, 30 s, 90 s … 6 h | the queue, twelve times in all (about a day) |
//! | a delivery cannot be read | it alone comes again, and moves to the dead-letter queue in the end | the operator |
//! | the last delivery of a callback | it moves to the dead-letter queue, with an alarm | the operator, who moves it back (SQS redrive) |
//! | the invocation dies | the batch or delivery comes again | the stream, or the queue |
//!
//! Delivery is at least once. The receiver drops duplicates by `webhook-id`.
//!
//! - `publish`: from the stream to the bus and the queue
//! - `endpoint`: from the queue to the webhook endpoint
//! - `payload`: the JSON that is sent; [`signature`]: Standard Webhooks

mod endpoint;
mod payload;
mod publish;
pub mod signature;

use aws_lambda_events::dynamodb::EventRecord;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsMessage};
use cloud::callbacks::Callbacks;
use cloud::outbound::{DeliveryQueue, EventBus};
use cloud::secrets::Secrets;
use lambda_runtime::Error;
use serde::Deserialize;

pub use crate::endpoint::WebhookEndpoint;

/// What invokes the function: changes of the callbacks table, or messages of its own queue.
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

/// What forwarding needs, created once per process.
#[derive(Debug)]
pub struct Forwarder {
    /// Raw callbacks.
    pub callbacks: Callbacks,
    /// The bus, if one is configured.
    pub bus: Option<EventBus>,
    /// The webhook endpoint, if one is configured.
    pub endpoint: Option<WebhookEndpoint>,
}

impl Forwarder {
    /// Reads the environment. Fails if a variable is missing or invalid.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config();
        let endpoint = match env::optional("FORWARD_URL") {
            Some(url) => {
                let queue = env::required("OUTBOUND_QUEUE_URL")?;
                let deliveries = DeliveryQueue::new(aws::sqs(&config), queue);
                let secrets =
                    Secrets::new(aws::secrets_manager(&config), env::required("SECRET_ARN")?);
                Some(WebhookEndpoint::new(url, deliveries, secrets)?)
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
            endpoint,
        })
    }

    /// Forwards the callbacks of an event. Deliveries that failed are reported, and they alone come again; a batch of the
    /// stream that failed comes again as a whole.
    pub async fn handle(&self, event: Event) -> Result<SqsBatchResponse, Error> {
        let mut response = SqsBatchResponse::default();
        let mut changes = Vec::new();
        for record in event.records {
            match record {
                Record::Change(record) => changes.push(*record),
                Record::Delivery(message) => {
                    // Boxed, because the compiler limits how deeply futures may be nested.
                    let is_done = Box::pin(self.deliver(&message)).await;
                    let is_done = is_done.unwrap_or_else(|error| {
                        tracing::error!("a delivery failed: {error}");
                        false
                    });
                    if !is_done {
                        let id = message.message_id.ok_or("a queue message without an id")?;
                        let mut failure = BatchItemFailure::default();
                        failure.item_identifier = id;
                        response.batch_item_failures.push(failure);
                    }
                }
            }
        }
        Box::pin(self.publish_inserts(changes)).await?;
        Ok(response)
    }
}
