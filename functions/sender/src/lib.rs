//! The sender: takes a batch from the queue, claims each row, calls the Cloud API on its tick, records the outcome.
//!
//! What may fail, and who repairs it:
//!
//! | the process dies … | the row is | repaired by |
//! |---|---|---|
//! | before the claim | as before | the queue: the message comes again |
//! | between claim and recorded outcome | `claimed` | a callback, else the next delivery of the message: `unconfirmed` |
//! | after the outcome | settled | nothing to repair; the message comes again and costs one read a row |
//! | with retries noted but not put back | `retry` | the queue: the message comes again |
//!
//! - [`invocation`](mod@invocation): one batch from the first row to the hold
//! - [`attempt`](mod@attempt): one call and its record
//! - [`known`]: campaigns, as they were a moment ago

mod attempt;
mod invocation;
mod known;

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use campaign::batch::Batch;
use campaign::pacing::{Rate, Slot};
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::ledger::Ledger;
use cloud::queue::Queue;
use cloud::secrets::Secrets;
use lambda_runtime::{Context, Error};
use tokio::sync::Mutex;
use tokio::time::Instant;
use whatsapp::client::Client;

use crate::invocation::{Invocation, Summary};
use crate::known::Known;

/// What a sender needs, made once per process.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    queue: Queue,
    slot: Mutex<Slot>,
    began: Instant,
}

/// What calls under way share.
#[derive(Debug)]
struct Shared {
    known: Known,
    contacts: Contacts,
    ledger: Ledger,
    secrets: Secrets,
    client: Client,
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
        let contacts = Contacts::new(dynamodb.clone(), env::required("CONTACTS_TABLE")?);
        let ledger = Ledger::new(dynamodb, env::required("MESSAGES_TABLE")?, retention);
        let queue = Queue::new(aws::sqs(&config), env::required("SENDS_QUEUE_URL")?);
        let secrets = Secrets::new(aws::secrets(&config), env::required("SECRET_ARN")?);
        let client = Client::new(
            &env::required("GRAPH_API_URL")?,
            &env::required("GRAPH_API_VERSION")?,
            &env::required("PHONE_NUMBER_ID")?,
        )?;
        Ok(Self::new(
            campaigns, contacts, ledger, queue, secrets, client, rate,
        ))
    }

    /// A sender of these parts.
    pub fn new(
        campaigns: Campaigns,
        contacts: Contacts,
        ledger: Ledger,
        queue: Queue,
        secrets: Secrets,
        client: Client,
        rate: Rate,
    ) -> Self {
        let shared = Arc::new(Shared {
            known: Known::new(campaigns),
            contacts,
            ledger,
            secrets,
            client,
        });
        Self {
            shared,
            queue,
            slot: Mutex::new(Slot::new(rate)),
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
                lambda_runtime::tracing::error!(message.id = %id, "the batch comes again: {error}");
                response.add_failure(id);
            }
        }
        Ok(response)
    }

    async fn send(&self, message: SqsMessage, context: &Context) -> Result<(), Error> {
        let batch: Batch = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
        let mut slot = self.slot.lock().await;
        slot.enter(self.began.elapsed());
        let campaign = batch.campaign.clone();
        let mut invocation = Invocation::new(self, batch, context);
        let sent = invocation.run(&mut slot).await;
        let finished = invocation.finish().await;
        // On every path: the next invocation of this slot must not call too soon.
        let until = slot.leave(self.began.elapsed());
        tokio::time::sleep_until(self.began + until).await;
        let Summary {
            rows,
            calls,
            put_back,
            dropped,
            skipped,
        } = finished?;
        lambda_runtime::tracing::info!(campaign.id = %campaign, rows, calls, put_back, dropped, skipped, "batch done");
        sent
    }
}
