//! The ceiling and the fill, proven in virtual time: the loop that runs in Lambda, the real one, in a Lambda, a queue
//! and a Cloud API that are simulated, with cold starts, throttles, slow answers, errors, retries, early returns and
//! processes that are killed. A run of hours takes seconds.
//!
//! The short runs are part of `cargo test`; those of a million sends (`--ignored`) of `cargo xtask proof`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that fails here fails where it should, and shows its figures"
)]

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use campaign::delivery::batch::{Batch, Batcher, Row};
use campaign::delivery::ledger::{RowStatus, State, Transition, apply};
use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::delivery::pacing::{Rate, Slot};
use campaign::delivery::requeue::SkipReason;
use campaign::id::CampaignId;
use campaign::import::phone;
use campaign::lifecycle::campaign::{Campaign, FileInfo};
use campaign::message::Message;
use cloud::Error;
use cloud::ledger::{Claim, OtherClaim};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sender::invocation::{self, Invocation, InvocationLimits};
use sender::send_backend::{
    MessageHandle, PaceSignal, PendingSend, Priority, ReceivedBatch, SendBackend, SendGate,
    SendPermission, SendResult,
};
use serde_json::json;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

/// The sender's time-out in the template.
const TIMEOUT: Duration = Duration::from_secs(900);

/// How long the sender hides a batch.
const HIDDEN: Duration = Duration::from_secs(240);

/// What a run is like.
#[derive(Clone, Copy, Debug)]
struct World {
    rate: Rate,
    rows: u32,
    /// Median time to an answer; the 99th percentile is five times as long, and nothing takes less than 10 ms or more
    /// than 20 s.
    median: Duration,
    /// Share of calls that are to be tried again.
    errors: f64,
    /// Share of those that are refused for too much throughput, which slows their slot down.
    too_much: f64,
    /// Share of invocations that are killed somewhere within.
    kills: f64,
    /// Share of requests to AWS that fail, which ends an invocation early.
    aws_errors: f64,
    seed: u64,
}

/// Queue, ledger and Cloud API.
struct Simulated {
    began: Instant,
    world: World,
    campaign: Arc<Campaign>,
    inner: Mutex<Inner>,
}

struct Inner {
    random: SmallRng,
    /// Messages by the time from which they can be seen.
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    messages: HashMap<u64, Batch>,
    next: u64,
    ledger: HashMap<u32, Entry>,
    settled: usize,
    calls: Vec<Duration>,
    /// Rows that were called, and not certainly refused.
    maybe_sent: HashSet<u32>,
}

struct Entry {
    standing: RowStatus,
    owner: String,
    claimed_at: Millis,
    not_before: Millis,
}

impl Simulated {
    fn new(world: World) -> Arc<Self> {
        let file = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let message = Message::new(json!({"type": "text", "text": {"body": "x"}})).unwrap();
        let id: CampaignId = "c1".parse().unwrap();
        let inner = Inner {
            random: SmallRng::seed_from_u64(world.seed),
            queue: BinaryHeap::new(),
            messages: HashMap::new(),
            next: 0,
            ledger: HashMap::new(),
            settled: 0,
            calls: Vec::new(),
            maybe_sent: HashSet::new(),
        };
        let simulated = Self {
            began: Instant::now(),
            world,
            campaign: Arc::new(Campaign::new(id, "Test".into(), message, file, 0)),
            inner: Mutex::new(inner),
        };
        simulated.split();
        Arc::new(simulated)
    }

    /// The file's batches, as the splitter cuts them.
    fn split(&self) {
        let to = phone::parse("+5511987654321", None).unwrap();
        let values = Vec::new;
        let mut cutter = Batcher::new(self.world.rate);
        let rows = (1..=self.world.rows).map(|row| Row {
            row,
            to,
            values: values(),
        });
        let mut batches: Vec<Vec<Row>> = rows.filter_map(|row| cutter.push(row)).collect();
        batches.extend(cutter.finish());
        for rows in batches {
            self.enqueue(rows, Duration::ZERO);
        }
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn enqueue(&self, rows: Vec<Row>, delay: Duration) {
        let mut inner = self.inner.lock().unwrap();
        inner.next += 1;
        let id = inner.next;
        let campaign = self.campaign.id.clone();
        inner.messages.insert(id, Batch { campaign, rows });
        let at = self.elapsed() + delay;
        inner.queue.push(Reverse((at, id)));
    }

    /// The next message that can be seen, hidden from now on for the time given.
    fn receive(&self, hidden: Duration) -> Option<(u64, Batch)> {
        let now = self.elapsed();
        let mut inner = self.inner.lock().unwrap();
        loop {
            let Reverse((at, id)) = *inner.queue.peek()?;
            if at > now {
                return None;
            }
            inner.queue.pop();
            if let Some(batch) = inner.messages.get(&id).cloned() {
                inner.queue.push(Reverse((now + hidden, id)));
                return Some((id, batch));
            }
        }
    }

    /// Some seconds from now a message can be seen again, whatever was said before.
    fn show(&self, id: u64) {
        let at = self.elapsed() + Duration::from_secs(5);
        self.inner.lock().unwrap().queue.push(Reverse((at, id)));
    }

    fn forget(&self, id: u64) {
        self.inner.lock().unwrap().messages.remove(&id);
    }

    /// Whether every row is settled; fails where one is lost.
    fn is_over(&self) -> bool {
        let inner = self.inner.lock().unwrap();
        let patience = Duration::from_secs(u64::from(self.world.rows / self.world.rate.budget()));
        assert!(
            self.elapsed() < patience * 20 + Duration::from_secs(20_000),
            "rows are lost: {} of {} settled, {} messages, {:?}",
            inner.settled,
            self.world.rows,
            inner.messages.len(),
            inner
                .ledger
                .iter()
                .filter(|(_, entry)| !is_settled(entry))
                .map(|(row, entry)| (row, entry.standing, &entry.owner))
                .collect::<Vec<_>>()
        );
        inner.settled == self.world.rows as usize
    }

    fn chance(&self, share: f64) -> bool {
        self.inner.lock().unwrap().random.random_bool(share)
    }

    fn between(&self, least_ms: u64, most_ms: u64) -> Duration {
        let ms = self
            .inner
            .lock()
            .unwrap()
            .random
            .random_range(least_ms..most_ms);
        Duration::from_millis(ms)
    }

    /// Log-normal, as answers are.
    fn latency(&self) -> Duration {
        let mut inner = self.inner.lock().unwrap();
        let (a, b): (f64, f64) = (1.0 - inner.random.random::<f64>(), inner.random.random());
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        let sigma = 5f64.ln() / 2.326;
        let seconds = self.world.median.as_secs_f64() * (sigma * normal).exp();
        Duration::from_secs_f64(seconds.clamp(0.01, 20.0))
    }

    /// A request to AWS.
    async fn aws(&self, least_ms: u64, most_ms: u64) -> Result<(), Error> {
        sleep(self.between(least_ms, most_ms)).await;
        match self.chance(self.world.aws_errors) {
            true => Err(Error::new("simulate", "an error of AWS")),
            false => Ok(()),
        }
    }

    fn move_row(&self, row: u32, step: Transition, attempt: u32, not_before: Millis) {
        let mut inner = self.inner.lock().unwrap();
        let entry = inner.ledger.get_mut(&row).unwrap();
        let Some(standing) = apply(Some(entry.standing), step, attempt) else {
            return;
        };
        entry.standing = standing;
        entry.not_before = not_before;
        if is_settled(entry) {
            inner.settled += 1;
        }
    }
}

fn is_settled(entry: &Entry) -> bool {
    matches!(entry.standing.state, State::Accepted | State::Unconfirmed)
}

fn pulled(id: u64, batch: Batch) -> ReceivedBatch {
    let handle = MessageHandle {
        priority: Priority::Bulk,
        receipt: id.to_string(),
        receive_count: 1,
    };
    ReceivedBatch { batch, handle }
}

impl SendBackend for Simulated {
    fn now(&self) -> Millis {
        1_000_000_000 + self.elapsed().as_millis() as Millis
    }

    async fn check_gate(&self, _: &CampaignId, age: Duration) -> Result<SendGate, Error> {
        // What was read before the claim is young enough for the call.
        if age <= Duration::from_secs(1) {
            self.aws(1, 8).await?;
        }
        Ok(SendGate::Open(Arc::clone(&self.campaign), "".into()))
    }

    async fn reserve_send(&self, _: &CampaignId, _: &Row) -> Result<Option<SendPermission>, Error> {
        self.aws(2, 12).await?;
        Ok(Some(SendPermission {
            in_service_window: true,
            ..SendPermission::default()
        }))
    }

    async fn receive_urgent(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.aws(2, 12).await?;
        Ok(None)
    }

    async fn claim_row(&self, _: &CampaignId, row: &Row, owner: &str) -> Result<Claim, Error> {
        self.aws(2, 12).await?;
        let now = self.now();
        let mut inner = self.inner.lock().unwrap();
        let standing = inner.ledger.get(&row.row).map(|entry| entry.standing);
        if let Some(entry) = inner.ledger.get(&row.row) {
            use campaign::delivery::ledger::State::{Claimed, Retry};
            match entry.standing.state {
                Claimed if entry.owner == owner => return Ok(Claim::Won(entry.standing.attempt)),
                Claimed => {
                    let (claimed_at, attempt) = (entry.claimed_at, entry.standing.attempt);
                    return Ok(Claim::HeldByOther(OtherClaim {
                        claimed_at,
                        attempt,
                    }));
                }
                Retry if entry.not_before > now => return Ok(Claim::NotBefore(entry.not_before)),
                _ => {}
            }
        }
        let Some(standing) = apply(standing, Transition::Claim, 0) else {
            return Ok(Claim::Settled);
        };
        let entry = Entry {
            standing,
            owner: owner.to_owned(),
            claimed_at: now,
            not_before: 0,
        };
        inner.ledger.insert(row.row, entry);
        Ok(Claim::Won(standing.attempt))
    }

    async fn record_transition(
        &self,
        _: &CampaignId,
        row: &Row,
        attempt: u32,
        step: Transition,
        _: &ErrorInfo,
    ) -> Result<(), Error> {
        self.aws(2, 12).await?;
        self.move_row(row.row, step, attempt, 0);
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

    async fn send_message(self: Arc<Self>, attempt: PendingSend) -> SendResult {
        let at = self.elapsed();
        let (row, number) = (attempt.row.row, attempt.number);
        {
            let mut inner = self.inner.lock().unwrap();
            inner.calls.push(at);
            assert!(inner.maybe_sent.insert(row), "row {row} is called twice");
        }
        sleep(self.latency()).await;
        let failed = self.chance(self.world.errors);
        sleep(self.between(2, 12)).await;
        if !failed {
            self.move_row(row, Transition::Accept, number, 0);
            return SendResult {
                pace_signal: PaceSignal::Accepted,
                ..SendResult::default()
            };
        }
        self.inner.lock().unwrap().maybe_sent.remove(&row);
        let due = self.now() + self.between(1000, 8000).as_millis() as Millis;
        self.move_row(row, Transition::Retry, number, due);
        let echo = if self.chance(self.world.too_much) {
            PaceSignal::Throttled
        } else {
            PaceSignal::None
        };
        SendResult {
            pace_signal: echo,
            retry: Some((due, attempt.row)),
            outcome: None,
        }
    }

    async fn requeue(&self, _: Priority, batch: Batch, delay: Duration) -> Result<(), Error> {
        self.aws(5, 30).await?;
        self.enqueue(batch.rows, delay);
        Ok(())
    }

    async fn receive_bulk(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.aws(5, 30).await?;
        let Some((id, batch)) = self.receive(HIDDEN) else {
            sleep(Duration::from_secs(1)).await;
            return Ok(None);
        };
        Ok(Some(pulled(id, batch)))
    }

    async fn delay_redelivery(&self, handle: &MessageHandle) -> Result<(), Error> {
        self.aws(5, 30).await?;
        self.show(handle.receipt.parse().unwrap());
        Ok(())
    }

    fn emit_metrics(&self, _: &invocation::SendStats) {}

    async fn delete_messages(&self, _: Priority, receipts: &[String]) -> Result<(), Error> {
        if receipts.is_empty() {
            return Ok(());
        }
        self.aws(5, 30).await?;
        receipts
            .iter()
            .for_each(|id| self.forget(id.parse().unwrap()));
        Ok(())
    }
}

/// A process: its slot, and when it began.
struct Process {
    slot: Slot,
    began: Instant,
}

/// The platform: `slots` concurrent executions, each in any process that is idle, or in a new one.
async fn platform(simulated: Arc<Simulated>) {
    let idle: Rc<RefCell<Vec<Process>>> = Rc::default();
    let requests = Rc::new(Cell::new(0u64));
    let concurrent = LocalSet::new();
    for _ in 0..simulated.world.rate.slots {
        let (simulated, idle, requests) = (
            Arc::clone(&simulated),
            Rc::clone(&idle),
            Rc::clone(&requests),
        );
        concurrent.spawn_local(async move {
            while !simulated.is_over() {
                let Some((id, batch)) = simulated.receive(HIDDEN) else {
                    sleep(Duration::from_millis(100)).await;
                    continue;
                };
                requests.set(requests.get() + 1);
                let owner = requests.get().to_string();
                let mut process = process(&simulated, &idle).await;
                let first = pulled(id, batch);
                if invoke(&simulated, &mut process, owner, first).await {
                    idle.borrow_mut().push(process);
                }
            }
        });
    }
    concurrent.await;
}

/// Any that is idle, now and then throttled; else a new one, after its start.
async fn process(simulated: &Simulated, idle: &RefCell<Vec<Process>>) -> Process {
    if simulated.chance(0.01) {
        sleep(simulated.between(1, 500)).await;
    }
    let count = idle.borrow().len();
    if count > 0 && !simulated.chance(0.02) {
        let which = simulated.between(0, count as u64).as_millis() as usize;
        let found = idle.borrow_mut().swap_remove(which % count);
        return found;
    }
    sleep(simulated.between(20, 400)).await;
    Process {
        slot: Slot::new(simulated.world.rate),
        began: Instant::now(),
    }
}

/// Tells whether the process lives on.
async fn invoke(
    simulated: &Arc<Simulated>,
    process: &mut Process,
    owner: String,
    first: ReceivedBatch,
) -> bool {
    let term = InvocationLimits {
        owner,
        deadline: simulated.now() + TIMEOUT.as_millis() as Millis,
        urgent_poll_interval: Duration::from_millis(500) * simulated.world.rate.slots,
        urgent_poll_phase: simulated.between(0, 1000).as_secs_f64(),
    };
    let invocation = Invocation::new(simulated, &mut process.slot, process.began, term);
    let killed_after = match simulated.chance(simulated.world.kills) {
        true => simulated.between(1, 120_000),
        false => TIMEOUT,
    };
    tokio::select! {
        _ = invocation.run(first) => true,
        () = sleep(killed_after) => false,
    }
}

/// What a run showed.
#[derive(Debug)]
struct Figures {
    calls: usize,
    busiest: usize,
    fill: f64,
}

fn run(world: World) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let calls = runtime.block_on(async {
        let simulated = Simulated::new(world);
        platform(Arc::clone(&simulated)).await;
        std::mem::take(&mut simulated.inner.lock().unwrap().calls)
    });
    let span = *calls.last().unwrap() - calls[0];
    let figures = Figures {
        calls: calls.len(),
        busiest: busiest(&calls),
        fill: calls.len() as f64 / (f64::from(world.rate.budget()) * span.as_secs_f64()),
    };
    println!(
        "{:>9} calls at {:>4} TPS ({} slots), answers after {:>4} ms: busiest second {:>4} of {:>4}, {:.2} % used, {:.0} s",
        figures.calls,
        world.rate.budget(),
        world.rate.slots,
        world.median.as_millis(),
        figures.busiest,
        world.rate.budget(),
        figures.fill * 100.0,
        span.as_secs_f64(),
    );
    assert!(figures.calls >= world.rows as usize);
    assert!(figures.busiest <= world.rate.budget() as usize, "{world:?}");
    figures
}

/// The most calls in any half-open second.
fn busiest(calls: &[Duration]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in calls.iter().enumerate() {
        while calls[first] + Duration::from_secs(1) <= *at {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

const RATES: [Rate; 3] = [
    Rate {
        slots: 80,
        per_slot: 1,
    },
    Rate {
        slots: 1000,
        per_slot: 1,
    },
    Rate {
        slots: 100,
        per_slot: 10,
    },
];

fn calm(rate: Rate, rows: u32, median_ms: u64) -> World {
    World {
        rate,
        rows,
        median: Duration::from_millis(median_ms),
        errors: 0.0,
        too_much: 0.0,
        kills: 0.0,
        aws_errors: 0.0,
        seed: u64::from(rows) + median_ms,
    }
}

fn rough(rate: Rate, rows: u32, seed: u64) -> World {
    World {
        errors: 0.05,
        too_much: 0.1,
        kills: 0.2,
        aws_errors: 0.0005,
        seed,
        ..calm(rate, rows, [10, 300, 2000, 8000][seed as usize % 4])
    }
}

#[test]
fn no_second_holds_more_than_the_budget_whatever_happens() {
    let few = [
        Rate {
            slots: 1,
            per_slot: 1,
        },
        Rate {
            slots: 2,
            per_slot: 1,
        },
        Rate {
            slots: 3,
            per_slot: 7,
        },
        Rate {
            slots: 20,
            per_slot: 1,
        },
    ];
    for (index, rate) in few.into_iter().enumerate() {
        for seed in 0..4 {
            run(rough(
                rate,
                400 * rate.budget().min(20),
                seed + 4 * index as u64,
            ));
        }
    }
}

#[test]
fn small_files_use_the_budget_too() {
    for (rows, median) in [(2_000, 300), (2_000, 2_000), (10_000, 300), (10_000, 2_000)] {
        let figures = run(calm(RATES[0], rows, median));
        let least = if median == 300 { 0.99 } else { 0.97 };
        assert!(figures.fill >= least, "{rows} {median} {figures:?}");
    }
    run(calm(RATES[0], 100, 300));
}

#[test]
fn too_much_throughput_slows_down() {
    let errors = World {
        errors: 0.3,
        ..calm(
            Rate {
                slots: 4,
                per_slot: 1,
            },
            2_000,
            300,
        )
    };
    let slowed = World {
        too_much: 1.0,
        ..errors
    };
    let (full, slow) = (run(errors), run(slowed));
    assert!(slow.fill < full.fill / 2.0, "{full:?} {slow:?}");
}

#[test]
#[ignore = "a million sends, many times: cargo xtask proof"]
fn a_million_sends_stay_below_the_ceiling() {
    for rate in RATES {
        for seed in 0..3 {
            run(rough(rate, 1_000_000, seed));
        }
    }
}

#[test]
#[ignore = "a million sends, many times: cargo xtask proof"]
fn a_million_sends_use_the_budget() {
    for rate in RATES {
        for (median, least) in [(300, 0.99), (2_000, 0.97)] {
            let calm = calm(rate, 1_000_000, median);
            assert!(run(calm).fill >= least, "{rate:?} {median}");
            // Its tail waits for the last retries, which are due after up to eight seconds, and again: up to half a
            // minute, which is 3 % of a run of a quarter of an hour.
            let with_errors = World {
                errors: 0.01,
                aws_errors: 0.000_01,
                ..calm
            };
            assert!(run(with_errors).fill >= least - 0.03, "{rate:?} {median}");
        }
    }
}
