//! One invocation: batch after batch and row after row, each send on its tick. Sends overlap. Rows that must wait go back
//! to their queue.
//!
//! An invocation starts with the batch that Lambda delivered. It then receives further batches from the queue itself, as
//! long as its time allows. It waits for the last responses only once, at its end, so a slot idles once in 15 minutes and
//! not once per batch.
//!
//! - this file: the batches, the sends in flight
//! - `row`: one row, from the claim to the send

mod numbers;
mod row;

use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::CLAIM_LEASE_MS;
use campaign::delivery::pacing::Slot;
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, NumberId};
use campaign::time::Millis;
use cloud::Error;
use cloud::batch_queue::MAX_DELAY;
use tokio::sync::oneshot::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument, error, instrument};

use crate::batch_tracker::BatchTracker;
use crate::requeue_buffer::{RequeueBuffer, TargetQueue};
use crate::send_backend::{
    Departure, DepartureSignal, PaceSignal, PendingSend, Priority, ReceivedBatch, SendBackend,
    SendGate, SendResult,
};
use crate::send_stats::{SendStats, StatsRecorder};

/// Time that an invocation needs after its last record: the rows to requeue, the messages to delete.
const REQUEUE_RESERVE_MS: Millis = 10_000;

/// Time that an invocation needs after its last claim: whatever happens, it can record the outcome for as long as the claim
/// lives. Normally the last response arrives within two seconds; then the invocation ends, and the next one begins. The
/// function's timeout must be longer (`tools/xtask/src/template/capacity.rs`).
const SHUTDOWN_RESERVE_MS: Millis = CLAIM_LEASE_MS + REQUEUE_RESERVE_MS;

/// An invocation receives a further batch only if so much time is left before [`SHUTDOWN_RESERVE_MS`] begins.
const MIN_BATCH_TIME_MS: Millis = 10_000;

/// The greatest age of the campaign's state before a claim. The tick follows within one interval.
const CLAIM_GATE_MAX_AGE: Duration = Duration::from_secs(1);

/// How often metrics are emitted.
const METRICS_INTERVAL: Duration = Duration::from_secs(60);

/// What an invocation may use.
#[derive(Clone, Debug)]
pub struct InvocationLimits {
    /// Its request id; the owner of its claims.
    pub owner: String,
    /// When Lambda kills it.
    pub deadline: Millis,
    /// How often it polls the urgent queue.
    pub urgent_poll_interval: Duration,
    /// When it polls first, as a part of the interval from 0 to 1. It is random, so that slots that start together do not
    /// poll together.
    pub urgent_poll_phase: f64,
}

/// What an invocation did.
#[derive(Debug)]
pub struct InvocationResult {
    /// What became of its rows.
    pub stats: SendStats,
    /// An error if the first batch must be delivered again.
    pub first_batch: Result<(), Error>,
}

/// A running invocation. Its times count from the start of the process, because its slot outlives it.
#[derive(Debug)]
pub struct Invocation<'a, B> {
    backend: &'a Arc<B>,
    slot: &'a mut Slot,
    process_started: Instant,
    limits: InvocationLimits,
    claim_count: usize,
    next_urgent_poll: Duration,
    in_flight: JoinSet<CompletedSend>,
    batches: BatchTracker,
    requeue_buffer: RequeueBuffer,
    stats: StatsRecorder,
}

/// The batch of a row.
#[derive(Clone, Copy, Debug)]
struct BatchRef {
    priority: Priority,
    hops: u32,
    /// Its number in this invocation.
    number: usize,
}

/// A send that has ended.
#[derive(Debug)]
struct CompletedSend {
    started: Duration,
    batch: BatchRef,
    campaign: CampaignId,
    result: SendResult,
}

/// Ends the invocation; its batch goes to a sender of the new rate.
fn rate_changed() -> Error {
    Error::new(
        "send",
        "another send rate applies now; the invocation ends and its batch is delivered again",
    )
}

impl<'a, B: SendBackend> Invocation<'a, B> {
    /// An invocation of the process that started at `process_started`. No other invocation may use the slot meanwhile.
    pub fn new(
        backend: &'a Arc<B>,
        slot: &'a mut Slot,
        process_started: Instant,
        limits: InvocationLimits,
    ) -> Self {
        let now = process_started.elapsed();
        slot.begin_invocation(now);
        backend.renew_connections();
        let first_poll = limits
            .urgent_poll_interval
            .mul_f64(limits.urgent_poll_phase);
        Self {
            backend,
            slot,
            process_started,
            limits,
            claim_count: 0,
            next_urgent_poll: now + first_poll,
            in_flight: JoinSet::new(),
            batches: BatchTracker::default(),
            requeue_buffer: RequeueBuffer::default(),
            stats: StatsRecorder::new(now),
        }
    }

    /// Processes the first batch and those that follow.
    pub async fn run(mut self, first: ReceivedBatch) -> InvocationResult {
        let mut first_batch = self.process_batch(first).await;
        if first_batch.is_ok()
            && let Err(error) = self.drain_queue().await
        {
            error!("no further batches; the last one will be delivered again: {error}");
        }
        self.count_minute(true).await;
        if let Err(error) = self.finish_in_flight().await {
            first_batch = first_batch.and(Err(error));
        }
        self.emit_metrics();
        InvocationResult {
            stats: self.stats.total(),
            first_batch,
        }
    }

    /// Processes batches of both queues until there is none or no time for one.
    async fn drain_queue(&mut self) -> Result<(), Error> {
        while self.has_time(MIN_BATCH_TIME_MS) {
            let received = match self.backend.receive_urgent().await? {
                Some(urgent) => Some(urgent),
                None => self.backend.receive_bulk().await?,
            };
            let Some(received) = received else {
                return Ok(());
            };
            self.process_batch(received).await?;
        }
        Ok(())
    }

    /// Processes one batch. Its message is deleted as soon as its sends have ended, even that of the first batch: an
    /// invocation lasts longer than the visibility timeout.
    #[instrument(skip_all, fields(campaign.id = %received.batch.campaign, rows = received.batch.rows.len(), hops = received.batch.hops))]
    async fn process_batch(&mut self, received: ReceivedBatch) -> Result<(), Error> {
        let ReceivedBatch { batch, handle } = received;
        let batch_ref = BatchRef {
            priority: handle.priority,
            hops: batch.hops,
            number: self.stats.count_batch(batch.rows.len(), batch.hops),
        };
        if let Err(error) = self.try_rows(batch, batch_ref).await {
            self.backend.delay_redelivery(&handle).await?;
            return Err(error);
        }
        self.batches.rows_tried(batch_ref.number, handle);
        self.flush_requeued().await?;
        self.batches.delete_finished(&**self.backend).await?;
        if self.stats.age(self.elapsed()) > METRICS_INTERVAL {
            self.emit_metrics();
        }
        Ok(())
    }

    /// Tries each row of a batch. Stops early if the campaign does not send or time runs out.
    async fn try_rows(&mut self, batch: Batch, batch_ref: BatchRef) -> Result<(), Error> {
        let campaign = batch.campaign;
        let mut rows = batch.rows.into_iter();
        while let Some(row) = rows.next() {
            self.reap_completed();
            self.count_minute(false).await;
            if !Box::pin(self.wait_for_turn(batch_ref)).await? {
                cloud::sometimes!("an invocation runs out of time within a batch");
                let remaining = std::iter::once(row).chain(rows);
                remaining.for_each(|row| self.schedule_retry(batch_ref, &campaign, 0, row));
                return Ok(());
            }
            let max_age = CLAIM_GATE_MAX_AGE.min(self.slot.interval());
            match self.backend.check_gate(&campaign, max_age).await? {
                // On the heap: the futures below are large, and each level would copy them to the stack.
                SendGate::Allowed(campaign, _) => {
                    if !campaign.schedule.is_open(row.to, self.backend.now()) {
                        // It is requeued when the window opens.
                        self.stats.current.dropped += 1;
                        continue;
                    }
                    Box::pin(self.try_row(&campaign, row, batch_ref)).await?;
                }
                SendGate::Expired => self.skip_row(&campaign, &row, SkipReason::Expired).await?,
                SendGate::CoolingDown(until) => {
                    let due = until.min(self.backend.now() + MAX_DELAY.as_millis() as Millis);
                    let remaining = std::iter::once(row).chain(rows);
                    remaining.for_each(|row| self.schedule_retry(batch_ref, &campaign, due, row));
                    return Ok(());
                }
                SendGate::RateChanged => {
                    cloud::sometimes!("a batch is returned because the rate changed");
                    return Err(rate_changed());
                }
                SendGate::Stopped => {
                    self.stats.current.dropped += 1 + rows.len();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Waits until the next row is to be prepared for its tick. The urgent queue is polled only then: an urgent message that
    /// is found takes this very tick instead of waiting for it. Returns false if no time is left for the row.
    async fn wait_for_turn(&mut self, batch: BatchRef) -> Result<bool, Error> {
        loop {
            let wait = self.slot.prepare_at().saturating_sub(self.elapsed());
            if !self.has_time(wait.as_millis() as Millis) {
                return Ok(false);
            }
            tokio::time::sleep(wait).await;
            if batch.priority == Priority::Urgent || !self.poll_urgent().await? {
                return Ok(true);
            }
        }
    }

    /// Polls the urgent queue if that is due, and processes its batches before the next row of a campaign. Returns whether
    /// there were any.
    async fn poll_urgent(&mut self) -> Result<bool, Error> {
        let now = self.elapsed();
        if now < self.next_urgent_poll {
            return Ok(false);
        }
        self.next_urgent_poll = now + self.limits.urgent_poll_interval;
        let mut has_any = false;
        while let Some(urgent) = self.backend.receive_urgent().await? {
            cloud::sometimes!("an urgent batch is processed between the rows of a campaign");
            has_any = true;
            // An error of the urgent batch must not end the batch in progress.
            if let Err(error) = Box::pin(self.process_batch(urgent)).await {
                error!("an urgent batch will be delivered again: {error}");
                break;
            }
        }
        Ok(has_any)
    }

    /// Starts a send. The receiver tells when the request is on the wire.
    fn start_send(&mut self, pending: PendingSend, batch: BatchRef) -> Receiver<Departure> {
        let started = self.elapsed();
        self.batches.send_started(batch.number);
        let campaign = pending.campaign.id.clone();
        let (signal, departure) = DepartureSignal::new();
        let send = Arc::clone(self.backend).send_message(pending, signal);
        let completed = async move {
            CompletedSend {
                started,
                batch,
                campaign,
                result: send.await,
            }
        };
        self.in_flight.spawn(completed.in_current_span());
        departure
    }

    /// Applies the results of sends that have ended by now.
    fn reap_completed(&mut self) {
        while let Some(completed) = self.in_flight.try_join_next() {
            self.apply_completed(completed);
        }
    }

    fn apply_completed(&mut self, completed: Result<CompletedSend, JoinError>) {
        let CompletedSend {
            started,
            batch,
            campaign,
            result,
        } = match completed {
            Ok(completed) => completed,
            // The batch of the send is not known here, so its message stays until the end of the invocation.
            Err(panic) => {
                error!("the task of a send ended early and its row stays claimed: {panic}");
                return;
            }
        };
        self.batches.send_completed(batch.number);
        if let Some(outcome) = result.outcome {
            self.stats.current.count_outcome(outcome);
        }
        match result.pace_signal {
            PaceSignal::None => {}
            PaceSignal::Accepted => self.slot.recover(),
            PaceSignal::Throttled => self.slot.slow_down(started, self.elapsed()),
        }
        if let Some((due, row)) = result.retry {
            self.schedule_retry(batch, &campaign, due, row);
        }
    }

    /// Waits for the sends in flight, requeues rows, and deletes the messages of all batches.
    async fn finish_in_flight(&mut self) -> Result<(), Error> {
        while let Some(completed) = self.in_flight.join_next().await {
            self.apply_completed(completed);
        }
        self.flush_requeued().await?;
        self.batches.all_sends_completed();
        self.batches.delete_finished(&**self.backend).await
    }

    fn schedule_retry(&mut self, batch: BatchRef, campaign: &CampaignId, due: Millis, row: Row) {
        self.requeue(None, batch, campaign, due, row);
    }

    /// Has a row go back to its queue, or on to that of another number.
    fn requeue(
        &mut self,
        number: Option<NumberId>,
        batch: BatchRef,
        campaign: &CampaignId,
        due: Millis,
        row: Row,
    ) {
        let now = self.backend.now();
        let queue = TargetQueue {
            number,
            priority: batch.priority,
        };
        self.requeue_buffer
            .push(&queue, campaign, row, due, now, batch.hops + 1);
    }

    async fn flush_requeued(&mut self) -> Result<(), Error> {
        self.stats.current.requeued += self.requeue_buffer.flush(&**self.backend).await?;
        Ok(())
    }

    /// Adds the sends of the minute that is over to those of the number; at the end, those of the minute that is not.
    async fn count_minute(&mut self, is_end: bool) {
        if let Some(counted) = self.stats.take_minute(self.backend.now(), is_end) {
            self.backend.add_sends(counted.minute, counted.sends).await;
        }
    }

    fn emit_metrics(&mut self) {
        let stats = self.stats.take_current(self.elapsed());
        self.backend.emit_metrics(&stats);
    }

    /// Time since the process started.
    fn elapsed(&self) -> Duration {
        self.process_started.elapsed()
    }

    /// Whether `ms` milliseconds of work fit in before the shutdown must begin.
    fn has_time(&self, ms: Millis) -> bool {
        self.backend.now() + ms + SHUTDOWN_RESERVE_MS <= self.limits.deadline
    }
}
