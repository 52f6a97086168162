//! The queue and the ledger in virtual time, and how long requests take.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use campaign::delivery::batch::{Batch, Batcher, RoutedRows, Row};
use campaign::delivery::ledger::{
    Claim, OtherClaim, RowStatus, State, Transition, apply, next_attempt,
};
use campaign::delivery::number_choice::NumberChoice;
use campaign::delivery::pacing::Rate;
use campaign::delivery::rate_change::{RateDecision, RateRecord, Role, decide};
use campaign::id::{CampaignId, NumberId};
use campaign::import::phone;
use campaign::lifecycle::campaign::{Campaign, FileInfo};
use campaign::message::Message;
use campaign::time::Millis;
use cloud::Error;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sender::send_backend::Priority;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::scenario::Scenario;

/// The visibility timeout that the sender sets for a batch.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(240);

/// What the senders' clock shows at the start.
const CLOCK_AT_START: Millis = 1_000_000_000;

/// Everything outside of Lambda. Its times count from its start.
pub(crate) struct VirtualAws {
    started: Instant,
    pub(crate) scenario: Scenario,
    pub(crate) campaign: Arc<Campaign>,
    pub(crate) number: NumberId,
    /// The URL of a Cloud API that is real, and runs in real time; without one, it is virtual, too.
    pub(crate) api_url: Option<String>,
    state: Mutex<VirtualState>,
}

struct VirtualState {
    random: SmallRng,
    bulk: VisibleMessages,
    urgent: VisibleMessages,
    messages: HashMap<u64, (Priority, Batch)>,
    last_message_id: u64,
    ledger: HashMap<u32, LedgerEntry>,
    settled_count: usize,
    /// When sends started.
    sends: Vec<Duration>,
    /// Rows that were sent and not refused with certainty.
    maybe_sent: HashSet<u32>,
    /// Rows that senders left alone because of a pause.
    dropped: Vec<Row>,
    /// The rate that senders keep.
    rate: Option<RateRecord>,
    rate_visible_at: Duration,
}

/// Ids of messages by the time from which they are visible.
type VisibleMessages = BinaryHeap<Reverse<(Duration, u64)>>;

impl VirtualState {
    fn queue(&mut self, priority: Priority) -> &mut VisibleMessages {
        match priority {
            Priority::Bulk => &mut self.bulk,
            Priority::Urgent => &mut self.urgent,
        }
    }
}

/// Whether the campaign sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Gate {
    Open,
    Paused,
    /// Until this time since the start.
    CoolingDown(Duration),
}

struct LedgerEntry {
    status: RowStatus,
    owner: String,
    claimed_at: Millis,
    not_before: Millis,
}

impl LedgerEntry {
    fn is_settled(&self) -> bool {
        matches!(self.status.state, State::Accepted | State::Unconfirmed)
    }
}

impl VirtualAws {
    /// A campaign whose rows are all in the queue.
    pub(crate) fn new(scenario: Scenario, api_url: Option<String>) -> Arc<Self> {
        let file = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let message = Message::new(json!({"type": "text", "text": {"body": "x"}})).unwrap();
        let id: CampaignId = "c1".parse().unwrap();
        let state = VirtualState {
            random: SmallRng::seed_from_u64(scenario.seed),
            bulk: BinaryHeap::new(),
            urgent: BinaryHeap::new(),
            messages: HashMap::new(),
            last_message_id: 0,
            ledger: HashMap::new(),
            settled_count: 0,
            sends: Vec::new(),
            maybe_sent: HashSet::new(),
            dropped: Vec::new(),
            rate: None,
            rate_visible_at: Duration::ZERO,
        };
        let aws = Self {
            started: Instant::now(),
            scenario,
            campaign: Arc::new(Campaign::new(id, "Test".into(), message, file, 0)),
            number: "1".parse().unwrap(),
            api_url,
            state: Mutex::new(state),
        };
        aws.enqueue_all_rows();
        Arc::new(aws)
    }

    /// Enqueues the batches of a file, cut as the splitter cuts them.
    fn enqueue_all_rows(&self) {
        let mut batcher = Batcher::new(vec![self.scenario.rate], NumberChoice::new(&[]));
        (1..=self.scenario.rows).for_each(|number| batcher.push(row(number)));
        let batches = batcher.take_ready().into_iter().chain(batcher.finish());
        for RoutedRows { rows, .. } in batches {
            self.enqueue(Priority::Bulk, rows, Duration::ZERO);
        }
    }

    /// Enqueues the urgent messages, one every two seconds; their rows follow those of the file.
    pub(crate) async fn enqueue_urgent_rows(&self) {
        for number in 1..=self.scenario.urgent_rows {
            sleep(Duration::from_secs(2)).await;
            let rows = vec![row(self.scenario.rows + number)];
            self.enqueue(Priority::Urgent, rows, Duration::ZERO);
        }
    }

    /// Puts the rows that were dropped during a pause back into the queue once it is over, as the splitter does, and
    /// wakes a sender for urgent messages whose sender died, as the reconciler does.
    pub(crate) async fn repair(&self) {
        while !self.all_settled() {
            sleep(Duration::from_secs(5)).await;
            if !self.state().urgent.is_empty() {
                self.enqueue(Priority::Bulk, Vec::new(), Duration::ZERO);
            }
            if self.gate() != Gate::Paused {
                let dropped = std::mem::take(&mut self.state().dropped);
                for rows in dropped.chunks(50) {
                    self.enqueue(Priority::Bulk, rows.to_vec(), Duration::ZERO);
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, VirtualState> {
        self.state.lock().unwrap()
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether every row is settled. Fails if that takes so long that a row must be lost.
    pub(crate) fn all_settled(&self) -> bool {
        let state = self.state();
        let rows = self.scenario.rows;
        let expected = Duration::from_secs(u64::from(rows / self.scenario.rate.budget()));
        assert!(
            self.elapsed() < expected * 20 + Duration::from_secs(20_000),
            "rows are lost: {} of {rows} settled, {} messages, {:?}",
            state.settled_count,
            state.messages.len(),
            state
                .ledger
                .iter()
                .filter(|(_, entry)| !entry.is_settled())
                .map(|(row, entry)| (row, entry.status, &entry.owner))
                .collect::<Vec<_>>()
        );
        state.settled_count == (rows + self.scenario.urgent_rows) as usize
    }

    /// The rate with which Lambda starts processes now.
    pub(crate) fn deployed_rate(&self) -> Rate {
        match self.scenario.deployment {
            Some((at, rate)) if self.elapsed() >= at => rate,
            _ => self.scenario.rate,
        }
    }

    /// The record of the rate that senders keep.
    pub(crate) fn rate_record(&self) -> Option<RateRecord> {
        self.state().rate
    }

    /// What a process of this rate does about the record. It is written where that is due, which may take long.
    pub(crate) async fn register_rate(
        &self,
        own: Rate,
        process_started: Millis,
        role: Role,
    ) -> Option<Millis> {
        loop {
            let (old, now) = (self.rate_record(), self.to_millis(self.elapsed()));
            match decide(old, own, process_started, role, now) {
                RateDecision::Send { not_before } => return Some(not_before),
                RateDecision::Stop => return None,
                RateDecision::Write(record) => {
                    let longest = self.scenario.rate_write.as_millis() as u64;
                    sleep(self.random_duration(5, longest)).await;
                    let mut state = self.state();
                    if state.rate == old {
                        state.rate = Some(record);
                        state.rate_visible_at = self.elapsed();
                    }
                }
            }
        }
    }

    /// When the last record of the rate became visible.
    pub(crate) fn rate_visible_at(&self) -> Duration {
        self.state().rate_visible_at
    }

    /// When sends started, in order.
    pub(crate) fn take_sends(&self) -> Vec<Duration> {
        std::mem::take(&mut self.state().sends)
    }
}

/// The queue.
impl VirtualAws {
    /// Enqueues a batch. An urgent one also wakes a sender, with a bulk batch without rows.
    pub(crate) fn enqueue(&self, priority: Priority, rows: Vec<Row>, delay: Duration) {
        if priority == Priority::Urgent {
            self.enqueue(Priority::Bulk, Vec::new(), delay);
        }
        let mut state = self.state();
        state.last_message_id += 1;
        let id = state.last_message_id;
        let campaign = self.campaign.id.clone();
        let hops = 0;
        let batch = Batch {
            campaign,
            rows,
            hops,
        };
        state.messages.insert(id, (priority, batch));
        let visible_at = self.elapsed() + delay;
        state.queue(priority).push(Reverse((visible_at, id)));
    }

    /// The next visible message of a queue. It becomes invisible for the visibility timeout.
    pub(crate) fn receive(&self, priority: Priority) -> Option<(u64, Batch)> {
        let now = self.elapsed();
        let mut state = self.state();
        loop {
            let Reverse((visible_at, id)) = *state.queue(priority).peek()?;
            if visible_at > now {
                return None;
            }
            state.queue(priority).pop();
            if let Some((_, batch)) = state.messages.get(&id).cloned() {
                let visible_again = Reverse((now + VISIBILITY_TIMEOUT, id));
                state.queue(priority).push(visible_again);
                return Some((id, batch));
            }
        }
    }

    /// Makes a message visible again after some seconds.
    pub(crate) fn delay_redelivery(&self, id: u64) {
        let visible_at = self.elapsed() + Duration::from_secs(5);
        let mut state = self.state();
        if let Some((priority, _)) = state.messages.get(&id) {
            let priority = *priority;
            state.queue(priority).push(Reverse((visible_at, id)));
        }
    }

    /// Puts a batch back into the queue as a new message.
    pub(crate) fn pass_on(&self, id: u64) {
        let message = self.state().messages.remove(&id);
        if let Some((priority, batch)) = message {
            self.enqueue(priority, batch.rows, Duration::from_secs(5));
        }
    }

    /// Deletes a message. Rows of it may have been left alone because of a pause.
    pub(crate) fn delete(&self, id: u64) {
        let was_paused = self.was_paused_lately();
        let mut state = self.state();
        let Some((_, batch)) = state.messages.remove(&id) else {
            return;
        };
        for row in batch.rows {
            let was_dropped = match state.ledger.get(&row.row).map(|entry| entry.status.state) {
                Some(State::Held) => true,
                None | Some(State::Retry | State::Claimed) => was_paused,
                _ => false,
            };
            if was_dropped {
                state.dropped.push(row);
            }
        }
    }
}

/// The ledger, and what reached the Cloud API.
impl VirtualAws {
    pub(crate) fn claim(&self, row: u32, owner: &str, now: Millis) -> Claim {
        let mut state = self.state();
        let entry = state.ledger.get(&row);
        if let Some(entry) = entry {
            match entry.status.state {
                State::Claimed if entry.owner == owner => return Claim::Won(entry.status.attempt),
                State::Claimed => {
                    return Claim::HeldByOther(OtherClaim {
                        claimed_at: entry.claimed_at,
                        attempt: entry.status.attempt,
                    });
                }
                State::Retry if entry.not_before > now => {
                    return Claim::NotBefore(entry.not_before);
                }
                _ => {}
            }
        }
        let status = entry.map(|entry| entry.status);
        let Some(status) = apply(status, Transition::Claim, next_attempt(status)) else {
            return Claim::Settled;
        };
        let entry = LedgerEntry {
            status,
            owner: owner.to_owned(),
            claimed_at: now,
            not_before: 0,
        };
        state.ledger.insert(row, entry);
        Claim::Won(status.attempt)
    }

    /// Applies a transition if the rules allow it.
    pub(crate) fn apply_transition(
        &self,
        row: u32,
        transition: Transition,
        attempt: u32,
        not_before: Millis,
    ) {
        let mut state = self.state();
        let entry = state.ledger.get_mut(&row).unwrap();
        let Some(status) = apply(Some(entry.status), transition, attempt) else {
            return;
        };
        entry.status = status;
        entry.not_before = not_before;
        if entry.is_settled() {
            state.settled_count += 1;
        }
    }

    /// A message reaches the Cloud API. Fails if an earlier one of the row may have been sent.
    pub(crate) fn record_send(&self, row: u32) {
        let now = self.elapsed();
        assert!(
            !self.was_paused_for(Duration::from_secs(2)),
            "sent in a pause, at {now:?}"
        );
        let mut state = self.state();
        state.sends.push(now);
        assert!(state.maybe_sent.insert(row), "row {row} is sent twice");
    }

    /// The Cloud API refused the row's message with certainty.
    pub(crate) fn record_refusal(&self, row: u32) {
        self.state().maybe_sent.remove(&row);
    }
}

/// Interruptions: in every 400 seconds, a pause from 100 to 130 and a cooldown from 250 to 270.
impl VirtualAws {
    fn second_of_round(&self) -> Option<f64> {
        let interrupted = self.scenario.interruptions;
        interrupted.then(|| self.elapsed().as_secs_f64() % 400.0)
    }

    /// Whether the campaign sends now.
    pub(crate) fn gate(&self) -> Gate {
        match self.second_of_round() {
            Some(second) if (100.0..130.0).contains(&second) => Gate::Paused,
            Some(second) if (250.0..270.0).contains(&second) => {
                Gate::CoolingDown(self.elapsed() + Duration::from_secs_f64(270.0 - second))
            }
            _ => Gate::Open,
        }
    }

    fn was_paused_for(&self, time: Duration) -> bool {
        let paused = 100.0 + time.as_secs_f64()..130.0;
        self.second_of_round()
            .is_some_and(|second| paused.contains(&second))
    }

    /// Whether a sender may think that the campaign is paused: it knows that for a second after the pause, and its
    /// batch is deleted once the responses of its sends are there.
    fn was_paused_lately(&self) -> bool {
        self.second_of_round()
            .is_some_and(|second| (100.0..160.0).contains(&second))
    }

    /// A time since the start as the sender's clock shows it.
    pub(crate) fn to_millis(&self, time: Duration) -> Millis {
        CLOCK_AT_START + time.as_millis() as Millis
    }
}

/// Chance.
impl VirtualAws {
    /// Time to open a connection.
    pub(crate) fn random_handshake(&self) -> Duration {
        let mean = self.scenario.handshake.as_millis() as u64;
        self.random_duration(mean / 2, mean * 3 / 2 + 1)
    }

    /// Whether something happens that happens in this share of cases.
    pub(crate) fn happens(&self, share: f64) -> bool {
        self.state().random.random_bool(share)
    }

    pub(crate) fn random_duration(&self, least_ms: u64, most_ms: u64) -> Duration {
        let ms = self.state().random.random_range(least_ms..most_ms);
        Duration::from_millis(ms)
    }

    /// Time to a response of the Cloud API: log-normal, as real ones are.
    pub(crate) fn random_response_time(&self) -> Duration {
        let random = &mut self.state().random;
        let (a, b): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        let sigma = 5f64.ln() / 2.326;
        let seconds = self.scenario.median.as_secs_f64() * (sigma * normal).exp();
        Duration::from_secs_f64(seconds.clamp(0.01, 20.0))
    }

    /// A request to AWS: takes its time, and may fail.
    pub(crate) async fn request(&self, least_ms: u64, most_ms: u64) -> Result<(), Error> {
        sleep(self.random_duration(least_ms, most_ms)).await;
        match self.happens(self.scenario.aws_error_share) {
            true => Err(Error::new("simulate", "an error of AWS")),
            false => Ok(()),
        }
    }
}

fn row(number: u32) -> Row {
    Row {
        row: number,
        to: phone::parse(&format!("+55119{}", 80_000_000 + number), None).unwrap(),
        values: Vec::new(),
    }
}
