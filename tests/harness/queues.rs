//! Hands queue messages to functions as Lambda does, and reads queues.

use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use campaign::delivery::batch::{Batch, Row};
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use cloud::batch_queue::BatchQueue;
use cloud::import_queue::{ImportJob, Position};
use forward::Forwarder;
use lambda_runtime::Context;
use sender::Sender;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use splitter::Splitter;
use uuid::Uuid;

use super::functions::lambda_context;
use super::{TIMEOUT, TestEnv, phone};

/// A batch as it was on the sends queue.
pub(crate) struct QueuedBatch {
    pub(crate) batch: Batch,
    pub(crate) message_group: Option<String>,
}

/// A row to this number.
pub(crate) fn batch_row(number: u32, to: &str) -> Row {
    Row {
        row: number,
        to: phone(to),
        values: vec!["Ana".into()],
    }
}

/// The row numbers of these batches, sorted, with repeats.
pub(crate) fn row_numbers(batches: &[QueuedBatch]) -> Vec<u32> {
    let rows = batches.iter().flat_map(|queued| &queued.batch.rows);
    let mut numbers: Vec<u32> = rows.map(|row| row.row).collect();
    numbers.sort_unstable();
    numbers
}

/// Sends.
impl TestEnv {
    /// The queue of batches of that URL.
    pub(crate) fn queue_at(&self, url: &str) -> BatchQueue {
        BatchQueue::new(self.aws.sqs.clone(), url.to_owned())
    }

    /// Puts a batch of these rows on the sends queue.
    pub(crate) async fn enqueue_rows(&self, id: &CampaignId, rows: Vec<Row>) {
        let campaign = id.clone();
        let hops = 0;
        let batch = Batch {
            campaign,
            rows,
            hops,
        };
        self.queue.enqueue(&[batch], Duration::ZERO).await.unwrap();
    }

    /// Puts one row to this number on the sends queue, of a new campaign that sends.
    pub(crate) async fn enqueue_row_to(&self, to: &str) -> CampaignId {
        let id = self.create_campaign(CampaignState::Sending).await.id;
        self.enqueue_rows(&id, vec![batch_row(1, to)]).await;
        id
    }

    /// Puts batches on the sends queue again.
    pub(crate) async fn enqueue_batches(&self, batches: Vec<QueuedBatch>) {
        let batches: Vec<Batch> = batches.into_iter().map(|queued| queued.batch).collect();
        self.queue.enqueue(&batches, Duration::ZERO).await.unwrap();
    }

    /// Hands the next message of the sends queue to `sender`; waits for it.
    pub(crate) async fn deliver_next(&self, sender: &Sender) {
        let delivered = self.try_deliver_next(sender, TIMEOUT).await;
        assert!(delivered, "no batch came");
    }

    /// Hands the next message of the sends queue to `sender`; `false` where none comes within `wait`.
    pub(crate) async fn try_deliver_next(&self, sender: &Sender, wait: Duration) -> bool {
        self.try_deliver_from(&self.queue_urls.sends, sender, wait)
            .await
    }

    /// The same with the queue of this URL.
    pub(crate) async fn try_deliver_from(
        &self,
        sends: &str,
        sender: &Sender,
        wait: Duration,
    ) -> bool {
        let Some(message) = self.receive(sends, wait).await else {
            return false;
        };
        let (body, receipt) = (message.body().unwrap(), message.receipt_handle());
        assert!(
            invoke_sender(sender, body, receipt).await,
            "the batch failed"
        );
        self.delete(sends, &message).await;
        true
    }

    /// Lets one sender send whatever is on the queue.
    pub(crate) async fn send_all(&self) {
        self.run_senders(&[self.sender()]).await;
    }

    /// Lets these senders send whatever is on the queue, side by side.
    pub(crate) async fn run_senders(&self, senders: &[Sender]) {
        let run = async |sender| while self.try_deliver_next(sender, Duration::ZERO).await {};
        futures::future::join_all(senders.iter().map(run)).await;
    }

    /// Takes every batch off the sends queue.
    pub(crate) async fn drain_batches(&self) -> Vec<QueuedBatch> {
        let sends = &self.queue_urls.sends;
        let mut batches = Vec::new();
        loop {
            let messages = self.receive_up_to(sends, 10).await;
            if messages.is_empty() && self.visible_messages(sends).await == 0 {
                return batches;
            }
            for message in messages {
                self.delete(sends, &message).await;
                let group = message
                    .attributes()
                    .and_then(|all| all.get(&message_group()));
                batches.push(QueuedBatch {
                    message_group: group.cloned(),
                    batch: parse_body(&message),
                });
            }
        }
    }

    /// Takes every batch off the sends queue; gives row and recipient, sorted.
    pub(crate) async fn drain_recipients(&self) -> Vec<(u32, String)> {
        let batches = self.drain_batches().await;
        let rows = batches.iter().flat_map(|queued| &queued.batch.rows);
        let mut recipients: Vec<_> = rows.map(|row| (row.row, row.to.to_string())).collect();
        recipients.sort();
        recipients
    }
}

fn message_group() -> MessageSystemAttributeName {
    "MessageGroupId".into()
}

/// The other functions' queues.
impl TestEnv {
    /// Hands the next import job to the splitter; `false` where there is none.
    pub(crate) async fn run_next_import_job(&self, splitter: &Splitter, context: Context) -> bool {
        let Some(message) = self
            .receive_and_delete(&self.queue_urls.imports, Duration::ZERO)
            .await
        else {
            return false;
        };
        let record =
            json!({"eventSource": "aws:sqs", "messageId": "1", "body": message.body().unwrap()});
        let event = serde_json::from_value(json!({"Records": [record]})).unwrap();
        splitter.handle(event, context).await.unwrap();
        true
    }

    /// Has the splitter requeue every unsettled row of a campaign, or settle it.
    pub(crate) async fn requeue(&self, id: &CampaignId) {
        let job = ImportJob::requeue(id.clone(), Position::default());
        self.import_queue().enqueue(&job).await.unwrap();
        self.run_queued_imports().await;
    }

    /// Loses the next import job.
    pub(crate) async fn lose_import_job(&self) {
        let lost = self
            .receive_and_delete(&self.queue_urls.imports, TIMEOUT)
            .await;
        lost.expect("an import job");
    }

    /// Runs every import job that is on the queue, and those that follow from them.
    pub(crate) async fn run_queued_imports(&self) {
        self.run_queued_imports_with(&self.splitter(2)).await;
    }

    /// The same with this splitter.
    pub(crate) async fn run_queued_imports_with(&self, splitter: &Splitter) {
        while self
            .run_next_import_job(splitter, lambda_context(900))
            .await
        {}
    }

    /// Runs the report or recount that was requested last.
    pub(crate) async fn run_next_job(&self) {
        let message = self
            .receive_and_delete(&self.queue_urls.jobs, TIMEOUT)
            .await;
        let job = parse_body(&message.expect("a job"));
        self.reporter().run_job(&job).await.unwrap();
    }

    /// Runs the erasure that was requested last; gives whether it is complete.
    pub(crate) async fn run_next_erasure(&self) -> bool {
        let message = self
            .receive_and_delete(&self.queue_urls.erasures, TIMEOUT)
            .await;
        let message = message.expect("an erasure");
        let job = parse_body(&message);
        let (id, owner) = (message.message_id(), message.receipt_handle());
        self.eraser()
            .erase(&job, id.unwrap(), owner.unwrap())
            .await
            .unwrap()
    }

    /// Whether an erasure is on the queue, which stays there.
    pub(crate) async fn has_erasure(&self) -> bool {
        !self
            .receive_up_to(&self.queue_urls.erasures, 1)
            .await
            .is_empty()
    }

    /// Takes every import job off the queue.
    pub(crate) async fn drain_import_jobs(&self) -> Vec<ImportJob> {
        let mut jobs = Vec::new();
        while let Some(message) = self
            .receive_and_delete(&self.queue_urls.imports, Duration::ZERO)
            .await
        {
            jobs.push(parse_body(&message));
        }
        jobs
    }

    /// Hands the next webhook delivery to the forwarder. Gives whether it was accepted; `None` where there is none.
    pub(crate) async fn run_next_webhook_delivery(&self, forwarder: &Forwarder) -> Option<bool> {
        let deliveries = &self.queue_urls.deliveries;
        let message = self.receive(deliveries, Duration::ZERO).await?;
        let count = &message.attributes().unwrap()[&"ApproximateReceiveCount".into()];
        let record = json!({"eventSource": "aws:sqs", "messageId": message.message_id(), "body": message.body(),
            "receiptHandle": message.receipt_handle(), "attributes": {"ApproximateReceiveCount": count}});
        let event = serde_json::from_value(json!({"Records": [record]})).unwrap();
        let response = forwarder.handle(event).await.unwrap();
        let is_accepted = response.batch_item_failures.is_empty();
        if is_accepted {
            self.delete(deliveries, &message).await;
        }
        Some(is_accepted)
    }

    /// Waits for the S3 event of an upload of this campaign.
    pub(super) async fn receive_upload_event(&self, id: &CampaignId) -> Value {
        // An erasure writes files, too, and their events may be there.
        loop {
            let event = self.receive_event(&self.queue_urls.upload_events).await;
            let key = &event["Records"][0]["s3"]["object"]["key"];
            if key.as_str().is_some_and(|key| key.contains(id.as_str())) {
                return event;
            }
        }
    }

    /// Creates a queue for events of a bus; gives its URL and ARN.
    pub(crate) async fn create_event_queue(&self) -> (String, String) {
        let url = self.aws.create_queue(&format!("{}-bus", self.name)).await;
        let arn = self.aws.queue_arn(&url).await;
        (url, arn)
    }

    /// Waits for the next message of such a queue.
    pub(crate) async fn receive_event(&self, url: &str) -> Value {
        parse_body(
            &self
                .receive_and_delete(url, TIMEOUT)
                .await
                .expect("an event"),
        )
    }
}

/// Messages.
impl TestEnv {
    async fn receive_up_to(&self, url: &str, count: i32) -> Vec<Message> {
        let receive = self.aws.sqs.receive_message().queue_url(url);
        let receive = receive
            .max_number_of_messages(count)
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::All);
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    /// Messages that could be received now.
    pub(crate) async fn visible_messages(&self, url: &str) -> u32 {
        let visible = QueueAttributeName::ApproximateNumberOfMessages;
        let request = self.aws.sqs.get_queue_attributes().queue_url(url);
        let response = request.attribute_names(visible.clone()).send().await;
        let attributes = response.unwrap().attributes.unwrap_or_default();
        attributes[&visible].parse().unwrap()
    }

    async fn receive(&self, url: &str, wait: Duration) -> Option<Message> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(message) = self.receive_up_to(url, 1).await.pop() {
                return Some(message);
            }
            // A receive of SQS may find nothing although there is something.
            if Instant::now() >= deadline && self.visible_messages(url).await == 0 {
                return None;
            }
        }
    }

    /// Receives a message and deletes it.
    async fn receive_and_delete(&self, url: &str, wait: Duration) -> Option<Message> {
        let message = self.receive(url, wait).await?;
        self.delete(url, &message).await;
        Some(message)
    }

    async fn delete(&self, url: &str, message: &Message) {
        let receipt = message.receipt_handle().unwrap();
        let delete = self.aws.sqs.delete_message().queue_url(url);
        delete.receipt_handle(receipt).send().await.unwrap();
    }
}

fn parse_body<T: DeserializeOwned>(message: &Message) -> T {
    serde_json::from_str(message.body().unwrap()).unwrap()
}

/// Hands a message to `sender`; gives whether it was processed.
pub(crate) async fn invoke_sender(sender: &Sender, body: &str, receipt: Option<&str>) -> bool {
    let mut message = SqsMessage::default();
    message.receipt_handle = receipt.map(str::to_owned);
    message.message_id = Some(Uuid::now_v7().to_string());
    message.body = Some(body.to_owned());
    let mut event = SqsEvent::default();
    event.records.push(message);
    let response = sender.handle(event, lambda_context(900)).await.unwrap();
    response.batch_item_failures.is_empty()
}
