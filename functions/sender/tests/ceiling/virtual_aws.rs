//! The queue and the ledger in virtual time, and how long requests take.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use campaign::delivery::batch::{Batch, Batcher, Row};
use campaign::delivery::ledger::{RowStatus, State, Transition, apply};
use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use campaign::import::phone;
use campaign::lifecycle::campaign::{Campaign, FileInfo};
use campaign::message::Message;
use cloud::Error;
use cloud::ledger::{Claim, OtherClaim};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::scenario::Scenario;

/// The visibility timeout that the sender sets for a batch.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(240);

/// Everything outside of Lambda. Its times count from its start.
pub(crate) struct VirtualAws {
    started: Instant,
    pub(crate) scenario: Scenario,
    pub(crate) campaign: Arc<Campaign>,
    state: Mutex<VirtualState>,
}

struct VirtualState {
    random: SmallRng,
    /// Ids of messages by the time from which they are visible.
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    messages: HashMap<u64, Batch>,
    last_message_id: u64,
    ledger: HashMap<u32, LedgerEntry>,
    settled_count: usize,
    /// When sends started.
    sends: Vec<Duration>,
    /// Rows that were sent and not refused with certainty.
    maybe_sent: HashSet<u32>,
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
    pub(crate) fn new(scenario: Scenario) -> Arc<Self> {
        let file = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let message = Message::new(json!({"type": "text", "text": {"body": "x"}})).unwrap();
        let id: CampaignId = "c1".parse().unwrap();
        let state = VirtualState {
            random: SmallRng::seed_from_u64(scenario.seed),
            queue: BinaryHeap::new(),
            messages: HashMap::new(),
            last_message_id: 0,
            ledger: HashMap::new(),
            settled_count: 0,
            sends: Vec::new(),
            maybe_sent: HashSet::new(),
        };
        let aws = Self {
            started: Instant::now(),
            scenario,
            campaign: Arc::new(Campaign::new(id, "Test".into(), message, file, 0)),
            state: Mutex::new(state),
        };
        aws.enqueue_all_rows();
        Arc::new(aws)
    }

    /// Enqueues the batches of a file, cut as the splitter cuts them.
    fn enqueue_all_rows(&self) {
        let to = phone::parse("+5511987654321", None).unwrap();
        let mut batcher = Batcher::new(self.scenario.rate);
        let rows = (1..=self.scenario.rows).map(|row| Row {
            row,
            to,
            values: Vec::new(),
        });
        let mut batches: Vec<Vec<Row>> = rows.filter_map(|row| batcher.push(row)).collect();
        batches.extend(batcher.finish());
        for rows in batches {
            self.enqueue(rows, Duration::ZERO);
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
        state.settled_count == rows as usize
    }

    /// When sends started, in order.
    pub(crate) fn take_sends(&self) -> Vec<Duration> {
        std::mem::take(&mut self.state().sends)
    }
}

/// The queue.
impl VirtualAws {
    pub(crate) fn enqueue(&self, rows: Vec<Row>, delay: Duration) {
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
        state.messages.insert(id, batch);
        let visible_at = self.elapsed() + delay;
        state.queue.push(Reverse((visible_at, id)));
    }

    /// The next visible message. It becomes invisible for the visibility timeout.
    pub(crate) fn receive(&self) -> Option<(u64, Batch)> {
        let now = self.elapsed();
        let mut state = self.state();
        loop {
            let Reverse((visible_at, id)) = *state.queue.peek()?;
            if visible_at > now {
                return None;
            }
            state.queue.pop();
            if let Some(batch) = state.messages.get(&id).cloned() {
                state.queue.push(Reverse((now + VISIBILITY_TIMEOUT, id)));
                return Some((id, batch));
            }
        }
    }

    /// Makes a message visible again after some seconds.
    pub(crate) fn delay_redelivery(&self, id: u64) {
        let visible_at = self.elapsed() + Duration::from_secs(5);
        self.state().queue.push(Reverse((visible_at, id)));
    }

    pub(crate) fn delete(&self, id: u64) {
        self.state().messages.remove(&id);
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
        let Some(status) = apply(status, Transition::Claim, 0) else {
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
        let mut state = self.state();
        state.sends.push(now);
        assert!(state.maybe_sent.insert(row), "row {row} is sent twice");
    }

    /// The Cloud API refused the row's message with certainty.
    pub(crate) fn record_refusal(&self, row: u32) {
        self.state().maybe_sent.remove(&row);
    }
}

/// Chance.
impl VirtualAws {
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
