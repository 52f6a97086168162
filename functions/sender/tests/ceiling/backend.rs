//! The virtual AWS and Cloud API, as the sender sees them.

use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::delivery::requeue::SkipReason;
use campaign::id::CampaignId;
use cloud::Error;
use cloud::ledger::Claim;
use sender::send_backend::{
    MessageHandle, PaceSignal, PendingSend, Priority, ReceivedBatch, SendBackend, SendGate,
    SendPermission, SendResult,
};
use sender::send_stats::SendStats;
use tokio::time::sleep;

use crate::virtual_aws::VirtualAws;

/// A message of the virtual queue; its id is its receipt handle.
pub(crate) fn to_received_batch(id: u64, batch: Batch) -> ReceivedBatch {
    let handle = MessageHandle {
        priority: Priority::Bulk,
        receipt: id.to_string(),
        receive_count: 1,
    };
    ReceivedBatch { batch, handle }
}

impl SendBackend for VirtualAws {
    fn now(&self) -> Millis {
        1_000_000_000 + self.elapsed().as_millis() as Millis
    }

    async fn check_gate(&self, _: &CampaignId, max_age: Duration) -> Result<SendGate, Error> {
        // For the send itself, what was read before the claim is recent enough.
        if max_age <= Duration::from_secs(1) {
            self.request(1, 8).await?;
        }
        Ok(SendGate::Open(Arc::clone(&self.campaign), "".into()))
    }

    async fn reserve_send(&self, _: &CampaignId, _: &Row) -> Result<Option<SendPermission>, Error> {
        self.request(2, 12).await?;
        Ok(Some(SendPermission {
            in_service_window: true,
            ..SendPermission::default()
        }))
    }

    async fn claim_row(&self, _: &CampaignId, row: &Row, owner: &str) -> Result<Claim, Error> {
        self.request(2, 12).await?;
        Ok(self.claim(row.row, owner, self.now()))
    }

    async fn record_transition(
        &self,
        _: &CampaignId,
        row: &Row,
        number: u32,
        transition: Transition,
        _: &ErrorInfo,
    ) -> Result<(), Error> {
        self.request(2, 12).await?;
        self.apply_transition(row.row, transition, number, 0);
        Ok(())
    }

    async fn skip_row(
        &self,
        _: &CampaignId,
        _: &Row,
        _: &str,
        _: SkipReason,
    ) -> Result<bool, Error> {
        Ok(false)
    }

    async fn send_message(self: Arc<Self>, pending: PendingSend) -> SendResult {
        let (row, number) = (pending.row.row, pending.number);
        self.record_send(row);
        sleep(self.random_response_time()).await;
        let failed = self.happens(self.scenario.error_share);
        sleep(self.random_duration(2, 12)).await;
        if !failed {
            self.apply_transition(row, Transition::Accept, number, 0);
            return SendResult {
                pace_signal: PaceSignal::Accepted,
                ..SendResult::default()
            };
        }
        self.record_refusal(row);
        let due = self.now() + self.random_duration(1000, 8000).as_millis() as Millis;
        self.apply_transition(row, Transition::Retry, number, due);
        SendResult {
            pace_signal: match self.happens(self.scenario.throttle_share) {
                true => PaceSignal::Throttled,
                false => PaceSignal::None,
            },
            retry: Some((due, pending.row)),
            outcome: None,
        }
    }

    async fn requeue(&self, _: Priority, batch: Batch, delay: Duration) -> Result<(), Error> {
        self.request(5, 30).await?;
        self.enqueue(batch.rows, delay);
        Ok(())
    }

    async fn receive_urgent(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.request(2, 12).await?;
        Ok(None)
    }

    async fn receive_bulk(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.request(5, 30).await?;
        let Some((id, batch)) = self.receive() else {
            sleep(Duration::from_secs(1)).await;
            return Ok(None);
        };
        Ok(Some(to_received_batch(id, batch)))
    }

    async fn delay_redelivery(&self, handle: &MessageHandle) -> Result<(), Error> {
        self.request(5, 30).await?;
        VirtualAws::delay_redelivery(self, handle.receipt.parse().unwrap());
        Ok(())
    }

    fn emit_metrics(&self, _: &SendStats) {}

    async fn delete_messages(&self, _: Priority, receipts: &[String]) -> Result<(), Error> {
        if receipts.is_empty() {
            return Ok(());
        }
        self.request(5, 30).await?;
        for receipt in receipts {
            self.delete(receipt.parse().unwrap());
        }
        Ok(())
    }
}
