//! What a seed's world is like: quiet, stormy, or with one kind of fault.

use std::time::Duration;

use campaign::delivery::pacing::Rate;
use simulator::settings::Settings;

use crate::aws::{Rates, SERVICES, Service};
use crate::lambda::ProcessFaults;
use crate::lambda::sources::EventFaults;
use crate::meta::MetaFaults;
use crate::outage::Outage;
use crate::parts::Parts;
use crate::random::Random;

/// The conditions of a world until the storm is over.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The name of the kind.
    pub kind: &'static str,
    /// The rate that is deployed.
    pub rate: Rate,
    /// The rate that is deployed in the middle.
    pub next_rate: Option<Rate>,
    /// How many campaigns there are.
    pub campaigns: u64,
    /// How much each operator does.
    pub steps: u64,
    /// How long faults happen.
    pub storm: Duration,
    /// Faults of each service.
    pub services: Vec<(Service, Rates)>,
    /// Faults of processes.
    pub processes: ProcessFaults,
    /// Faults of events.
    pub events: EventFaults,
    /// Faults on the way to Meta.
    pub meta: MetaFaults,
    /// The error that Meta refuses every message with for a while.
    pub account_error: Option<i64>,
    /// A service that is not available for a while.
    pub outage: Option<Outage>,
    /// Whether the access token is replaced.
    pub replaces_token: bool,
    /// How long the campaigns are paused after the storm, so that retention passes.
    pub absence: Option<Duration>,
    /// The share of messages that are answered with an opt-out at once.
    pub stops: f64,
    /// The share of posts of statuses that are late, by up to days.
    pub late_callbacks: f64,
    /// Meta's own behaviour.
    pub settings: Settings,
}

const KINDS: [&str; 9] = [
    "quiet", "storm", "storm", "aws", "partial", "kills", "meta", "skew", "events",
];

const RATES: [(u32, u32); 6] = [(1, 1), (4, 1), (2, 3), (10, 1), (3, 10), (20, 1)];

/// Errors that Meta refuses every message with for a while: of the account, of the number, and three that ask for fewer messages.
const REFUSALS: [i64; 9] = [
    131_042, 131_031, 368, 131_048, 131_045, 80_007, 80_007, 130_429, 131_057,
];

impl Profile {
    /// The world of this stream.
    pub fn draw(random: &Random) -> Self {
        let random = random.fork("profile");
        let kind = *random.pick(&KINDS);
        let is = |name: &str| kind == name || kind == "storm";
        let share = |on: bool, most: u64| share(&random, on, most);
        let services = SERVICES
            .map(|service| (service, rates(&random, is("aws"), kind == "partial")))
            .to_vec();
        let rate = draw_rate(&random);
        let meta = is("meta");
        Self {
            kind,
            rate,
            next_rate: random.chance(0.15).then(|| draw_rate(&random)),
            campaigns: 1 + random.range(0..3),
            steps: random.range(0..9),
            storm: random.millis(600_000..5_400_000),
            services,
            processes: process_faults(&random, is("kills"), is("skew")),
            events: EventFaults {
                duplicated: share(is("events"), 500),
                late: share(is("events"), 300),
                lost: share(is("events"), 100),
            },
            meta: MetaFaults {
                not_connected: share(meta, 100),
                lost_before: share(meta, 80),
                lost_after: share(meta, 80),
                short_connections: share(meta, 500),
            },
            account_error: random.chance(0.2).then(|| *random.pick(&REFUSALS)),
            outage: (is("aws") && random.chance(0.4)).then(|| Outage::draw(&random)),
            replaces_token: random.chance(0.1),
            absence: random
                .chance(0.04)
                .then(|| Duration::from_secs(86_400 * random.range(20..50))),
            settings: settings(
                &random,
                share(meta, 150),
                share(meta, 50),
                share(is("events"), 300),
            ),
            stops: if random.chance(0.3) {
                share(true, 200)
            } else {
                0.0
            },
            late_callbacks: share(is("events"), 100),
        }
        .without_omitted(random.parts())
    }

    /// Whether nothing goes wrong that could make a message late.
    pub fn is_calm(&self) -> bool {
        matches!(self.kind, "quiet" | "partial")
            && self.next_rate.is_none()
            && self.account_error.is_none()
            && self.absence.is_none()
            && !self.replaces_token
    }

    /// The world without what a life is to lack.
    fn without_omitted(mut self, parts: &Parts) -> Self {
        let is_omitted = |is_there: bool, name: &str| is_there && !parts.has(name.to_owned());
        if is_omitted(self.next_rate.is_some(), "the deployment") {
            self.next_rate = None;
        }
        if is_omitted(self.account_error.is_some(), "Meta's refusals") {
            self.account_error = None;
        }
        if is_omitted(self.absence.is_some(), "the absence") {
            self.absence = None;
        }
        if is_omitted(self.outage.is_some(), "the outage") {
            self.outage = None;
        }
        if is_omitted(self.replaces_token, "the new token") {
            self.replaces_token = false;
        }
        if is_omitted(self.processes.skew_ms > 0, "wrong clocks") {
            self.processes.skew_ms = 0;
        }
        if is_omitted(self.settings.fault_share > 0.0, "Meta's errors") {
            self.settings.fault_share = 0.0;
        }
        if is_omitted(self.settings.slow_share > 0.0, "Meta's slowness") {
            self.settings.slow_share = 0.0;
        }
        if is_omitted(self.settings.duplicate_share > 0.0, "repeated callbacks") {
            self.settings.duplicate_share = 0.0;
        }
        self
    }
}

/// A probability of at most so many thousandths.
fn share(random: &Random, on: bool, most: u64) -> f64 {
    match on {
        true => random.range(0..most + 1) as f64 / 1_000.0,
        false => 0.0,
    }
}

fn process_faults(random: &Random, die: bool, have_wrong_clocks: bool) -> ProcessFaults {
    ProcessFaults {
        killed: share(random, die, 400),
        stalled: share(random, die, 50),
        throttled: share(random, die, 50),
        hasty: share(random, die, 200),
        skew_ms: match have_wrong_clocks {
            true => *random.pick(&[0, 500, 5_000, 120_000]),
            false => 0,
        },
    }
}

fn draw_rate(random: &Random) -> Rate {
    let (slots, per_slot) = *random.pick(&RATES);
    Rate { slots, per_slot }
}

fn rates(random: &Random, has_all: bool, is_partial: bool) -> Rates {
    let share = |most: u64| share(random, true, most);
    if is_partial {
        return Rates {
            partial: share(200),
            duplicated: share(60),
            reordered: share(300),
            ..Rates::default()
        };
    }
    if !has_all {
        return Rates::default();
    }
    Rates {
        refused: share(40),
        answer_lost: share(40),
        delayed: share(20),
        throttled: share(60),
        internal_error: share(20),
        partial: share(40),
        duplicated: share(60),
        reordered: share(300),
        missed: share(100),
    }
}

/// How Meta behaves.
fn settings(random: &Random, fault_share: f64, slow_share: f64, duplicate_share: f64) -> Settings {
    Settings {
        webhook_url: "http://webhook.simulation".into(),
        throughput: 100_000,
        median_ms: *random.pick(&[20.0, 300.0, 2_000.0]),
        p99_ms: 6_000.0,
        fault_share,
        slow_share,
        duplicate_share,
        shuffle: random.chance(0.5),
        batch_size: *random.pick(&[1, 5, 100]),
        ..Settings::default()
    }
}
