//! Callbacks on their way to other systems: a bus of `EventBridge`'s, and a queue of those for the customer's URL. The queue
//! holds keys alone; what they stand for is read from the callbacks table.

use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use campaign::delivery::outcome::Millis;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Entries per request (`EventBridge` and SQS quotas).
const MAX_ENTRIES_PER_REQUEST: usize = 10;

/// Bytes of one event that `EventBridge` takes, with room for its other fields (quota: 256 KB a request).
const MAX_DETAIL_BYTES: usize = 200_000;

/// Bytes of the events of one request.
const MAX_REQUEST_BYTES: usize = 240_000;

/// How often entries that were refused within a successful answer are sent again.
const MAX_ATTEMPTS: u32 = 5;

/// A callback to forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundEvent {
    /// Its key in the callbacks table.
    pub key: String,
    /// The JSON that goes out.
    pub detail: String,
    /// What it is, such as `whatsapp.status`.
    pub kind: String,
}

/// A callback for the customer's URL, in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// Its key in the callbacks table.
    pub key: String,
    /// When it came.
    pub received_at: Millis,
}

/// `EventBridge`.
#[derive(Clone, Debug)]
pub struct EventBus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

impl EventBus {
    /// The bus of that name.
    pub fn new(client: aws_sdk_eventbridge::Client, name: String) -> Self {
        Self { client, name }
    }

    /// Puts every one on the bus or fails.
    pub async fn put_events(&self, forwards: &[OutboundEvent]) -> Result<(), Error> {
        let mut rest = forwards;
        while !rest.is_empty() {
            let (mut count, mut bytes) = (0, 0);
            for forward in rest.iter().take(MAX_ENTRIES_PER_REQUEST) {
                bytes += forward.detail.len().min(MAX_DETAIL_BYTES);
                if count > 0 && bytes > MAX_REQUEST_BYTES {
                    break;
                }
                count += 1;
            }
            self.put_request(&rest[..count]).await?;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// A success may hold failures of single entries: those are put again.
    async fn put_request(&self, forwards: &[OutboundEvent]) -> Result<(), Error> {
        let action = "put callbacks on the bus";
        let mut entries: Vec<_> = forwards.iter().map(|forward| self.entry(forward)).collect();
        for attempt in 0..MAX_ATTEMPTS {
            let put = self.client.put_events().set_entries(Some(entries.clone()));
            let answer = put.send().await.map_err(Error::from_sdk(action))?;
            let failed = answer
                .entries()
                .iter()
                .map(|entry| entry.error_code.is_some());
            let failed = entries.iter().zip(failed).filter(|(_, failed)| *failed);
            entries = failed.map(|(entry, _)| entry.clone()).collect();
            if entries.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        Err(Error::new(
            action,
            format!("{} were refused", entries.len()),
        ))
    }

    fn entry(&self, forward: &OutboundEvent) -> PutEventsRequestEntry {
        let too_long = forward.detail.len() > MAX_DETAIL_BYTES;
        let detail = if too_long {
            serde_json::json!({"key": forward.key, "too_long": true}).to_string()
        } else {
            forward.detail.clone()
        };
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source("crier")
            .detail_type(&forward.kind)
            .detail(detail)
            .build()
    }
}

/// The queue of errands.
#[derive(Clone, Debug)]
pub struct DeliveryQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl DeliveryQueue {
    /// The queue of that URL.
    pub fn new(client: aws_sdk_sqs::Client, url: String) -> Self {
        Self { client, url }
    }

    /// Enqueues every one or fails.
    pub async fn enqueue(&self, errands: &[WebhookDelivery]) -> Result<(), Error> {
        let action = "enqueue callbacks to forward";
        for errands in errands.chunks(MAX_ENTRIES_PER_REQUEST) {
            let mut entries = Vec::new();
            for (index, errand) in errands.iter().enumerate() {
                let body =
                    serde_json::to_string(errand).map_err(|error| Error::new(action, error))?;
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(body);
                entries.push(entry.build().map_err(|error| Error::new(action, error))?);
            }
            let send = self.client.send_message_batch().queue_url(&self.url);
            let answer = send.set_entries(Some(entries)).send().await;
            let answer = answer.map_err(Error::from_sdk(action))?;
            // The stream's batch comes again; one that is enqueued twice is delivered twice, under the same id.
            if let Some(failed) = answer.failed.first() {
                return Err(Error::new(action, &failed.code));
            }
        }
        Ok(())
    }

    /// Lets one that was not taken come again after this time.
    pub async fn postpone(&self, receipt: &str, wait: Duration) -> Result<(), Error> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(wait.as_secs() as i32);
        let changed = change.send().await;
        changed
            .map(drop)
            .map_err(Error::from_sdk("put a forward off"))
    }
}
