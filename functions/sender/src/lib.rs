//! The sender: receives batches from the queue, claims each row, sends its message on its tick, records the outcome.
//!
//! What may fail, and who repairs it:
//!
//! | the process dies … | the row is | repaired by |
//! |---|---|---|
//! | before the claim | as before | the queue: it delivers the message again |
//! | between the claim and the recorded outcome, or the ledger takes no writes until then | `claimed` | a callback; else the next delivery of the message or the reconciler, which mark it `unconfirmed` |
//! | after the outcome | settled | nothing to repair; the next delivery of the message costs one read per row |
//! | after a retry was recorded, before the row was requeued | `retry` | the queue: it delivers the message again |
//!
//! - this file: the clients, the first batch of an invocation, and whether its rate is the one that senders keep
//! - [`invocation`]: the loop over batches and rows, with each send on its tick
//! - `pending_send`: one send and its record; `persist`: writes that are repeated until they succeed
//! - `requeue_buffer`, `batch_tracker`: rows that go back to the queue, and messages that are deleted from it
//! - [`send_stats`]: counts for the log and the metrics
//! - [`send_backend`]: what an invocation needs from AWS and Meta; `aws_backend`: the implementation for production

mod aws_backend;
mod batch_tracker;
pub mod invocation;
mod pending_send;
mod persist;
mod requeue_buffer;
pub mod send_backend;
pub mod send_stats;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use campaign::delivery::batch::Batch;
use campaign::delivery::pacing::Slot;
use campaign::time::Millis;
use cloud::campaign_cache::CampaignCache;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::ledger::Ledger;
use cloud::numbers::Numbers;
use cloud::rates::RateKeeper;
use cloud::secrets::Secrets;
use lambda_runtime::{Context, Error};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{error, info, instrument};
use whatsapp::client::Client;

use crate::aws_backend::{AwsBackend, VISIBILITY_TIMEOUT};
use crate::invocation::{Invocation, InvocationLimits, InvocationResult};
use crate::pending_send::SendClients;
use crate::send_backend::{MessageHandle, Priority, ReceivedBatch, SendBackend};

/// All slots together poll the urgent queue twice a second.
const URGENT_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// After this time a batch is delivered again that a sender of an earlier rate received.
const PASS_ON_DELAY: Duration = Duration::from_secs(5);

/// The state of a sender, made once per process.
#[derive(Debug)]
pub struct Sender {
    backend: Arc<AwsBackend>,
    slot: Mutex<Slot>,
    /// How often this slot polls the urgent queue.
    urgent_poll_interval: Duration,
    process_started: Instant,
}

impl Sender {
    /// Reads the environment. Fails if a variable is missing or the rate contradicts the budget.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let retention = env::parsed("RETENTION_DAYS")?;
        let config = aws::load_config();
        let dynamodb = aws::dynamodb(&config);
        let table = env::required("CAMPAIGNS_TABLE")?;
        let numbers = Numbers::from_env(&aws::sqs(&config), &dynamodb)?;
        let own = numbers.first();
        let rate = RateKeeper::new(dynamodb.clone(), table.clone(), own.id.clone(), own.rate);
        let campaigns = Campaigns::new(dynamodb.clone(), table, retention);
        let contacts = Contacts::new(
            dynamodb.clone(),
            env::required("CONTACTS_TABLE")?,
            retention,
        );
        let ledger = Ledger::new(dynamodb, env::required("MESSAGES_TABLE")?, retention);
        let secrets = Secrets::new(aws::secrets_manager(&config), env::required("SECRET_ARN")?);
        let client = Client::new(
            &env::required("GRAPH_API_URL")?,
            &env::required("GRAPH_API_VERSION")?,
            own.id.as_str(),
            own.rate.per_slot,
        )?;
        Ok(Self::new(
            campaigns, contacts, ledger, numbers, secrets, client, rate,
        ))
    }

    /// A sender with these clients, for the first of the numbers.
    pub fn new(
        campaigns: Campaigns,
        contacts: Contacts,
        ledger: Ledger,
        numbers: Numbers,
        secrets: Secrets,
        client: Client,
        rate: RateKeeper,
    ) -> Self {
        let own = rate.own();
        let ledger = ledger.of_sender(&numbers.first().id);
        let clients = SendClients {
            campaign_cache: CampaignCache::new(campaigns),
            contacts,
            ledger,
            number: numbers.first().id.clone(),
            number_records: numbers.records().clone(),
            rate,
            secrets,
            whatsapp: client,
        };
        let backend = AwsBackend { clients, numbers };
        Self {
            backend: Arc::new(backend),
            slot: Mutex::new(Slot::new(own)),
            urgent_poll_interval: URGENT_POLL_INTERVAL * own.slots,
            process_started: Instant::now(),
        }
    }

    /// Sends the batches of an event; the template sets one per event. A message that is no batch is reported as failed
    /// and ends in the dead-letter queue, which raises an alarm.
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
                .ok_or("the queue message has no id")?;
            if let Err(error) = self.process_message(message, &context).await {
                error!(message.id = %id, "the batch will be delivered again: {error}");
                response.add_failure(id);
            }
        }
        Ok(response)
    }

    async fn process_message(&self, message: SqsMessage, context: &Context) -> Result<(), Error> {
        let batch: Batch =
            cloud::message_body::decode(message.body.as_deref().unwrap_or_default())?;
        let receipt = message
            .receipt_handle
            .ok_or("the queue message has no receipt handle")?;
        let receive_count = message.attributes.get("ApproximateReceiveCount");
        let handle = MessageHandle {
            priority: Priority::Bulk,
            receipt,
            receive_count: receive_count
                .and_then(|count| count.parse().ok())
                .unwrap_or(1),
        };
        self.run_invocation(ReceivedBatch { batch, handle }, context)
            .await
    }

    #[instrument(skip_all, fields(campaign.id = %first.batch.campaign))]
    async fn run_invocation(&self, first: ReceivedBatch, context: &Context) -> Result<(), Error> {
        let invoked_at = cloud::now();
        // The queue's own timeout is the function's, a quarter of an hour. If this invocation died, its rows would wait
        // that long.
        self.backend
            .own()
            .bulk
            .set_visibility_timeout(&first.handle.receipt, VISIBILITY_TIMEOUT)
            .await?;
        if !self.wait_for_rate(invoked_at).await? {
            return self.pass_on(first).await;
        }
        let limits = InvocationLimits {
            owner: context.request_id.clone(),
            deadline: context.deadline,
            urgent_poll_interval: self.urgent_poll_interval,
            urgent_poll_phase: rand::random(),
        };
        let mut slot = self.slot.lock().await;
        let invocation = Invocation::new(&self.backend, &mut slot, self.process_started, limits);
        let InvocationResult { stats, first_batch } = Box::pin(invocation.run(first)).await;
        info!(
            batches = stats.batches,
            rows = stats.rows,
            attempts = stats.attempts,
            requeued = stats.requeued,
            dropped = stats.dropped,
            skipped = stats.skipped,
            max_hops = stats.max_hops,
            "the invocation is complete"
        );
        Ok(first_batch?)
    }

    /// Waits until senders of an earlier rate have stopped. Returns false if a later rate applies.
    async fn wait_for_rate(&self, invoked_at: Millis) -> Result<bool, Error> {
        let Some(not_before) = self.backend.clients.rate.register(invoked_at).await? else {
            return Ok(false);
        };
        let wait = not_before.saturating_sub(cloud::now());
        if wait > 0 {
            cloud::sometimes!("a sender waits until those of the earlier rate have stopped");
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Ok(true)
    }

    /// Puts a batch back into the queue for senders of the rate that applies. As a message that failed, it would end in the
    /// dead-letter queue after some deliveries, although nothing is wrong with it.
    async fn pass_on(&self, first: ReceivedBatch) -> Result<(), Error> {
        info!("another send rate applies now; the batch goes back into the queue");
        let ReceivedBatch { mut batch, handle } = first;
        batch.hops += 1;
        self.backend
            .requeue(None, handle.priority, batch, PASS_ON_DELAY)
            .await?;
        Ok(())
    }
}
