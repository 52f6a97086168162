//! The real backend of an invocation: the tables, the queues, the Cloud API.

use std::sync::Arc;
use std::time::Duration;

use campaign::contacts::contact::Contact;
use campaign::delivery::backoff::exponential_delay;
use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::{Claim, Transition};
use campaign::delivery::number_suspension::{NumberGate, NumberSuspension};
use campaign::delivery::outcome::ErrorInfo;
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, NumberId};
use campaign::lifecycle::campaign::{Campaign, Sendability};
use campaign::time::Millis;
use cloud::Error;
use cloud::batch_queue::BatchQueue;
use cloud::contacts::ContactKey;
use cloud::metrics::Metrics;
use cloud::numbers::{Numbers, SenderNumber};
use whatsapp::connection_pool::ConnectionState;

use crate::pending_send::SendClients;
use crate::persist::persist;
use crate::send_backend::{
    DepartureSignal, MessageHandle, PendingSend, Priority, ReceivedBatch, Recipient, SendBackend,
    SendGate, SendResult,
};
use crate::send_stats::SendStats;

/// SQS asks all of its servers (long polling); what it has not found by then is not there.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// The longest time that a batch should take: 50 rows at a quarter of the pace, and a response. If its sender dies, the
/// batch is delivered again after this time. If it takes longer all the same, a second sender receives it, too, and finds
/// its rows claimed or settled.
pub(crate) const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(240);

/// When a batch that failed is delivered again. Each further delay is three times as long, up to the maximum.
const FIRST_REDELIVERY_DELAY: Duration = Duration::from_secs(5);
const MAX_REDELIVERY_DELAY: Duration = Duration::from_secs(1_215);

/// How long a transition without a send is tried. The row is claimed and was not sent: if that is not recorded while the
/// claim lives, it looks as if it might have been. Nothing is sent meanwhile.
const TRANSITION_RETRY_MS: Millis = 140_000;

/// The next send waits no longer than this until those of a minute are counted.
const MAX_COUNT_TIME: Duration = Duration::from_millis(300);

/// How long a reservation is tried, within [`CLAIM_RETRY_MS`] of the claim.
const RESERVE_RETRY_MS: Millis = 30_000;

/// How long a claim is tried. It waits less than a row may be claimed before its send.
const CLAIM_RETRY_MS: Millis = 60_000;

#[derive(Debug)]
pub(crate) struct AwsBackend {
    pub(crate) clients: SendClients,
    /// The first is this sender's own.
    pub(crate) numbers: Numbers,
}

impl SendBackend for AwsBackend {
    fn now(&self) -> Millis {
        cloud::now()
    }

    fn own_number(&self) -> &NumberId {
        &self.own().id
    }

    async fn check_gate(
        &self,
        campaign: &CampaignId,
        max_age: Duration,
    ) -> Result<SendGate, Error> {
        let cache = &self.clients.campaign_cache;
        let (found, secret, number_gate) = tokio::join!(
            cache.get_with_max_age(campaign, max_age),
            self.clients.secrets.get(),
            self.check_number(max_age)
        );
        let cooldown_end = match number_gate? {
            None => return Ok(SendGate::RateChanged),
            Some(NumberGate::Paused) => return Ok(SendGate::Stopped),
            Some(NumberGate::CoolingDown(until)) => Some(until),
            Some(NumberGate::Open) => None,
        };
        let is_stopped = |found: &Option<Arc<Campaign>>| {
            found
                .as_ref()
                .is_none_or(|campaign| campaign.sendability(cloud::now()) == Sendability::Stopped)
        };
        let mut found = found?;
        if is_stopped(&found) {
            // It may have been resumed since it was read. Its rows are in the queue again then, and rows that are dropped or
            // held now wait for the reconciler. That still happens if it is resumed between this read and the drop.
            found = cache.get_with_max_age(campaign, Duration::ZERO).await?;
            if !is_stopped(&found) {
                cloud::sometimes!(
                    "a sender sees that a campaign was resumed before it drops a row"
                );
            }
        }
        let Some(campaign) = found else {
            return Ok(SendGate::Stopped);
        };
        Ok(match (campaign.sendability(cloud::now()), cooldown_end) {
            (Sendability::Now, None) => SendGate::Allowed(campaign, secret?.access_token.clone()),
            (Sendability::Now, Some(until)) => SendGate::CoolingDown(until),
            (Sendability::NotBefore(until), of_number) => {
                SendGate::CoolingDown(of_number.map_or(until, |end| end.max(until)))
            }
            (Sendability::Expired, _) => SendGate::Expired,
            (Sendability::Stopped, _) => SendGate::Stopped,
        })
    }

    async fn look_up_recipient(&self, row: &Row) -> Result<Recipient, Error> {
        let key = ContactKey::Phone(row.to);
        let contact = self.clients.contacts.get(&key).await?.unwrap_or_default();
        Ok(self.recipient(contact))
    }

    async fn reserve_send(
        &self,
        campaign: &CampaignId,
        row: &Row,
        takes_over: bool,
    ) -> Result<Option<Recipient>, Error> {
        // Given up, the claim was for nothing: it would count among the row's attempts.
        let sender = (self.own_number(), takes_over);
        let contact = persist(cloud::now() + RESERVE_RETRY_MS, || {
            let contacts = &self.clients.contacts;
            contacts.reserve_send(row.to, campaign, row.row, sender, cloud::now())
        })
        .await?;
        Ok(contact.map(|contact| self.recipient(contact)))
    }

    async fn claim_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
    ) -> Result<Claim, Error> {
        // A claim whose response was lost is found again under the same owner. Given up, it would end as unconfirmed.
        persist(cloud::now() + CLAIM_RETRY_MS, || {
            let ledger = &self.clients.ledger;
            ledger.claim(campaign, row.row, owner, cloud::now())
        })
        .await
    }

    async fn record_transition(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        transition: Transition,
        error: &ErrorInfo,
    ) -> Result<(), Error> {
        let ledger = &self.clients.ledger;
        persist(self.now() + TRANSITION_RETRY_MS, || {
            ledger.record_outcome(campaign, row.row, attempt, transition, error)
        })
        .await
        .map(drop)
    }

    async fn skip_claimed_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        reason: SkipReason,
    ) -> Result<bool, Error> {
        persist(self.now() + TRANSITION_RETRY_MS, || {
            let ledger = &self.clients.ledger;
            ledger.skip_or_abandon_claimed(campaign, row.row, attempt, reason)
        })
        .await
    }

    async fn skip_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
        reason: SkipReason,
    ) -> Result<bool, Error> {
        self.clients
            .ledger
            .skip_or_abandon(campaign, row.row, owner, reason, cloud::now())
            .await
    }

    fn renew_connections(&self) {
        self.clients.whatsapp.renew_connections();
    }

    async fn wait_for_connection(&self) -> ConnectionState {
        self.clients.whatsapp.wait_until_ready().await
    }

    async fn send_message(
        self: Arc<Self>,
        pending: PendingSend,
        departure: DepartureSignal,
    ) -> SendResult {
        self.clients.send(pending, departure).await
    }

    async fn requeue(
        &self,
        number: Option<&NumberId>,
        priority: Priority,
        batch: Batch,
        delay: Duration,
    ) -> Result<(), Error> {
        let number = match number {
            Some(other) => match self.numbers.get(other).await? {
                Some(number) => number,
                None => {
                    // Nobody has claimed the rows: they wait in the chunks, until the number is registered again or the
                    // campaign is cancelled.
                    tracing::error!(number = %other, "rows are dropped: the number is not registered");
                    return Ok(());
                }
            },
            None => Arc::clone(self.own()),
        };
        match priority {
            Priority::Bulk => number.bulk.enqueue(&[batch], delay).await,
            Priority::Urgent => number.enqueue_urgent(batch, delay).await,
        }
    }

    async fn receive_urgent(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.receive_batch(Priority::Urgent, Duration::ZERO).await
    }

    async fn receive_bulk(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.receive_batch(Priority::Bulk, RECEIVE_WAIT).await
    }

    async fn delay_redelivery(&self, handle: &MessageHandle) -> Result<(), Error> {
        let (first, max) = (FIRST_REDELIVERY_DELAY, MAX_REDELIVERY_DELAY);
        let delay = exponential_delay(first, 3, max, handle.receive_count);
        self.queue_of(handle.priority)
            .set_visibility_timeout(&handle.receipt, delay)
            .await
    }

    async fn add_sends(&self, minute: Millis, sends: u64) {
        let records = &self.clients.number_records;
        let added = records.add_sends(self.own_number(), minute, sends);
        match tokio::time::timeout(MAX_COUNT_TIME, added).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the sends of a minute were not counted: {error}"),
            Err(_) => tracing::warn!("the sends of a minute may not be counted: it took too long"),
        }
    }

    fn emit_metrics(&self, stats: &SendStats) {
        Metrics::for_function("sender")
            .add_count("Batches", stats.batches)
            .add_count("Rows", stats.rows)
            .add_count("Attempts", stats.attempts)
            .add_count("Requeued", stats.requeued)
            .add_count("Dropped", stats.dropped)
            .add_count("Skipped", stats.skipped)
            .add_count("Accepted", stats.accepted)
            .add_count("Rejected", stats.rejected)
            .add_count("Retried", stats.retried)
            .add_count("Held", stats.held)
            .add_count("Unconfirmed", stats.unconfirmed)
            .add_count("BusiestSecond", stats.busiest_second)
            .add_count("MaxHops", stats.max_hops)
            .emit();
    }

    async fn delete_messages(&self, priority: Priority, receipts: &[String]) -> Result<(), Error> {
        self.queue_of(priority).delete(receipts).await
    }
}

impl AwsBackend {
    /// The number that this sender sends from.
    pub(crate) fn own(&self) -> &Arc<SenderNumber> {
        self.numbers.first()
    }

    /// What holds the number back; `None` if another rate applies.
    async fn check_number(&self, max_age: Duration) -> Result<Option<NumberGate>, Error> {
        let gate = |suspension: Option<NumberSuspension>| {
            suspension.map(|suspension| suspension.gate(cloud::now()))
        };
        let known = gate(
            self.clients
                .rate
                .suspension_if_rate_is_current(max_age)
                .await?,
        );
        if known != Some(NumberGate::Paused) {
            return Ok(known);
        }
        // It may have been resumed since the record was read. Its rows are in the queue again then, as after a campaign's pause.
        let latest = gate(
            self.clients
                .rate
                .suspension_if_rate_is_current(Duration::ZERO)
                .await?,
        );
        if latest != known {
            cloud::sometimes!("a sender sees that its number was resumed before it drops a row");
        }
        Ok(latest)
    }

    fn recipient(&self, contact: Contact) -> Recipient {
        let own = &self.own().id;
        Recipient {
            in_service_window: contact.service_window_end(own, cloud::now()).is_some(),
            other_number: contact.number.filter(|number| number != own),
            user_id: contact.user_id,
        }
    }

    fn queue_of(&self, priority: Priority) -> &BatchQueue {
        match priority {
            Priority::Bulk => &self.own().bulk,
            Priority::Urgent => &self.own().urgent,
        }
    }

    async fn receive_batch(
        &self,
        priority: Priority,
        wait: Duration,
    ) -> Result<Option<ReceivedBatch>, Error> {
        let queue = self.queue_of(priority);
        while let Some(message) = queue.receive(1, VISIBILITY_TIMEOUT, wait).await?.pop() {
            match message.parse_batch() {
                Ok(batch) => {
                    let handle = MessageHandle {
                        priority,
                        receipt: message.receipt_handle,
                        receive_count: message.receive_count,
                    };
                    return Ok(Some(ReceivedBatch { batch, handle }));
                }
                // It stays in the queue and ends in the dead-letter queue, which raises an alarm.
                Err(error) => {
                    tracing::error!(message.id = message.id, "the message is no batch: {error}");
                }
            }
        }
        Ok(None)
    }
}
