//! Callbacks for the operator's webhook endpoint. The queue holds only keys; the callbacks table has the
//! content.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, message_body, sqs};

/// Entries per request (SQS quotas).
const MAX_ENTRIES_PER_REQUEST: usize = 10;

const ENQUEUE: &str = "enqueue webhook deliveries";

/// A callback to deliver to the webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// Its key in the callbacks table.
    pub key: String,
    /// When it was received.
    pub received_at: Millis,
    /// How many messages led to this one, one after the other ([`campaign::delivery::batch::Batch::hops`]).
    #[serde(default)]
    pub hops: u32,
}

/// The queue of webhook deliveries.
#[derive(Clone, Debug)]
pub struct DeliveryQueue {
    client: Client,
    url: String,
}

impl DeliveryQueue {
    /// The queue of that URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Enqueues all deliveries, or fails.
    #[tracing::instrument(skip_all, fields(deliveries = deliveries.len()))]
    pub async fn enqueue(&self, deliveries: &[WebhookDelivery]) -> Result<(), Error> {
        for deliveries in deliveries.chunks(MAX_ENTRIES_PER_REQUEST) {
            let entries = deliveries.iter().enumerate();
            let entries = entries
                .map(|(index, delivery)| to_entry(index, delivery))
                .collect::<Result<Vec<_>, _>>()?;
            let send = self.client.send_message_batch().queue_url(&self.url);
            let response = send.set_entries(Some(entries)).send().await;
            let response = response.map_err(Error::from_sdk(ENQUEUE))?;
            // The stream's batch is retried. A callback that is enqueued twice is delivered twice, under the
            // same id.
            if let Some(failed) = response.failed.first() {
                return Err(Error::with_kind(
                    ENQUEUE,
                    ErrorKind::Unavailable,
                    failed.code.as_str(),
                ));
            }
        }
        Ok(())
    }

    /// Lets SQS deliver a message again after `delay`, because the endpoint did not accept it.
    pub async fn postpone(&self, receipt_handle: &str, delay: Duration) -> Result<(), Error> {
        let action = "postpone a webhook delivery";
        sqs::set_visibility_timeout(&self.client, &self.url, action, receipt_handle, delay).await
    }
}

fn to_entry(
    index: usize,
    delivery: &WebhookDelivery,
) -> Result<SendMessageBatchRequestEntry, Error> {
    let body = message_body::encode(delivery).map_err(|error| Error::new(ENQUEUE, error))?;
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .build()
        .map_err(|error| Error::new(ENQUEUE, error))
}
