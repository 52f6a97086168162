//! One life of Crier: deployed, used, disturbed, left in peace, and judged.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::sleep;

use crate::aws::{Aws, Resources};
use crate::checker::{self, Evidence};
use crate::clock;
use crate::known::known_fault;
use crate::lambda::sources::{EventFaults, RECONCILE_INTERVAL, Sources};
use crate::lambda::{Lambda, ProcessFaults};
use crate::meta::{Meta, MetaFaults};
use crate::operator::{API_TOKEN, Operator};
use crate::profile::Profile;
use crate::random::Random;
use crate::record::Record;
use crate::violation::Violation;

/// Virtual time begins here: 1 December 2026.
pub const BASE_MS: u64 = 1_796_083_200_000;

/// Once nothing goes wrong any more, everything ends within this time: messages that were not delivered are sent again after
/// 1, 3 and 7 days.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 86_400);

/// How often operators look whether their campaigns are over, at first and later.
const LOOK_INTERVAL: Duration = Duration::from_secs(120);
const LATER_LOOK_INTERVAL: Duration = Duration::from_secs(3 * 3_600);

/// What is not over after this time waits for something that takes days. The reconciler then runs seldom, so that a life
/// does not take minutes; it may be late, but it may not be needed more often.
const SOON: Duration = Duration::from_secs(3 * 3_600);

/// What became of a world.
#[derive(Clone, Debug)]
pub struct Life {
    /// What must never happen, and happened.
    pub violations: Vec<Violation>,
    /// Known faults that showed.
    pub known: Vec<&'static str>,
    /// A hash of everything that happened.
    pub trace: String,
    /// Everything that happened, as text.
    pub history: String,
    /// What the operators did.
    pub steps: Vec<String>,
    /// The kind of its profile.
    pub kind: &'static str,
    /// Requests to AWS.
    pub requests: usize,
    /// Messages that left.
    pub calls: usize,
    /// How much virtual time passed.
    pub virtual_time: Duration,
}

/// Runs the world of a seed, on a thread of its own.
pub fn run(seed: u64, resources: &Resources) -> Life {
    clock::run(seed, BASE_MS, move || live(seed, resources))
}

async fn live(seed: u64, resources: &Resources) -> Life {
    let random = Random::new(seed);
    let profile = Profile::draw(&random);
    let world = World::deploy(&random, &profile, resources);
    world.storm(&profile).await;
    world.be_quiet();
    let operators = world.operators(&profile);
    if let Some(absence) = profile.absence {
        world.pass(&operators[0], absence).await;
    }
    world.bring_to_end(&operators[0]).await;
    world.judge(&profile, &operators[0]).await
}

struct World {
    random: Random,
    aws: Aws,
    meta: Meta,
    lambda: Lambda,
    sources: Rc<Sources>,
    record: Record,
    started: tokio::time::Instant,
}

impl World {
    fn deploy(random: &Random, profile: &Profile, resources: &Resources) -> Self {
        let aws = Aws::new(random, resources);
        let meta = Meta::new(random, profile.settings.clone());
        let settings = meta.state().settings();
        let token = hex::encode(Sha256::digest(API_TOKEN));
        let secret = json!({
            "access_token": settings.access_token, "app_secrets": [settings.app_secret],
            "verify_token": "verify", "api_tokens": [{"name": "ops", "sha256": token}],
        });
        aws.secrets().set(&secret.to_string());
        let lambda = Lambda::new(&aws, &meta, random, profile.rate);
        let sources = Rc::new(Sources {
            lambda: lambda.clone(),
            aws: aws.clone(),
            random: random.fork("sources"),
            faults: Cell::default(),
            reconcile_interval: Cell::new(RECONCILE_INTERVAL),
        });
        sources.start();
        for (service, rates) in &profile.services {
            aws.faults().set(*service, *rates);
        }
        lambda.set_faults(profile.processes);
        sources.faults.set(profile.events);
        meta.set_faults(profile.meta);
        Self {
            random: random.clone(),
            aws,
            meta,
            lambda,
            sources,
            record: Record::default(),
            started: tokio::time::Instant::now(),
        }
    }

    fn operators(&self, profile: &Profile) -> Vec<Operator> {
        let operator = |index: u64| Operator {
            lambda: self.lambda.clone(),
            aws: self.aws.clone(),
            meta: self.meta.clone(),
            random: self.random.fork(&format!("operator {index}")),
            record: self.record.clone(),
        };
        (0..profile.campaigns.max(1)).map(operator).collect()
    }

    /// Everybody does what they do, and whatever can goes wrong, until the storm is over.
    async fn storm(&self, profile: &Profile) {
        let callbacks = self.operators(profile)[0].clone();
        spawn_local(post_statuses(callbacks.clone()));
        if self.random.fork("replies").chance(0.4) {
            let operator = callbacks.clone();
            spawn_local(async move { operator.set_replies().await });
        }
        let mut campaigns = JoinSet::new();
        for (index, operator) in self.operators(profile).into_iter().enumerate() {
            // Two campaigns of a world may have recipients in common.
            let first =
                100 * (index as u64 / if self.random.chance(0.3) { 2 } else { 1 }) as u32 + 1;
            let steps = profile.steps;
            campaigns.spawn_local(async move { operator.run_campaign(first, steps).await });
        }
        if let Some(code) = profile.account_error {
            let (meta, random) = (self.meta.clone(), self.random.fork("account"));
            spawn_local(async move {
                sleep(random.millis(60_000..240_000)).await;
                meta.refuse(Some(code));
                sleep(random.millis(20_000..200_000)).await;
                meta.refuse(None);
            });
        }
        if let Some(rate) = profile.next_rate {
            let (lambda, sources) = (self.lambda.clone(), Rc::clone(&self.sources));
            let delay = self.random.fork("deployment").millis(30_000..600_000);
            spawn_local(async move {
                sleep(delay).await;
                let old = lambda.rate();
                lambda.deploy(rate);
                sources.start_senders(old.slots, rate);
            });
        }
        sleep(profile.storm).await;
        self.be_quiet();
        // An operator whose requests failed for long may still be at work.
        while campaigns.join_next().await.is_some() {}
    }

    /// Campaigns are paused for so long, and what expires is deleted.
    async fn pass(&self, operator: &Operator, absence: Duration) {
        let ids: Vec<String> = self.record.read().campaigns.keys().cloned().collect();
        for id in &ids {
            // What is over, or was never begun, may be deleted.
            let never_uploaded = self.record.read().campaigns[id].uploads.is_empty();
            if operator.is_over(id).await || never_uploaded {
                self.record
                    .update(id, |campaign| campaign.may_be_deleted = true);
            } else {
                operator.command(id, "pause").await;
            }
        }
        self.sources.reconcile_interval.set(LATER_LOOK_INTERVAL);
        let days = absence.as_secs() / 86_400;
        for _ in 0..days {
            sleep(Duration::from_secs(86_400)).await;
            self.aws.dynamodb().sweep_ttl();
        }
        self.sources.reconcile_interval.set(RECONCILE_INTERVAL);
    }

    /// Nothing goes wrong any more.
    fn be_quiet(&self) {
        self.aws.faults().quiet();
        let skew_ms = 0;
        self.lambda.set_faults(ProcessFaults {
            skew_ms,
            ..ProcessFaults::default()
        });
        self.sources.faults.set(EventFaults::default());
        self.meta.set_faults(MetaFaults::default());
        self.meta.be_quiet();
    }

    /// Operators bring every campaign to its end, for so long.
    async fn bring_to_end(&self, operator: &Operator) {
        let calm = tokio::time::Instant::now();
        let ids = self.campaigns_to_end();
        while calm.elapsed() < LONGEST_WAIT {
            let mut over = true;
            for id in &ids {
                over &= operator.bring_to_end(id).await;
            }
            if over && self.meta.state().has_no_statuses() {
                break;
            }
            if calm.elapsed() > SOON {
                self.sources.reconcile_interval.set(LATER_LOOK_INTERVAL);
                sleep(LATER_LOOK_INTERVAL).await;
            } else {
                sleep(LOOK_INTERVAL).await;
            }
        }
        self.sources.reconcile_interval.set(RECONCILE_INTERVAL);
        // Counters follow the ledger within seconds, and the reconciler closes what is over.
        sleep(Duration::from_secs(900)).await;
    }

    fn campaigns_to_end(&self) -> Vec<String> {
        let notes = self.record.read();
        let campaigns = notes.campaigns.iter();
        let kept = campaigns.filter(|(_, campaign)| !campaign.may_be_deleted);
        kept.map(|(id, _)| id.clone()).collect()
    }

    async fn judge(&self, profile: &Profile, operator: &Operator) -> Life {
        let mut campaigns = Vec::new();
        for id in self.campaigns_to_end() {
            campaigns.extend(operator.observe(&id).await);
        }
        let calls = self.meta.calls();
        let campaign_items = self.aws.dynamodb().all_items("CampaignsTable");
        let contacts = self.aws.dynamodb().all_items("ContactsTable");
        let ledger: Vec<Value> = self.aws.dynamodb().all_items("MessagesTable");
        let budget = profile
            .next_rate
            .map_or(0, |rate| rate.budget())
            .max(profile.rate.budget());
        let history = self.aws.history();
        let notes = self.record.read();
        let violations = checker::check(&Evidence {
            calls: &calls,
            notes: &notes,
            ledger: &ledger,
            contacts: &contacts,
            campaign_items: &campaign_items,
            campaigns: &campaigns,
            budget: budget as usize,
            skew_ms: 2 * profile.processes.skew_ms,
            has_expired: profile.absence.is_some(),
            had_deaths: profile.processes.killed > 0.0
                || profile.processes.stalled > 0.0
                || profile
                    .services
                    .iter()
                    .any(|(_, rates)| *rates != Default::default()),
        });
        let is_new = |violation: &Violation| known_fault(violation, &notes).is_none();
        let (violations, known): (Vec<_>, Vec<_>) = violations.into_iter().partition(is_new);
        let mut known: Vec<_> = known
            .iter()
            .filter_map(|violation| known_fault(violation, &notes))
            .collect();
        known.dedup();
        Life {
            violations,
            known,
            trace: history.hash(),
            history: history.render(),
            steps: notes.steps.clone(),
            kind: profile.kind,
            requests: history.len(),
            calls: calls.len(),
            virtual_time: self.started.elapsed(),
        }
    }
}

/// Meta posts what became of messages, a POST at a time or several at once.
async fn post_statuses(meta: Operator) {
    loop {
        if meta.meta.state().has_no_statuses() {
            meta.meta.state().callbacks_scheduled.notified().await;
        }
        sleep(Duration::from_millis(500)).await;
        for statuses in meta.meta.state().take_due_statuses() {
            let poster = meta.clone();
            let value = json!({"statuses": statuses});
            spawn_local(async move { poster.post_callback("messages", value).await });
        }
    }
}
