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
//! - [`desk`]: what an invocation asks of the world around it; `office`: that world, AWS and Meta
//! - `attempt`: one call and its record

mod attempt;
pub mod desk;
pub mod invocation;
mod office;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use campaign::batch::Batch;
use campaign::pacing::{Rate, Slot};
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::known::Known;
use cloud::ledger::Ledger;
use cloud::queue::Queue;
use cloud::secrets::Secrets;
use lambda_runtime::{Context, Error, tracing};
use tokio::sync::Mutex;
use tokio::time::Instant;
use whatsapp::client::Client;

use crate::desk::{Handle, Lane, Pulled};
use crate::invocation::{Figures, Invocation, Served, Term};
use crate::office::{HIDDEN, Office};

/// All slots together look into the urgent lane twice a second.
const LOOK_AROUND: Duration = Duration::from_millis(500);

/// What a sender needs, made once per process.
#[derive(Debug)]
pub struct Sender {
    office: Arc<Office>,
    slot: Mutex<Slot>,
    /// How often this slot looks into the urgent lane.
    look_around: Duration,
    began: Instant,
}

impl Sender {
    /// Reads the environment; fails where anything is missing or the rate contradicts the budget.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let rate = env::rate()?;
        let retention = env::parsed("RETENTION_DAYS")?;
        let config = aws::config().await;
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
        let queue = Queue::new(sqs.clone(), env::required("SENDS_QUEUE_URL")?);
        let urgent = Queue::new(sqs, env::required("URGENT_QUEUE_URL")?);
        let secrets = Secrets::new(aws::secrets(&config), env::required("SECRET_ARN")?);
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
        queue: Queue,
        urgent: Queue,
        secrets: Secrets,
        client: Client,
        rate: Rate,
    ) -> Self {
        let office = Office {
            known: Known::new(campaigns),
            contacts,
            ledger,
            queue,
            urgent,
            secrets,
            client,
        };
        Self {
            office: Arc::new(office),
            slot: Mutex::new(Slot::new(rate)),
            look_around: LOOK_AROUND * rate.slots,
            began: Instant::now(),
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
            if let Err(error) = self.send(message, &context).await {
                tracing::error!(message.id = %id, "the batch comes again: {error}");
                response.add_failure(id);
            }
        }
        Ok(response)
    }

    async fn send(&self, message: SqsMessage, context: &Context) -> Result<(), Error> {
        let batch: Batch = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
        let campaign = batch.campaign.clone();
        let receipt = message
            .receipt_handle
            .ok_or("a queue message without a receipt handle")?;
        let times = message.attributes.get("ApproximateReceiveCount");
        // The queue's own time is the function's: too long for the rows of an invocation that dies.
        self.office.queue.hide(&receipt, HIDDEN).await?;
        let handle = Handle {
            lane: Lane::Bulk,
            receipt,
            times: times.and_then(|times| times.parse().ok()).unwrap_or(1),
        };
        let first = Pulled { batch, handle };
        let term = Term {
            owner: context.request_id.clone(),
            deadline: context.deadline,
            look_around: self.look_around,
            phase: rand::random(),
        };
        let mut slot = self.slot.lock().await;
        let invocation = Invocation::new(&self.office, &mut slot, self.began, term);
        let Served { summary, first } = invocation.serve(first).await;
        let Figures {
            batches,
            rows,
            calls,
            put_back,
            dropped,
            skipped,
            ..
        } = summary;
        tracing::info!(campaign.id = %campaign, batches, rows, calls, put_back, dropped, skipped, "batches done");
        Ok(first?)
    }
}
