//! The sender: takes a batch from the queue, claims each row, calls the Cloud API on its tick, records the outcome.
//!
//! What may fail, and who repairs it:
//!
//! | the process dies … | the row is | repaired by |
//! |---|---|---|
//! | before the claim | as before | the queue: the message comes again |
//! | between claim and recorded outcome | `claimed` | a callback, else the next delivery of the message or the sweep: `unconfirmed` |
//! | after the outcome | settled | nothing to repair; the message comes again and costs one read a row |
//! | with retries noted but not put back | `retry` | the queue: the message comes again |
//!
//! - [`invocation`]: batch after batch, each call on its tick
//! - [`send_backend`]: what an invocation asks of the world around it; `office`: that world, AWS and Meta
//! - `attempt`: one call and its record

mod aws_backend;
pub mod invocation;
mod pending_send;
pub mod send_backend;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use campaign::delivery::batch::Batch;
use campaign::delivery::pacing::{Rate, Slot};
use cloud::batch_queue::BatchQueue;
use cloud::campaign_cache::CampaignCache;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::ledger::Ledger;
use cloud::secrets::Secrets;
use lambda_runtime::{Context, Error, tracing};
use tokio::sync::Mutex;
use tokio::time::Instant;
use whatsapp::client::Client;

use crate::aws_backend::{AwsBackend, VISIBILITY_TIMEOUT};
use crate::invocation::{Invocation, InvocationLimits, InvocationResult, SendStats};
use crate::send_backend::{MessageHandle, Priority, ReceivedBatch};

/// All slots together look into the urgent lane twice a second.
const URGENT_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What a sender needs, made once per process.
#[derive(Debug)]
pub struct Sender {
    backend: Arc<AwsBackend>,
    slot: Mutex<Slot>,
    /// How often this slot looks into the urgent lane.
    urgent_poll_interval: Duration,
    process_started: Instant,
}

impl Sender {
    /// Reads the environment; fails where anything is missing or the rate contradicts the budget.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let rate = env::send_rate()?;
        let retention = env::parsed("RETENTION_DAYS")?;
        let config = aws::load_config().await;
        let dynamodb = aws::dynamodb(&config);
        let campaigns = Campaigns::new(
            dynamodb.clone(),
            env::required("CAMPAIGNS_TABLE")?,
            retention,
        );
        let contacts = Contacts::new(
            dynamodb.clone(),
            env::required("CONTACTS_TABLE")?,
            retention,
        );
        let ledger = Ledger::new(dynamodb, env::required("MESSAGES_TABLE")?, retention);
        let sqs = aws::sqs(&config);
        let queue = BatchQueue::new(sqs.clone(), env::required("SENDS_QUEUE_URL")?);
        let urgent = BatchQueue::new(sqs, env::required("URGENT_QUEUE_URL")?);
        let secrets = Secrets::new(aws::secrets_manager(&config), env::required("SECRET_ARN")?);
        let client = Client::new(
            &env::required("GRAPH_API_URL")?,
            &env::required("GRAPH_API_VERSION")?,
            &env::required("PHONE_NUMBER_ID")?,
        )?;
        Ok(Self::new(
            campaigns, contacts, ledger, queue, urgent, secrets, client, rate,
        ))
    }

    /// A sender of these parts.
    #[expect(
        clippy::too_many_arguments,
        reason = "each part is a resource of its own, and they are put together here only"
    )]
    pub fn new(
        campaigns: Campaigns,
        contacts: Contacts,
        ledger: Ledger,
        queue: BatchQueue,
        urgent: BatchQueue,
        secrets: Secrets,
        client: Client,
        rate: Rate,
    ) -> Self {
        let office = AwsBackend {
            campaign_cache: CampaignCache::new(campaigns),
            contacts,
            ledger,
            bulk_queue: queue,
            urgent_queue: urgent,
            secrets,
            client,
        };
        Self {
            backend: Arc::new(office),
            slot: Mutex::new(Slot::new(rate)),
            urgent_poll_interval: URGENT_POLL_INTERVAL * rate.slots,
            process_started: Instant::now(),
        }
    }

    /// Sends the batches of an event, one as the template has it. A message that cannot be read is reported as failed:
    /// it ends in the dead-letter queue, where somebody looks.
    pub async fn handle(
        &self,
        event: SqsEvent,
        context: Context,
    ) -> Result<SqsBatchResponse, Error> {
        let mut response = SqsBatchResponse::default();
        for message in event.records {
            let id = message
                .message_id
                .clone()
                .ok_or("a queue message without an id")?;
            if let Err(error) = self.process_message(message, &context).await {
                tracing::error!(message.id = %id, "the batch comes again: {error}");
                response.add_failure(id);
            }
        }
        Ok(response)
    }

    async fn process_message(&self, message: SqsMessage, context: &Context) -> Result<(), Error> {
        let batch: Batch = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
        let campaign = batch.campaign.clone();
        let receipt = message
            .receipt_handle
            .ok_or("a queue message without a receipt handle")?;
        let times = message.attributes.get("ApproximateReceiveCount");
        // The queue's own time is the function's: too long for the rows of an invocation that dies.
        self.backend
            .bulk_queue
            .set_visibility_timeout(&receipt, VISIBILITY_TIMEOUT)
            .await?;
        let handle = MessageHandle {
            priority: Priority::Bulk,
            receipt,
            receive_count: times.and_then(|times| times.parse().ok()).unwrap_or(1),
        };
        let first = ReceivedBatch { batch, handle };
        let term = InvocationLimits {
            owner: context.request_id.clone(),
            deadline: context.deadline,
            urgent_poll_interval: self.urgent_poll_interval,
            urgent_poll_phase: rand::random(),
        };
        let mut slot = self.slot.lock().await;
        let invocation = Invocation::new(&self.backend, &mut slot, self.process_started, term);
        let InvocationResult {
            stats: summary,
            first_batch: first,
        } = invocation.run(first).await;
        let SendStats {
            batches,
            rows,
            attempts: calls,
            requeued: put_back,
            dropped,
            skipped,
            ..
        } = summary;
        tracing::info!(campaign.id = %campaign, batches, rows, calls, put_back, dropped, skipped, "batches done");
        Ok(first?)
    }
}
