//! The queues of batches: the send queue, the urgent queue beside it, and their dead-letter queue.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use campaign::delivery::batch::Batch;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::{Error, ErrorKind, message_body, sqs};

/// The longest delay of a message (SQS quotas: 15 minutes).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// Messages per request (SQS quotas).
const MAX_ENTRIES_PER_REQUEST: usize = 10;

/// Bytes per `SendMessageBatch`. SQS raised the quota to 1 MiB in 2025; emulators may still have this one.
const MAX_REQUEST_BYTES: usize = 256 * 1024;

const MAX_CONCURRENT_REQUESTS: usize = 8;

/// How often entries are sent that SQS refused within a successful response.
const MAX_ATTEMPTS: u32 = 6;

const ENQUEUE: &str = "enqueue batches";

/// A queue of batches.
#[derive(Clone, Debug)]
pub struct BatchQueue {
    client: Client,
    url: String,
}

/// A received message: SQS delivers it again unless it is deleted within the visibility timeout.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    /// Its id.
    pub id: String,
    /// Its text.
    pub body: String,
    /// Identifies this receipt when the message is deleted or hidden.
    pub receipt_handle: String,
    /// How often the message was received, including this time.
    pub receive_count: u32,
}

impl QueueMessage {
    /// The batch in it.
    pub fn parse_batch(&self) -> Result<Batch, serde_json::Error> {
        message_body::decode(&self.body)
    }

    fn from_sqs(message: Message) -> Option<Self> {
        let receive_count = message
            .attributes
            .as_ref()
            .and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount))
            .and_then(|count| count.parse().ok());
        Some(Self {
            id: message.message_id?,
            body: message.body?,
            receipt_handle: message.receipt_handle?,
            receive_count: receive_count.unwrap_or(1),
        })
    }
}

/// A batch as an entry of a request.
#[derive(Clone, Debug)]
struct Entry {
    group: String,
    body: String,
    delay_seconds: i32,
}

impl BatchQueue {
    /// The queue of that URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Enqueues batches, several requests at once; returns when SQS has stored all of them.
    #[tracing::instrument(
        skip_all,
        fields(campaign.id = batches.first().map(|batch| batch.campaign.as_str()), batches = batches.len())
    )]
    pub async fn enqueue(&self, batches: &[Batch], delay: Duration) -> Result<(), Error> {
        let entries = batches
            .iter()
            .map(|batch| to_entry(batch, delay))
            .collect::<Result<Vec<_>, _>>()?;
        stream::iter(group_into_requests(entries))
            .map(|entries| self.send_request(entries))
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect()
            .await
    }

    /// Enqueues a batch in this urgent queue, which senders poll while they run. In case none is running, it
    /// also wakes one: with a batch without rows in the `bulk` queue, whose messages Lambda polls.
    pub async fn enqueue_urgent(
        &self,
        batch: Batch,
        delay: Duration,
        bulk: &BatchQueue,
    ) -> Result<(), Error> {
        let wake = Batch {
            campaign: batch.campaign.clone(),
            rows: Vec::new(),
            hops: batch.hops,
        };
        self.enqueue(&[batch], delay).await?;
        bulk.enqueue(&[wake], delay).await
    }

    /// Receives up to `max` messages (10 at most), and hides them from others for the visibility timeout.
    /// With a `wait` of zero, SQS asks only some of its servers; with a second or more, all of them.
    #[tracing::instrument(skip_all)]
    pub async fn receive(
        &self,
        max: i32,
        visibility_timeout: Duration,
        wait: Duration,
    ) -> Result<Vec<QueueMessage>, Error> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(max)
            .visibility_timeout(visibility_timeout.as_secs() as i32)
            .wait_time_seconds(wait.as_secs() as i32)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let response = receive.send().await;
        let response = response.map_err(Error::from_sdk("receive batches"))?;
        let messages = response.messages.unwrap_or_default().into_iter();
        Ok(messages.filter_map(QueueMessage::from_sqs).collect())
    }

    /// Hides a message from others for `timeout` from now.
    pub async fn set_visibility_timeout(
        &self,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let action = "extend the visibility timeout of a batch";
        sqs::set_visibility_timeout(&self.client, &self.url, action, receipt_handle, timeout).await
    }

    /// Deletes messages that were processed. One that SQS fails to delete is delivered again, which changes
    /// nothing.
    pub async fn delete(&self, receipt_handles: &[String]) -> Result<(), Error> {
        let action = "delete batches";
        for receipt_handles in receipt_handles.chunks(MAX_ENTRIES_PER_REQUEST) {
            let entry = |(index, receipt_handle): (usize, &String)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt_handle)
                    .build()
                    .map_err(|error| Error::new(action, error))
            };
            let entries = receipt_handles.iter().enumerate().map(entry);
            let delete = self
                .client
                .delete_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect::<Result<Vec<_>, _>>()?));
            delete.send().await.map_err(Error::from_sdk(action))?;
        }
        Ok(())
    }

    /// Whether no message is waiting in the queue, delayed ones included. SQS counts approximately. In-flight
    /// messages do not count: a live sender shows itself by its attempts, and waiting for the messages of a
    /// dead one would be in vain.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed};
        let get = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesDelayed);
        let response = get.send().await;
        let response = response.map_err(Error::from_sdk("count the messages in the queue"))?;
        let counts = response.attributes.unwrap_or_default();
        Ok(counts.values().all(|count| count == "0"))
    }

    /// A successful response may report entries that failed: those are sent again.
    async fn send_request(&self, mut entries: Vec<Entry>) -> Result<(), Error> {
        for attempt in 0..MAX_ATTEMPTS {
            let request = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(to_request_entries(&entries)?));
            let response = request.send().await.map_err(Error::from_sdk(ENQUEUE))?;
            let failed = response.failed.iter();
            let indexes = failed.filter_map(|failure| failure.id.parse::<usize>().ok());
            entries = indexes
                .filter_map(|index| entries.get(index).cloned())
                .collect();
            if entries.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        Err(Error::with_kind(
            ENQUEUE,
            ErrorKind::Unavailable,
            format!("SQS refused {} entries {MAX_ATTEMPTS} times", entries.len()),
        ))
    }
}

fn to_entry(batch: &Batch, delay: Duration) -> Result<Entry, Error> {
    let body = message_body::encode(batch).map_err(|error| Error::new(ENQUEUE, error))?;
    // Rounded up: a retry that arrives early would be requeued.
    let delay_seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1000) as i32;
    Ok(Entry {
        group: batch.campaign.to_string(),
        body,
        delay_seconds,
    })
}

fn group_into_requests(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut requests: Vec<Vec<Entry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.body.len();
        match requests.last_mut() {
            Some(last) if last.len() < MAX_ENTRIES_PER_REQUEST && bytes <= MAX_REQUEST_BYTES => {
                last.push(entry)
            }
            _ => {
                bytes = entry.body.len();
                requests.push(vec![entry]);
            }
        }
    }
    requests
}

fn to_request_entries(entries: &[Entry]) -> Result<Vec<SendMessageBatchRequestEntry>, Error> {
    let to_request_entry = |(index, entry): (usize, &Entry)| {
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(&entry.body)
            // In a standard queue a group id turns on fair queues: a huge campaign does not starve a small
            // one.
            .message_group_id(&entry.group)
            .delay_seconds(entry.delay_seconds)
            .build()
            .map_err(|error| Error::new(ENQUEUE, error))
    };
    entries.iter().enumerate().map(to_request_entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
    use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchResultEntry};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use campaign::delivery::batch::Row;
    use campaign::import::phone;

    fn batch(value: &str) -> Batch {
        let to = phone::parse("+5511987654321", None).expect("phone");
        Batch {
            campaign: "c1".parse().expect("id"),
            rows: vec![Row {
                row: 1,
                to,
                values: vec![value.into()],
            }],
            hops: 0,
        }
    }

    #[test]
    fn requests_respect_both_limits() {
        let of = |count: usize, size: usize| {
            let batches = vec![batch(&"x".repeat(size)); count];
            let entries = batches
                .iter()
                .map(|batch| to_entry(batch, Duration::ZERO).expect("entry"))
                .collect();
            group_into_requests(entries)
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(25, 10), [10, 10, 5]);
        assert_eq!(of(5, 90_000), [2, 2, 1]);
        assert_eq!(of(0, 0), [0usize; 0]);
    }

    #[tokio::test]
    async fn only_entries_refused_within_a_success_are_sent_again() {
        let refused = BatchResultErrorEntry::builder()
            .id("1")
            .code("InternalError")
            .sender_fault(false)
            .build();
        let first = SendMessageBatchOutput::builder()
            .set_successful(Some(Vec::<SendMessageBatchResultEntry>::new()))
            .failed(refused.expect("entry"))
            .build()
            .expect("output");
        let done = SendMessageBatchOutput::builder()
            .set_successful(Some(Vec::new()))
            .set_failed(Some(Vec::new()))
            .build()
            .expect("output");
        let three = mock!(Client::send_message_batch)
            .match_requests(|request| request.entries().len() == 3)
            .then_output(move || first.clone());
        let one = mock!(Client::send_message_batch)
            .match_requests(|request| {
                request.entries().len() == 1
                    && request.entries()[0].message_body().contains("second")
            })
            .then_output(move || done.clone());
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&three, &one]);
        let queue = BatchQueue::new(client, "http://queue".into());
        let batches = [batch("first"), batch("second"), batch("third")];
        queue.enqueue(&batches, Duration::ZERO).await.expect("sent");
        assert_eq!((three.num_calls(), one.num_calls()), (1, 1));
    }
}
