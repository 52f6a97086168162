//! The world around an invocation as it is: the tables, the queue, the Cloud API.

use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::delivery::requeue::SkipReason;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::Sendability;
use cloud::Error;
use cloud::batch_queue::BatchQueue;
use cloud::campaign_cache::CampaignCache;
use cloud::contacts::Contacts;
use cloud::ledger::{Claim, Ledger};
use cloud::metrics::Metrics;
use cloud::secrets::Secrets;
use whatsapp::client::Client;

use crate::invocation::SendStats;
use crate::pending_send;
use crate::send_backend::{
    MessageHandle, PendingSend, Priority, ReceivedBatch, SendBackend, SendGate, SendPermission,
    SendResult,
};

/// All of SQS' servers are asked; where nothing comes within this time, nothing is there.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// A batch is hidden for as long as it may take: fifty rows at a quarter of the pace, and an answer. One whose sender died
/// comes again then; one that takes even longer comes to somebody else, too, who finds its rows claimed or settled.
pub(crate) const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(240);

#[derive(Debug)]
pub(crate) struct AwsBackend {
    pub(crate) campaign_cache: CampaignCache,
    pub(crate) contacts: Contacts,
    pub(crate) ledger: Ledger,
    pub(crate) bulk_queue: BatchQueue,
    pub(crate) urgent_queue: BatchQueue,
    pub(crate) secrets: Secrets,
    pub(crate) client: Client,
}

impl SendBackend for AwsBackend {
    fn now(&self) -> Millis {
        cloud::now()
    }

    async fn check_gate(&self, campaign: &CampaignId, age: Duration) -> Result<SendGate, Error> {
        let (campaign, secret) = tokio::join!(
            self.campaign_cache.get_with_max_age(campaign, age),
            self.secrets.get()
        );
        let Some(campaign) = campaign? else {
            return Ok(SendGate::Stopped);
        };
        Ok(match campaign.sendability(cloud::now()) {
            Sendability::Now => SendGate::Open(campaign, secret?.access_token.clone()),
            Sendability::NotBefore(until) => SendGate::CoolingDown(until),
            Sendability::Expired => SendGate::Expired,
            Sendability::Stopped => SendGate::Stopped,
        })
    }

    async fn reserve_send(
        &self,
        campaign: &CampaignId,
        row: &Row,
    ) -> Result<Option<SendPermission>, Error> {
        let now = cloud::now();
        let contact = self
            .contacts
            .reserve_send(row.to, campaign, row.row, now)
            .await?;
        Ok(contact.map(|contact| SendPermission {
            in_service_window: contact.service_window_end(now).is_some(),
            user_id: contact.user_id,
        }))
    }

    async fn claim_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
    ) -> Result<Claim, Error> {
        self.ledger
            .claim(campaign, row.row, owner, cloud::now())
            .await
    }

    async fn record_transition(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        step: Transition,
        fault: &ErrorInfo,
    ) -> Result<(), Error> {
        self.ledger
            .record_outcome(campaign, row.row, attempt, step, fault)
            .await
            .map(drop)
    }

    async fn skip_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
        why: SkipReason,
    ) -> Result<bool, Error> {
        self.ledger
            .skip_or_abandon(campaign, row.row, owner, why, cloud::now())
            .await
    }

    async fn send_message(self: Arc<Self>, attempt: PendingSend) -> SendResult {
        pending_send::run(&self, attempt).await
    }

    async fn requeue(&self, lane: Priority, batch: Batch, delay: Duration) -> Result<(), Error> {
        match lane {
            Priority::Bulk => self.bulk_queue.enqueue(&[batch], delay).await,
            Priority::Urgent => {
                self.urgent_queue
                    .enqueue_urgent(batch, delay, &self.bulk_queue)
                    .await
            }
        }
    }

    async fn receive_urgent(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.receive_batch(Priority::Urgent, Duration::ZERO).await
    }

    async fn receive_bulk(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.receive_batch(Priority::Bulk, RECEIVE_WAIT).await
    }

    async fn delay_redelivery(
        &self,
        MessageHandle {
            priority: lane,
            receipt,
            receive_count: times,
        }: &MessageHandle,
    ) -> Result<(), Error> {
        let seconds = 5 * 3u64.pow((*times).clamp(1, 6) - 1);
        let queue = self.queue_of(*lane);
        queue
            .set_visibility_timeout(receipt, Duration::from_secs(seconds))
            .await
    }

    fn emit_metrics(&self, figures: &SendStats) {
        let SendStats {
            batches,
            rows,
            attempts: calls,
            requeued: put_back,
            dropped,
            skipped,
            outcomes: [accepted, rejected, retried, held, doubts],
            busiest_second: busiest,
        } = *figures;
        Metrics::for_function("sender")
            .add_count("Batches", batches)
            .add_count("Rows", rows)
            .add_count("Attempts", calls)
            .add_count("Requeued", put_back)
            .add_count("Dropped", dropped)
            .add_count("Skipped", skipped)
            .add_count("Accepted", accepted)
            .add_count("Rejected", rejected)
            .add_count("Retried", retried)
            .add_count("Held", held)
            .add_count("Unconfirmed", doubts)
            .add_count("BusiestSecond", busiest)
            .emit();
    }

    async fn delete_messages(&self, lane: Priority, receipts: &[String]) -> Result<(), Error> {
        self.queue_of(lane).delete(receipts).await
    }
}

impl AwsBackend {
    fn queue_of(&self, lane: Priority) -> &BatchQueue {
        match lane {
            Priority::Bulk => &self.bulk_queue,
            Priority::Urgent => &self.urgent_queue,
        }
    }

    async fn receive_batch(
        &self,
        lane: Priority,
        wait: Duration,
    ) -> Result<Option<ReceivedBatch>, Error> {
        loop {
            let Some(message) = self
                .queue_of(lane)
                .receive(1, VISIBILITY_TIMEOUT, wait)
                .await?
                .pop()
            else {
                return Ok(None);
            };
            match message.parse_batch() {
                Ok(batch) => {
                    let (receipt, times) = (message.receipt_handle, message.receive_count);
                    let handle = MessageHandle {
                        priority: lane,
                        receipt,
                        receive_count: times,
                    };
                    return Ok(Some(ReceivedBatch { batch, handle }));
                }
                // Left in the queue: it ends in the dead-letter queue, where somebody looks.
                Err(error) => {
                    lambda_runtime::tracing::error!(message.id = message.id, "no batch: {error}");
                }
            }
        }
    }
}
