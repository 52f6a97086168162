//! An invocation: batch after batch, row by row, each call on its tick, overlapping; what must wait goes back to the
//! queue.
//!
//! It begins with the batch that Lambda brought and takes further ones from the queue itself, as long as its time allows:
//! answers are waited for at its end only, so a slot idles once in a quarter of an hour and not once a batch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use campaign::contacts::contact::CONSENT_MAX_AGE_MS;
use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::{self, Transition};
use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::delivery::pacing::Slot;
use campaign::delivery::requeue::SkipReason;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, MessageChoice};
use cloud::Error;
use cloud::batch_queue::MAX_DELAY;
use cloud::ledger::{Claim, OtherClaim};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::send_backend::{
    MessageHandle, PaceSignal, PendingSend, Priority, ReceivedBatch, SendBackend, SendGate,
    SendResult,
};

/// What an invocation needs after its last call: the answer, its record, the rows to put back.
const SHUTDOWN_RESERVE_MS: Millis =
    whatsapp::client::RESPONSE_TIMEOUT.as_millis() as Millis + 10_000;

/// No further batch is taken where less time than this is left for it.
const MIN_BATCH_TIME_MS: Millis = 10_000;

/// Before a claim. The wait for the tick that follows is an interval at most.
pub(crate) const CLAIM_GATE_MAX_AGE: Duration = Duration::from_secs(1);

/// When a call starts, with what the request needs to be out within the two seconds. Nothing is read then, as a rule: a
/// read would delay the tick.
pub(crate) const SEND_GATE_MAX_AGE: Duration = Duration::from_millis(1_800);

/// How often the metrics are told.
const METRICS_INTERVAL: Duration = Duration::from_secs(60);

/// How old the permission to call somebody may be.
const CONSENT_MAX_AGE: Duration = Duration::from_millis(CONSENT_MAX_AGE_MS);

/// How often the runtime must turn until a request is on its way: the call's own task, the connection, the connection's
/// task; twice that, since nothing is lost by turning idle.
const YIELDS_BEFORE_REQUEST_IS_OUT: usize = 8;

/// Rows that are due within this time of each other go back in one message.
const REQUEUE_GROUP_SPAN_MS: Millis = 2_000;

/// What became of rows, for the log and the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendStats {
    /// Batches, the first included.
    pub batches: usize,
    /// Their rows.
    pub rows: usize,
    /// Calls.
    pub attempts: usize,
    /// Rows put back into the queue.
    pub requeued: usize,
    /// Rows of campaigns that do not send.
    pub dropped: usize,
    /// Rows that are not sent.
    pub skipped: usize,
    /// Calls that ended, in the order of [`Settled`].
    pub outcomes: [usize; 5],
    /// The most calls of this slot within any second.
    pub busiest_second: usize,
}

impl SendStats {
    fn add(&mut self, more: &SendStats) {
        self.batches += more.batches;
        self.rows += more.rows;
        self.attempts += more.attempts;
        self.requeued += more.requeued;
        self.dropped += more.dropped;
        self.skipped += more.skipped;
        for (count, more) in self.outcomes.iter_mut().zip(more.outcomes) {
            *count += more;
        }
        self.busiest_second = self.busiest_second.max(more.busiest_second);
    }
}

/// What an invocation may do: who it is, and until when.
#[derive(Clone, Debug)]
pub struct InvocationLimits {
    /// Its request id.
    pub owner: String,
    /// When it is killed.
    pub deadline: Millis,
    /// How often it looks into the urgent lane.
    pub urgent_poll_interval: Duration,
    /// 0 to 1, drawn anew each time: so that slots that begin together do not look together.
    pub urgent_poll_phase: f64,
}

/// One at work.
#[derive(Debug)]
pub struct Invocation<'a, D> {
    backend: &'a Arc<D>,
    slot: &'a mut Slot,
    /// When the slot's process began: its times count from here.
    process_started: Instant,
    limits: InvocationLimits,
    claim_count: usize,
    in_flight: JoinSet<CompletedSend>,
    put_back: Vec<(Priority, CampaignId, Millis, Row)>,
    /// When to look into the urgent lane next, since `began`.
    next_urgent_poll: Duration,
    /// Calls under way, by the number of their batch in this invocation.
    in_flight_by_batch: BTreeMap<usize, usize>,
    /// Batches whose rows were all offered, and their messages.
    unacknowledged: Vec<(usize, MessageHandle)>,
    /// What became of rows since the metrics were told.
    unreported: SendStats,
    /// What became of all of them.
    totals: SendStats,
    metrics_emitted_at: Duration,
    /// Calls of the last second.
    recent_sends: VecDeque<Duration>,
}

/// The batch that a row is of.
#[derive(Clone, Copy, Debug)]
struct BatchRef {
    priority: Priority,
    /// Its number in this invocation.
    batch: usize,
}

/// A row that waits for its tick.
#[derive(Debug)]
struct ClaimedRow {
    row: Row,
    number: u32,
    of: BatchRef,
    message_choice: MessageChoice,
    user_id: Option<String>,
    /// When it was asked whether the person may be called.
    reserved_at: Instant,
}

/// A call that is over.
#[derive(Debug)]
struct CompletedSend {
    started: Duration,
    of: BatchRef,
    campaign: CampaignId,
    result: SendResult,
}

/// How an invocation ended.
#[derive(Debug)]
pub struct InvocationResult {
    /// What became of its rows.
    pub stats: SendStats,
    /// Why the first batch must come again, where it must.
    pub first_batch: Result<(), Error>,
}

impl<'a, D: SendBackend> Invocation<'a, D> {
    /// Begins; the slot must not be at work elsewhere.
    pub fn new(
        backend: &'a Arc<D>,
        slot: &'a mut Slot,
        process_started: Instant,
        limits: InvocationLimits,
    ) -> Self {
        slot.begin_invocation(process_started.elapsed());
        let next_urgent_poll = process_started.elapsed()
            + limits
                .urgent_poll_interval
                .mul_f64(limits.urgent_poll_phase);
        Self {
            backend,
            slot,
            process_started,
            limits,
            claim_count: 0,
            in_flight: JoinSet::new(),
            put_back: Vec::new(),
            next_urgent_poll,
            in_flight_by_batch: BTreeMap::new(),
            unacknowledged: Vec::new(),
            unreported: SendStats::default(),
            totals: SendStats::default(),
            metrics_emitted_at: process_started.elapsed(),
            recent_sends: VecDeque::new(),
        }
    }

    /// Serves the first batch and those that follow.
    pub async fn run(mut self, first: ReceivedBatch) -> InvocationResult {
        let mut served = self.process_batch(first).await;
        if served.is_ok()
            && let Err(error) = self.drain_queue().await
        {
            // The batch that was at work comes again.
            lambda_runtime::tracing::error!("no further batches: {error}");
        }
        if let Err(error) = self.finish_in_flight().await {
            served = served.and(Err(error));
        }
        self.emit_metrics();
        InvocationResult {
            stats: self.totals,
            first_batch: served,
        }
    }

    /// Batches from the queues, until there is none or no time for one.
    async fn drain_queue(&mut self) -> Result<(), Error> {
        while self.has_time(MIN_BATCH_TIME_MS) {
            let pulled = match self.backend.receive_urgent().await? {
                Some(urgent) => urgent,
                None => match self.backend.receive_bulk().await? {
                    Some(next) => next,
                    None => return Ok(()),
                },
            };
            self.process_batch(pulled).await?;
        }
        Ok(())
    }

    /// One batch. It is deleted as soon as its calls are over, the first one, too: an invocation lasts longer than batches
    /// stay hidden.
    async fn process_batch(&mut self, pulled: ReceivedBatch) -> Result<(), Error> {
        let ReceivedBatch { batch, handle } = pulled;
        self.unreported.batches += 1;
        let of = BatchRef {
            priority: handle.priority,
            batch: self.totals.batches + self.unreported.batches,
        };
        if let Err(error) = self.try_rows(batch, of).await {
            self.backend.delay_redelivery(&handle).await?;
            return Err(error);
        }
        self.unacknowledged.push((of.batch, handle));
        self.requeue().await?;
        self.delete_finished_batches().await?;
        if self.process_started.elapsed() > self.metrics_emitted_at + METRICS_INTERVAL {
            self.emit_metrics();
        }
        Ok(())
    }

    /// Tells the metrics what became of rows since the last time.
    fn emit_metrics(&mut self) {
        let figures = std::mem::take(&mut self.unreported);
        self.backend.emit_metrics(&figures);
        self.totals.add(&figures);
        self.metrics_emitted_at = self.process_started.elapsed();
    }

    /// Between two rows of a campaign, now and then: whoever waits for an answer goes first.
    async fn poll_urgent(&mut self) -> Result<(), Error> {
        let now = self.process_started.elapsed();
        if now < self.next_urgent_poll {
            return Ok(());
        }
        self.next_urgent_poll = now + self.limits.urgent_poll_interval;
        while let Some(urgent) = self.backend.receive_urgent().await? {
            // It comes again; the batch that is at work need not.
            if let Err(error) = Box::pin(self.process_batch(urgent)).await {
                lambda_runtime::tracing::error!("an urgent batch comes again: {error}");
                return Ok(());
            }
        }
        Ok(())
    }

    /// Offers each row of a batch; returns early where the campaign does not send or time runs out.
    async fn try_rows(&mut self, batch: Batch, of: BatchRef) -> Result<(), Error> {
        let campaign = batch.campaign;
        self.unreported.rows += batch.rows.len();
        let mut rows = batch.rows.into_iter();
        while let Some(row) = rows.next() {
            self.reap_completed();
            if of.priority == Priority::Bulk {
                self.poll_urgent().await?;
            }
            let wait = self
                .slot
                .prepare_at()
                .saturating_sub(self.process_started.elapsed());
            if !self.has_time(wait.as_millis() as Millis) {
                self.schedule_retry(of.priority, &campaign, 0, row);
                rows.for_each(|row| self.schedule_retry(of.priority, &campaign, 0, row));
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            let age = CLAIM_GATE_MAX_AGE.min(self.slot.interval());
            match self.backend.check_gate(&campaign, age).await? {
                SendGate::Open(known, _) => self.try_row(&known, row, of).await?,
                SendGate::Expired => self.skip_row(&campaign, &row, SkipReason::Expired).await?,
                SendGate::CoolingDown(until) => {
                    let longest = self.backend.now() + MAX_DELAY.as_millis() as Millis;
                    let due = until.min(longest);
                    self.schedule_retry(of.priority, &campaign, due, row);
                    rows.for_each(|row| self.schedule_retry(of.priority, &campaign, due, row));
                    return Ok(());
                }
                SendGate::Stopped => {
                    self.unreported.dropped += 1 + rows.len();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Asks whether the person may be called, claims the row and calls on the next tick. Both come before the wait, so a
    /// tick never waits for them. The splitter looked at the standing list, too; somebody may have said stop since.
    async fn try_row(&mut self, known: &Campaign, row: Row, of: BatchRef) -> Result<(), Error> {
        let campaign = &known.id;
        let asked = Instant::now();
        let Some(permission) = self.backend.reserve_send(campaign, &row).await? else {
            return self.skip_row(campaign, &row, SkipReason::Suppressed).await;
        };
        let way = known.message_choice(permission.in_service_window);
        if way == MessageChoice::Nothing {
            return self
                .skip_row(campaign, &row, SkipReason::OutsideServiceWindow)
                .await;
        }
        // A name for each claim: the same row may come twice in one invocation, and its second claim is not the first.
        self.claim_count += 1;
        let owner = format!("{}/{}", self.limits.owner, self.claim_count);
        match self.backend.claim_row(campaign, &row, &owner).await? {
            Claim::Won(number) => {
                let claimed = ClaimedRow {
                    row,
                    number,
                    of,
                    message_choice: way,
                    user_id: permission.user_id,
                    reserved_at: asked,
                };
                self.start_send(campaign, claimed).await?;
            }
            Claim::Settled => {}
            Claim::NotBefore(due) => self.schedule_retry(of.priority, campaign, due, row),
            Claim::HeldByOther(OtherClaim {
                claimed_at,
                attempt,
            }) => {
                if ledger::lease_expired(claimed_at, self.backend.now()) {
                    let fault = ErrorInfo::transport(ledger::SENDER_DIED);
                    self.backend
                        .record_transition(
                            campaign,
                            &row,
                            attempt,
                            Transition::MarkUnconfirmed,
                            &fault,
                        )
                        .await?;
                } else {
                    // Still at it, or dead too recently to tell: looked at again when it can be told.
                    self.schedule_retry(
                        of.priority,
                        campaign,
                        claimed_at + ledger::CLAIM_LEASE_MS,
                        row,
                    );
                }
            }
        }
        Ok(())
    }

    async fn skip_row(
        &mut self,
        campaign: &CampaignId,
        row: &Row,
        why: SkipReason,
    ) -> Result<(), Error> {
        let skipped = self
            .backend
            .skip_row(campaign, row, &self.limits.owner, why)
            .await?;
        self.unreported.skipped += usize::from(skipped);
        Ok(())
    }

    async fn start_send(&mut self, id: &CampaignId, claimed: ClaimedRow) -> Result<(), Error> {
        let ClaimedRow {
            row,
            number,
            of,
            message_choice: way,
            user_id,
            reserved_at: mut asked,
        } = claimed;
        let (campaign, token) = loop {
            self.wait_for_tick().await;
            let SendGate::Open(campaign, token) =
                self.backend.check_gate(id, SEND_GATE_MAX_AGE).await?
            else {
                let fault = ErrorInfo::transport("the campaign stopped before the call");
                return self
                    .backend
                    .record_transition(id, &row, number, Transition::Hold, &fault)
                    .await;
            };
            if asked.elapsed() <= CONSENT_MAX_AGE {
                break (campaign, token);
            }
            // The tick was put off, or the claim took its time: they may have said stop meanwhile.
            asked = Instant::now();
            if self.backend.reserve_send(id, &row).await?.is_none() {
                let fault = ErrorInfo::transport(SkipReason::Suppressed.text());
                let hold =
                    self.backend
                        .record_transition(id, &row, number, Transition::Hold, &fault);
                hold.await?;
                return self.skip_row(id, &row, SkipReason::Suppressed).await;
            }
        };
        self.unreported.attempts += 1;
        let started = self.process_started.elapsed();
        self.count_send(started);
        let call = Arc::clone(self.backend).send_message(PendingSend {
            campaign,
            row,
            number,
            message_choice: way,
            user_id,
            token,
        });
        let campaign = id.clone();
        *self.in_flight_by_batch.entry(of.batch).or_default() += 1;
        self.in_flight.spawn(async move {
            CompletedSend {
                started,
                of,
                campaign,
                result: call.await,
            }
        });
        // The next tick counts from when the request is out, not from when it was thought of: what happens between,
        // a busy machine above all, would else bring two calls closer than an interval.
        for _ in 0..YIELDS_BEFORE_REQUEST_IS_OUT {
            tokio::task::yield_now().await;
        }
        self.slot.record_send(self.process_started.elapsed());
        Ok(())
    }

    fn count_send(&mut self, started: Duration) {
        const SECOND: Duration = Duration::from_secs(1);
        self.recent_sends.push_back(started);
        while self
            .recent_sends
            .front()
            .is_some_and(|first| *first + SECOND <= started)
        {
            self.recent_sends.pop_front();
        }
        self.unreported.busiest_second =
            self.unreported.busiest_second.max(self.recent_sends.len());
    }

    /// Waits for the next tick, which an answer that comes meanwhile may put off.
    async fn wait_for_tick(&mut self) {
        loop {
            let next = self.slot.next_send_at();
            tokio::time::sleep_until(self.process_started + next).await;
            self.reap_completed();
            if self.slot.next_send_at() <= next {
                return;
            }
        }
    }

    /// Takes in what calls that ended meanwhile left.
    fn reap_completed(&mut self) {
        while let Some(ended) = self.in_flight.try_join_next() {
            self.apply_completed(ended);
        }
    }

    fn apply_completed(&mut self, called: Result<CompletedSend, JoinError>) {
        let CompletedSend {
            started,
            of,
            campaign,
            result:
                SendResult {
                    pace_signal: echo,
                    retry: again,
                    outcome: settled,
                },
        } = match called {
            Ok(called) => called,
            // Its batch is not deleted before the end of the invocation, then.
            Err(panic) => {
                lambda_runtime::tracing::error!(
                    "a call's task ended early, its row stays claimed: {panic}"
                );
                return;
            }
        };
        if let Some(under_way) = self.in_flight_by_batch.get_mut(&of.batch) {
            *under_way -= 1;
        }
        if let Some(settled) = settled {
            self.unreported.outcomes[settled as usize] += 1;
        }
        match echo {
            PaceSignal::None => {}
            PaceSignal::Accepted => self.slot.recover(),
            PaceSignal::Throttled => self.slot.slow_down(started, self.process_started.elapsed()),
        }
        if let Some((due, row)) = again {
            self.schedule_retry(of.priority, &campaign, due, row);
        }
    }

    /// Waits for the calls under way, gives back what is to be offered again, and deletes the batches that are done.
    async fn finish_in_flight(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.in_flight.join_next().await {
            self.apply_completed(ended);
        }
        self.requeue().await?;
        self.in_flight_by_batch.clear();
        self.delete_finished_batches().await
    }

    /// Deletes the batches of which no call is under way any more; what was to be put back of them is.
    async fn delete_finished_batches(&mut self) -> Result<(), Error> {
        for lane in [Priority::Bulk, Priority::Urgent] {
            let is_over = |(batch, handle): &&(usize, MessageHandle)| {
                handle.priority == lane && self.in_flight_by_batch.get(batch).unwrap_or(&0) == &0
            };
            let over = self.unacknowledged.iter().filter(is_over);
            let over: Vec<String> = over.map(|(_, handle)| handle.receipt.clone()).collect();
            self.backend.delete_messages(lane, &over).await?;
            self.unacknowledged
                .retain(|(_, handle)| !over.contains(&handle.receipt));
        }
        Ok(())
    }

    /// Puts what is to be offered again back into the queue. Where that fails, nothing is forgotten.
    async fn requeue(&mut self) -> Result<(), Error> {
        let now = self.backend.now();
        for (lane, campaign, delay, rows) in group_for_requeue(self.put_back.clone(), now) {
            let batch = Batch { campaign, rows };
            self.backend.requeue(lane, batch, delay).await?;
        }
        self.unreported.requeued += self.put_back.len();
        self.put_back.clear();
        Ok(())
    }

    /// Notes that a row goes back into the queue; later than the queue can delay it, the ledger keeps it, and the sweep
    /// brings it back.
    fn schedule_retry(&mut self, lane: Priority, campaign: &CampaignId, due: Millis, row: Row) {
        if due <= self.backend.now() + MAX_DELAY.as_millis() as Millis {
            self.put_back.push((lane, campaign.clone(), due, row));
        }
    }

    /// Whether something of that length still fits before the end is prepared.
    fn has_time(&self, ms: Millis) -> bool {
        self.backend.now() + ms + SHUTDOWN_RESERVE_MS <= self.limits.deadline
    }
}

/// Rows to put back as few messages, each with the delay after which all of its rows are due.
fn group_for_requeue(
    rows: Vec<(Priority, CampaignId, Millis, Row)>,
    now: Millis,
) -> Vec<(Priority, CampaignId, Duration, Vec<Row>)> {
    let mut by_campaign: BTreeMap<(Priority, CampaignId), Vec<(Millis, Row)>> = BTreeMap::new();
    for (lane, campaign, due, row) in rows {
        by_campaign
            .entry((lane, campaign))
            .or_default()
            .push((due, row));
    }
    let mut messages = Vec::new();
    for ((lane, campaign), rows) in by_campaign {
        for (last, rows) in group_by_due_time(rows) {
            let delay = Duration::from_millis(last.saturating_sub(now));
            messages.push((lane, campaign.clone(), delay, rows));
        }
    }
    messages
}

/// Rows that are due at about the same time, as many as a batch holds.
fn group_by_due_time(mut rows: Vec<(Millis, Row)>) -> Vec<(Millis, Vec<Row>)> {
    rows.sort_by_key(|(due, row)| (*due, row.row));
    let mut groups: Vec<(Millis, Millis, Vec<Row>)> = Vec::new();
    for (due, row) in rows {
        match groups.last_mut() {
            Some((first, last, group))
                if due <= *first + REQUEUE_GROUP_SPAN_MS
                    && group.len() < campaign::delivery::batch::MAX_BATCH_ROWS =>
            {
                *last = due;
                group.push(row);
            }
            _ => groups.push((due, due, vec![row])),
        }
    }
    groups
        .into_iter()
        .map(|(_, last, group)| (last, group))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::import::phone;

    #[test]
    fn rows_go_back_together_but_never_early() {
        let to = phone::parse("+5511987654321", None).unwrap();
        let row = |campaign: &str, due, row| {
            let values = Vec::new();
            (
                Priority::Bulk,
                campaign.parse().unwrap(),
                due,
                Row { row, to, values },
            )
        };
        let mut rows = vec![
            row("c1", 9_000, 4),
            row("c1", 1_500, 1),
            row("c2", 1_500, 1),
            row("c1", 2_000, 2),
            row("c1", 0, 3),
        ];
        rows.extend((0..60).map(|number| row("c3", 0, number)));
        let seen: Vec<(String, u64, Vec<u32>)> = group_for_requeue(rows, 1_000)
            .into_iter()
            .map(|(_, campaign, delay, rows)| {
                let rows = rows.iter().map(|row| row.row).collect();
                (campaign.to_string(), delay.as_millis() as u64, rows)
            })
            .collect();
        let expected = [
            ("c1".to_owned(), 1_000, vec![3, 1, 2]),
            ("c1".to_owned(), 8_000, vec![4]),
            ("c2".to_owned(), 500, vec![1]),
            ("c3".to_owned(), 0, (0..50).collect()),
            ("c3".to_owned(), 0, (50..60).collect()),
        ];
        assert_eq!(seen, expected);
    }
}
