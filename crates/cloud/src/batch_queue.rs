//! The queues of batches: the sends queue, the urgent lane beside it, and their dead letters.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use campaign::delivery::batch::Batch;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::Error;

/// The longest delay SQS takes (SQS quotas: 15 minutes).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// Messages per `SendMessageBatch` (SQS quotas).
const MAX_ENTRIES_PER_REQUEST: usize = 10;

/// Bytes per `SendMessageBatch` that every version of SQS takes.
const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Requests under way at once.
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// How often entries that SQS refused within a successful answer are sent again.
const MAX_ATTEMPTS: u32 = 6;

/// The sends queue.
#[derive(Clone, Debug)]
pub struct BatchQueue {
    client: Client,
    url: String,
}

/// A message taken from the queue: it comes again unless it is deleted in time.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    /// Its id.
    pub id: String,
    /// Its text.
    pub body: String,
    /// With what it is deleted.
    pub receipt_handle: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

impl QueueMessage {
    /// The batch in it.
    pub fn parse_batch(&self) -> Result<Batch, serde_json::Error> {
        serde_json::from_str(&self.body)
    }
}

/// A batch ready for the queue.
#[derive(Clone, Debug)]
struct Entry {
    group: String,
    body: String,
    delay: i32,
}

impl BatchQueue {
    /// The queue of that URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Enqueues batches, in tens, several requests under way; returns when SQS has every one.
    pub async fn enqueue(&self, batches: &[Batch], delay: Duration) -> Result<(), Error> {
        let entries = batches
            .iter()
            .map(|batch| to_entry(batch, delay))
            .collect::<Result<Vec<_>, _>>()?;
        let requests =
            stream::iter(group_into_requests(entries)).map(|request| self.send_request(request));
        requests
            .buffer_unordered(MAX_CONCURRENT_REQUESTS)
            .try_collect::<()>()
            .await
    }

    /// Enqueues a batch in this lane, which senders look into while they are at work, and wakes one in case none is: by a
    /// batch without rows in the lane whose messages Lambda brings.
    pub async fn enqueue_urgent(
        &self,
        batch: Batch,
        delay: Duration,
        bulk: &BatchQueue,
    ) -> Result<(), Error> {
        let wake = Batch {
            campaign: batch.campaign.clone(),
            rows: Vec::new(),
        };
        self.enqueue(&[batch], delay).await?;
        bulk.enqueue(&[wake], delay).await
    }

    /// Takes up to `most` messages (10 at most), which nobody else sees for the time given. `wait` zero asks some of SQS'
    /// servers only, a second or more all of them.
    pub async fn receive(
        &self,
        most: i32,
        hidden: Duration,
        wait: Duration,
    ) -> Result<Vec<QueueMessage>, Error> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(most)
            .visibility_timeout(hidden.as_secs() as i32)
            .wait_time_seconds(wait.as_secs() as i32)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let answer = receive
            .send()
            .await
            .map_err(Error::from_sdk("take batches"))?;
        let messages = answer.messages.unwrap_or_default().into_iter();
        Ok(messages.filter_map(to_queue_message).collect())
    }

    /// Keeps a message hidden for as long again from now.
    pub async fn set_visibility_timeout(
        &self,
        receipt: &str,
        hidden: Duration,
    ) -> Result<(), Error> {
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(hidden.as_secs() as i32);
        change
            .send()
            .await
            .map(drop)
            .map_err(Error::from_sdk("keep a batch hidden"))
    }

    /// Deletes messages that are done. One that is left comes again, which costs and harms nobody.
    pub async fn delete(&self, receipts: &[String]) -> Result<(), Error> {
        let action = "delete batches";
        for receipts in receipts.chunks(MAX_ENTRIES_PER_REQUEST) {
            let entry = |(index, receipt): (usize, &String)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt)
                    .build()
                    .map_err(|error| Error::new(action, error))
            };
            let entries = receipts.iter().enumerate().map(entry);
            let delete = self
                .client
                .delete_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect::<Result<Vec<_>, _>>()?));
            delete.send().await.map_err(Error::from_sdk(action))?;
        }
        Ok(())
    }

    /// Whether nothing waits in it, delayed messages included. Approximate, as SQS counts. Messages that somebody has are
    /// left out: whoever is alive shows it by calls, and those of a sender that died would be waited for in vain.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed};
        let get = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesDelayed);
        let counts = get
            .send()
            .await
            .map_err(Error::from_sdk("look how full the queue is"))?
            .attributes
            .unwrap_or_default();
        Ok(counts.values().all(|count| count == "0"))
    }

    /// A success may hold failures of single entries: those are sent again.
    async fn send_request(&self, mut entries: Vec<Entry>) -> Result<(), Error> {
        for attempt in 0..MAX_ATTEMPTS {
            let request = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(to_request_entries(&entries)?));
            let answer = request
                .send()
                .await
                .map_err(Error::from_sdk("enqueue batches"))?;
            let failed: Vec<usize> = answer
                .failed
                .iter()
                .filter_map(|failure| failure.id.parse().ok())
                .collect();
            if failed.is_empty() {
                return Ok(());
            }
            entries = failed
                .iter()
                .filter_map(|&index| entries.get(index).cloned())
                .collect();
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        Err(Error::new(
            "enqueue batches",
            format!("SQS refused {} of them {MAX_ATTEMPTS} times", entries.len()),
        ))
    }
}

fn to_queue_message(message: aws_sdk_sqs::types::Message) -> Option<QueueMessage> {
    let times = message
        .attributes
        .as_ref()
        .and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount))
        .and_then(|count| count.parse().ok());
    Some(QueueMessage {
        id: message.message_id?,
        body: message.body?,
        receipt_handle: message.receipt_handle?,
        receive_count: times.unwrap_or(1),
    })
}

fn to_entry(batch: &Batch, delay: Duration) -> Result<Entry, Error> {
    let body = serde_json::to_string(batch).map_err(|error| Error::new("write a batch", error))?;
    // Rounded up: a retry that came early would be put back once more.
    let delay = delay.min(MAX_DELAY).as_millis().div_ceil(1000) as i32;
    Ok(Entry {
        group: batch.campaign.to_string(),
        body,
        delay,
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
    let number = |(index, entry): (usize, &Entry)| {
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(&entry.body)
            // On a standard queue a group turns on fair queues: one huge campaign does not starve a small one.
            .message_group_id(&entry.group)
            .delay_seconds(entry.delay)
            .build()
            .map_err(|error| Error::new("enqueue batches", error))
    };
    entries.iter().enumerate().map(number).collect()
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
