//! The ledger's protocol as a model, explored exhaustively: two rows, two senders, messages doubled and lost, a crash
//! after every step, answers lost, callbacks at any time and as often as they like, the sweep, a pause and a resume, a
//! cancel, somebody who says stop. What is explored are the rules that run: `ledger::after`, `ledger::repair`, `offer::offer`, `next_step`.

use campaign::delivery::ledger::{RowStatus, State, Transition, apply, repair_transition};
use campaign::delivery::outcome::{
    Acceptance, Backoff, ErrorClass, ErrorInfo, GiveUpRule, NextAction, Outcome, Refusal,
    RetryContext, ThrottleScope, next_action,
};
use campaign::delivery::requeue::{RequeueDecision, decide_requeue, disposition};
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState, FileInfo, OnUnconfirmed, Policy};
use campaign::lifecycle::counters::{Counters, RowFacts};
use campaign::message::Message;
use serde_json::json;
use stateright::{Checker, Model, Property};

const ROWS: usize = 2;
const SENDERS: usize = 2;

/// At this attempt the API says something final, so that a run ends.
const LAST: u32 = 2;

/// What the API did with a call, and what the caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    Accepted,
    AcceptedButSilent,
    NothingButSilent,
    NotNow,
    NotEver,
    Stop,
}

impl Fate {
    const ALL: [Fate; 6] = [
        Fate::Accepted,
        Fate::AcceptedButSilent,
        Fate::NothingButSilent,
        Fate::NotNow,
        Fate::NotEver,
        Fate::Stop,
    ];

    /// What remains of it once the call is over.
    fn trace(self) -> Trace {
        match self {
            Fate::Accepted | Fate::AcceptedButSilent => Trace::Sent,
            Fate::NothingButSilent => Trace::Open,
            Fate::NotNow | Fate::NotEver | Fate::Stop => Trace::Refused,
        }
    }

    /// What the sender does, as its own rules say.
    fn step(self, attempt: u32) -> NextAction {
        let refused = |class| {
            let (fault, wait) = (ErrorInfo::default(), None);
            Outcome::Refused(Refusal {
                class,
                error: fault,
                retry_after: wait,
            })
        };
        let again = ErrorClass::Retry(Backoff {
            scope: ThrottleScope::Row,
            first_seconds: 1,
            factor: 1,
            max_seconds: 1,
            max_attempts: u32::MAX,
            give_up: GiveUpRule::Reject,
        });
        let outcome = match self {
            Fate::Accepted => Outcome::Accepted(Acceptance {
                user_id: None,
                wamid: "w".into(),
                wa_id: None,
                message_status: None,
            }),
            Fate::AcceptedButSilent | Fate::NothingButSilent => {
                Outcome::Unconfirmed(ErrorInfo::default())
            }
            Fate::NotNow => refused(again),
            Fate::NotEver => refused(ErrorClass::Recipient),
            Fate::Stop => refused(ErrorClass::Campaign),
        };
        next_action(
            outcome,
            RetryContext {
                media_varies: false,
                attempt,
                now: 0,
                values_vary: true,
                name_varies: false,
                has_acceptance: true,
                jitter: 0.0,
            },
        )
    }
}

/// What a call left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Trace {
    /// The person has the message.
    Sent,
    /// Nothing was sent, but the caller cannot know.
    Open,
    /// Nothing was sent, and the caller was told so.
    Refused,
    /// It was taken and then reported as not delivered.
    Undelivered,
}

/// Where a sender is. It holds a message from the first step to the last, and deletes it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Idle,
    /// It has a row's message.
    Holding {
        row: usize,
    },
    /// It claimed the row and has seen that the campaign sends.
    Claimed {
        row: usize,
        attempt: u32,
    },
    /// The call is over; its outcome is not recorded.
    Told {
        row: usize,
        attempt: u32,
        fate: Fate,
    },
    /// The campaign is stopped; the row is not held yet.
    Stopped {
        row: usize,
        attempt: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    standing: Option<RowStatus>,
    /// The sender that claimed it last, until it records how that ended or dies.
    owner: Option<usize>,
    /// What became of its calls.
    calls: Vec<Trace>,
    /// Messages in the queue.
    messages: u8,
    /// The person said stop.
    suppressed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    rows: [Row; ROWS],
    senders: [At; SENDERS],
    campaign: Running,
    counted: [i64; 7],
    /// How many more crashes, doubled and lost messages, pauses, cancels and stop words may happen.
    faults: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Running {
    Sending,
    Paused,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Take(usize, usize),
    Claim(usize),
    Call(usize, Fate),
    Record(usize),
    Crash(usize),
    Double(usize),
    Lose(usize),
    /// A callback of an attempt that was accepted; whether it says that it was not delivered.
    Report(usize, u32, bool),
    Sweep(usize),
    /// The splitter offers a row again, or settles it.
    Offer(usize),
    /// Somebody says stop.
    Suppress(usize),
    Pause,
    Resume,
    Cancel,
}

struct Protocol {
    faults: u8,
    policy: Policy,
    campaigns: [Campaign; 3],
}

impl Protocol {
    fn new(faults: u8, on_unconfirmed: OnUnconfirmed, retry_undelivered: bool) -> Self {
        let policy = Policy {
            on_unconfirmed: on_unconfirmed,
            retry_undelivered,
            ..Policy::default()
        };
        let campaign = |state| {
            let id: CampaignId = "c1".parse().expect("id");
            let file = FileInfo {
                name: "a.csv".into(),
                size: 1,
            };
            let message = Message::new(json!({})).expect("message");
            Campaign {
                state,
                ..Campaign::new(id, "Test".into(), message, file, 0)
            }
        };
        let states = [
            CampaignState::Sending,
            CampaignState::Paused,
            CampaignState::Cancelled,
        ];
        Self {
            faults,
            policy,
            campaigns: states.map(campaign),
        }
    }

    /// What may happen without anything going wrong.
    fn steps(&self, world: &World, actions: &mut Vec<Action>) {
        for (sender, at) in world.senders.iter().enumerate() {
            match *at {
                At::Idle => {
                    let waiting = (0..ROWS).filter(|&row| world.rows[row].messages > 0);
                    actions.extend(waiting.map(|row| Action::Take(sender, row)));
                }
                At::Holding { .. } => actions.push(Action::Claim(sender)),
                At::Claimed { attempt, .. } => {
                    let last = attempt >= LAST;
                    let fates = Fate::ALL
                        .into_iter()
                        .filter(|fate| !last || matches!(fate, Fate::Accepted | Fate::NotEver));
                    actions.extend(fates.map(|fate| Action::Call(sender, fate)));
                }
                At::Told { .. } | At::Stopped { .. } => actions.push(Action::Record(sender)),
            }
        }
        for row in 0..ROWS {
            actions.push(Action::Sweep(row));
            if world.rows[row].messages == 0 {
                actions.push(Action::Offer(row));
            }
        }
    }

    fn is_dead(&self, world: &World, row: usize) -> bool {
        world.rows[row].owner.is_none()
    }

    /// A row moves; the counters follow from the change, as in the tally.
    fn moved(&self, world: &mut World, row: usize, step: Transition, attempt: u32) -> bool {
        let old = world.rows[row].standing;
        let Some(new) = apply(old, step, attempt) else {
            return false;
        };
        world.rows[row].standing = Some(new);
        let mut counters = counters(world.counted);
        counters.apply_change(old.map(facts), facts(new));
        world.counted = states(&counters);
        true
    }

    fn claim(&self, world: &mut World, sender: usize, row: usize) {
        let idle = At::Idle;
        world.senders[sender] = idle;
        if world.campaign != Running::Sending {
            return;
        }
        if world.rows[row].suppressed {
            if !self.moved(world, row, Transition::Skip, 0) {
                self.moved(world, row, Transition::Abandon, 0);
            }
            return;
        }
        if self.moved(world, row, Transition::Claim, 0) {
            world.rows[row].owner = Some(sender);
            let attempt = world.rows[row].standing.map_or(0, |row| row.attempt);
            world.senders[sender] = At::Claimed { row, attempt };
            return;
        }
        let Some(standing) = world.rows[row].standing else {
            return;
        };
        if standing.state == State::Claimed {
            if self.is_dead(world, row) {
                self.moved(world, row, Transition::MarkUnconfirmed, standing.attempt);
            } else {
                // Still at it: looked at again later.
                world.rows[row].messages = world.rows[row].messages.max(1);
            }
        }
    }

    fn record(&self, world: &mut World, sender: usize) {
        let at = world.senders[sender];
        world.senders[sender] = At::Idle;
        if let At::Told { row, fate, .. } = at
            && fate != Fate::Stop
        {
            world.rows[row].owner = None;
        }
        match at {
            At::Told { row, attempt, fate } => match fate.step(attempt) {
                NextAction::Accept(_) => drop(self.moved(world, row, Transition::Accept, attempt)),
                NextAction::Reject(_) => drop(self.moved(world, row, Transition::Reject, attempt)),
                NextAction::MarkUnconfirmed(_) => {
                    self.moved(world, row, Transition::MarkUnconfirmed, attempt);
                }
                NextAction::Retry { .. } => {
                    if self.moved(world, row, Transition::Retry, attempt) {
                        world.rows[row].messages = world.rows[row].messages.max(1);
                    }
                }
                NextAction::Hold { .. } => {
                    if world.campaign == Running::Sending {
                        world.campaign = Running::Paused;
                    }
                    world.senders[sender] = At::Stopped { row, attempt };
                }
            },
            At::Stopped { row, attempt } => drop(self.moved(world, row, Transition::Hold, attempt)),
            At::Idle | At::Holding { .. } | At::Claimed { .. } => {}
        }
    }

    fn sweep(&self, world: &mut World, row: usize) {
        let Some(standing) = world.rows[row].standing else {
            return;
        };
        // Time is abstract: a sweep may come at any time after the owner died, or after the grace time.
        let alive = standing.state == State::Claimed && !self.is_dead(world, row);
        let now = if alive { 0 } else { u64::MAX / 2 };
        let sends = world.campaign == Running::Sending;
        if let Some(step) = repair_transition(standing, 0, self.policy, sends, now) {
            self.moved(world, row, step, standing.attempt);
        }
    }

    fn offered(&self, world: &mut World, row: usize) {
        let campaign = &self.campaigns[world.campaign as usize];
        match decide_requeue(world.rows[row].standing, None, disposition(campaign, 0), 0) {
            RequeueDecision::Enqueue => world.rows[row].messages = 1,
            RequeueDecision::Skip(_) => drop(self.moved(world, row, Transition::Skip, 0)),
            RequeueDecision::Abandon => drop(self.moved(world, row, Transition::Abandon, 0)),
            RequeueDecision::Leave => {}
        }
    }

    fn reported(&self, world: &mut World, row: usize, attempt: u32, failed: bool) {
        let step = if failed {
            Transition::ApplyFailure
        } else {
            Transition::ApplyStatus
        };
        if failed {
            world.rows[row].calls[attempt as usize - 1] = Trace::Undelivered;
        }
        self.moved(world, row, step, attempt);
        if failed && self.policy.retry_undelivered && attempt < LAST {
            self.moved(world, row, Transition::RequeueUndelivered, attempt);
        }
    }

    /// Faults end, an operator resumes: does every row settle, and by how much work?
    fn settles(&self, world: &World) -> bool {
        let mut world = world.clone();
        for _ in 0..60 {
            if world.campaign == Running::Paused {
                world.campaign = Running::Sending;
            }
            let idle = world.senders == [At::Idle; SENDERS];
            if idle && world.rows.iter().all(|row| self.is_settled(&world, row)) {
                return true;
            }
            let mut actions = Vec::new();
            self.steps(&world, &mut actions);
            // Whoever has begun goes on first: else two senders could take turns about a row that neither settles.
            actions.sort_by_key(|action| match action {
                Action::Record(_) | Action::Call(..) => 0,
                Action::Claim(_) => 1,
                _ => 2,
            });
            let goes_well = |action: &Action| !matches!(action, Action::Call(_, fate) if *fate != Fate::Accepted);
            let next = actions
                .into_iter()
                .filter(goes_well)
                .find_map(|action| self.next_state(&world, action));
            match next {
                Some(next) => world = next,
                None => return false,
            }
        }
        false
    }

    fn is_settled(&self, world: &World, row: &Row) -> bool {
        let resent = self.policy.on_unconfirmed == OnUnconfirmed::Resend
            && world.campaign == Running::Sending;
        row.standing.is_some_and(|row| match row.state {
            State::Accepted | State::Rejected | State::Skipped => true,
            State::Unconfirmed => !resent || row.abandoned,
            State::Claimed | State::Retry | State::Held => false,
        })
    }
}

fn facts(row: RowStatus) -> RowFacts {
    RowFacts {
        state: row.state,
        attempt: row.attempt,
        claimed_at: 0,
        sent: false,
        delivered: false,
        read: false,
        failed: row.failed,
        abandoned: row.abandoned,
    }
}

fn counters(counted: [i64; 7]) -> Counters {
    let [
        claimed,
        retry,
        held,
        accepted,
        rejected,
        unconfirmed,
        skipped,
    ] = counted;
    Counters {
        claimed,
        retry,
        held,
        accepted,
        rejected,
        unconfirmed,
        skipped,
        ..Counters::default()
    }
}

fn states(counters: &Counters) -> [i64; 7] {
    [
        counters.claimed,
        counters.retry,
        counters.held,
        counters.accepted,
        counters.rejected,
        counters.unconfirmed,
        counters.skipped,
    ]
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let row = Row {
            standing: None,
            owner: None,
            calls: Vec::new(),
            messages: 1,
            suppressed: false,
        };
        vec![World {
            rows: [row.clone(), row],
            senders: [At::Idle; SENDERS],
            campaign: Running::Sending,
            counted: [0; 7],
            faults: self.faults,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.steps(world, actions);
        if world.faults > 0 {
            let busy = (0..SENDERS).filter(|&sender| world.senders[sender] != At::Idle);
            actions.extend(busy.map(Action::Crash));
        }
        for (index, row) in world.rows.iter().enumerate() {
            if row.messages > 0 && world.faults > 0 {
                actions.push(Action::Double(index));
            }
            if !row.suppressed && world.faults > 0 {
                actions.push(Action::Suppress(index));
            }
            if row.messages > 0 && world.faults > 0 {
                actions.push(Action::Lose(index));
            }
            for (call, attempt) in row.calls.iter().zip(1..) {
                if matches!(call, Trace::Sent | Trace::Undelivered) {
                    actions.push(Action::Report(index, attempt, false));
                    if self.policy.retry_undelivered {
                        actions.push(Action::Report(index, attempt, true));
                    }
                }
            }
        }
        match world.campaign {
            Running::Sending => {
                if world.faults > 0 {
                    actions.extend([Action::Pause, Action::Cancel]);
                }
            }
            Running::Paused => actions.push(Action::Resume),
            Running::Cancelled => {}
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Take(sender, row) => {
                world.rows[row].messages -= 1;
                world.senders[sender] = At::Holding { row };
            }
            Action::Claim(sender) => {
                if let At::Holding { row } = world.senders[sender] {
                    self.claim(&mut world, sender, row);
                }
            }
            Action::Call(sender, fate) => {
                if let At::Claimed { row, attempt } = world.senders[sender] {
                    world.rows[row].calls.push(fate.trace());
                    world.senders[sender] = At::Told { row, attempt, fate };
                }
            }
            Action::Record(sender) => self.record(&mut world, sender),
            Action::Crash(sender) => {
                let row = match world.senders[sender] {
                    At::Idle => return None,
                    At::Holding { row }
                    | At::Claimed { row, .. }
                    | At::Told { row, .. }
                    | At::Stopped { row, .. } => row,
                };
                world.faults -= 1;
                world.senders[sender] = At::Idle;
                for row in &mut world.rows {
                    row.owner = row.owner.filter(|owner| *owner != sender);
                }
                world.rows[row].messages = world.rows[row].messages.max(1);
            }
            Action::Double(row) => {
                world.faults -= 1;
                world.rows[row].messages += 1;
            }
            Action::Lose(row) => {
                world.faults -= 1;
                world.rows[row].messages -= 1;
            }
            Action::Report(row, attempt, failed) => {
                self.reported(&mut world, row, attempt, failed);
            }
            Action::Sweep(row) => self.sweep(&mut world, row),
            Action::Offer(row) => self.offered(&mut world, row),
            Action::Suppress(row) => {
                world.faults -= 1;
                world.rows[row].suppressed = true;
            }
            Action::Pause => {
                world.faults -= 1;
                world.campaign = Running::Paused;
            }
            Action::Resume => world.campaign = Running::Sending,
            Action::Cancel => {
                world.faults -= 1;
                world.campaign = Running::Cancelled;
            }
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "no call after one that may have been sent, unless allowed",
                |model: &Protocol, world: &World| {
                    let allowed = model.policy.on_unconfirmed == OnUnconfirmed::Resend;
                    let certain =
                        |call: &Trace| matches!(call, Trace::Refused | Trace::Undelivered);
                    allowed
                        || world.rows.iter().all(|row| {
                            let before_last = row.calls.len().saturating_sub(1);
                            row.calls[..before_last].iter().all(certain)
                        })
                },
            ),
            Property::always(
                "whoever was sent something is not shown as not sent",
                |_, world: &World| {
                    world.rows.iter().all(|row| {
                        let sent = row.calls.contains(&Trace::Sent);
                        let shown = row.standing.is_some_and(|row| match row.state {
                            State::Accepted | State::Claimed | State::Unconfirmed => true,
                            State::Retry | State::Held | State::Rejected => row.was_unconfirmed,
                            State::Skipped => false,
                        });
                        !sent || shown
                    })
                },
            ),
            Property::always("an accepted row was accepted", |_, world: &World| {
                world.rows.iter().all(|row| {
                    let accepted = row.standing.is_some_and(|row| row.state == State::Accepted);
                    let taken = |call: &Trace| matches!(call, Trace::Sent | Trace::Undelivered);
                    !accepted || row.calls.iter().any(taken)
                })
            }),
            Property::always("calls are attempts", |_, world: &World| {
                world.rows.iter().all(|row| {
                    row.calls.len() <= row.standing.map_or(0, |row| row.attempt as usize)
                })
            }),
            Property::always("counters equal the ledger", |_, world: &World| {
                let mut recount = Counters::default();
                for row in world.rows.iter().filter_map(|row| row.standing) {
                    recount.apply_change(None, facts(row));
                }
                states(&recount) == world.counted
            }),
            Property::always(
                "once faults end every row settles",
                |model: &Protocol, world: &World| model.settles(world),
            ),
            Property::sometimes("a row is in doubt", |_, world: &World| {
                let doubted = |row: &Row| row.standing.is_some_and(|row| row.was_unconfirmed);
                world.rows.iter().any(doubted)
            }),
            Property::sometimes("a cancelled campaign skips a row", |_, world: &World| {
                world
                    .rows
                    .iter()
                    .any(|row| row.standing.is_some_and(|row| row.state == State::Skipped))
            }),
        ]
    }
}

fn explore(faults: u8, on_unconfirmed: OnUnconfirmed, retry_undelivered: bool) {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let checker = Protocol::new(faults, on_unconfirmed, retry_undelivered)
        .checker()
        .threads(threads)
        .spawn_bfs()
        .join();
    eprintln!(
        "any {faults} faults, on_unconfirmed {on_unconfirmed:?}, retry_undelivered {retry_undelivered}: {} states, all properties hold",
        checker.unique_state_count()
    );
    checker.assert_properties();
}

const CHOICES: [(OnUnconfirmed, bool); 3] = [
    (OnUnconfirmed::Leave, false),
    (OnUnconfirmed::Resend, false),
    (OnUnconfirmed::Leave, true),
];

#[test]
fn protocol_holds_with_any_two_faults() {
    for (on_unconfirmed, retry_undelivered) in CHOICES {
        explore(2, on_unconfirmed, retry_undelivered);
    }
}

#[test]
#[ignore = "millions of states: cargo xtask proof"]
fn protocol_holds_with_any_three_faults() {
    for (on_unconfirmed, retry_undelivered) in CHOICES {
        explore(3, on_unconfirmed, retry_undelivered);
    }
}
