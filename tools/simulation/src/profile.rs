//! What a seed's world is like: quiet, stormy, or with one kind of fault.

use std::time::Duration;

use campaign::delivery::pacing::Rate;
use simulator::settings::Settings;

use crate::aws::{Rates, SERVICES, Service};
use crate::checker::calls::ACCOUNT_ERRORS;
use crate::lambda::ProcessFaults;
use crate::lambda::sources::EventFaults;
use crate::meta::MetaFaults;
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
    /// The account's error that Meta answers with for a while.
    pub account_error: Option<i64>,
    /// How long the campaigns are paused after the storm, so that retention passes.
    pub absence: Option<Duration>,
    /// Meta's own behaviour.
    pub settings: Settings,
}

const KINDS: [&str; 8] = [
    "quiet", "storm", "storm", "aws", "kills", "meta", "skew", "events",
];

const RATES: [(u32, u32); 6] = [(1, 1), (4, 1), (2, 3), (10, 1), (3, 10), (20, 1)];

impl Profile {
    /// The world of this stream.
    pub fn draw(random: &Random) -> Self {
        let random = random.fork("profile");
        let kind = *random.pick(&KINDS);
        let is = |name: &str| kind == name || kind == "storm";
        let share = |on: bool, most: u64| {
            if on {
                random.range(0..most + 1) as f64 / 1_000.0
            } else {
                0.0
            }
        };
        let services = SERVICES
            .map(|service| (service, rates(&random, is("aws"))))
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
            processes: ProcessFaults {
                killed: share(is("kills"), 400),
                stalled: share(is("kills"), 50),
                throttled: share(is("kills"), 50),
                skew_ms: if is("skew") {
                    *random.pick(&[0, 500, 5_000, 120_000])
                } else {
                    0
                },
            },
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
            account_error: random.chance(0.1).then(|| *random.pick(&ACCOUNT_ERRORS)),
            absence: random
                .chance(0.04)
                .then(|| Duration::from_secs(86_400 * random.range(20..50))),
            settings: settings(
                &random,
                share(meta, 150),
                share(meta, 50),
                share(is("events"), 300),
            ),
        }
    }
}

fn draw_rate(random: &Random) -> Rate {
    let (slots, per_slot) = *random.pick(&RATES);
    Rate { slots, per_slot }
}

fn rates(random: &Random, on: bool) -> Rates {
    if !on {
        return Rates::default();
    }
    let share = |most: u64| random.range(0..most + 1) as f64 / 1_000.0;
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
