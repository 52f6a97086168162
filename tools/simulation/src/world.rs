//! Where Crier lives: deployed, used, disturbed, and left in peace.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{Instant, sleep};

use crate::aws::{Aws, Resources};
use crate::checker::{Budgets, Sends, calls};
use crate::known::known_fault;
use crate::lambda::sources::{EventFaults, RECONCILE_INTERVAL, Sources};
use crate::lambda::{Lambda, ProcessFaults};
use crate::meta::{Meta, MetaFaults, PHONE_NUMBER_ID};
use crate::operator::{API_TOKEN, Operator};
use crate::profile::Profile;
use crate::random::Random;
use crate::record::{Notes, Record};
use crate::violation::Violation;

/// A reply ends within so long, whatever happens.
const REPLIES_END: Duration = Duration::from_secs(30 * 3_600);

/// For so many days the results of a campaign can be seen after its end.
const DAYS_AFTER_THE_END: u64 = 7;

/// Once nothing goes wrong any more, everything ends within this time: messages that were not delivered are sent again after
/// 1, 3 and 7 days.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 86_400);

/// How often operators look whether their campaigns are over, at first and later.
const LOOK_INTERVAL: Duration = Duration::from_secs(120);
const LATER_LOOK_INTERVAL: Duration = Duration::from_secs(3 * 3_600);

/// What is not over after this time waits for something that takes days. The reconciler then runs seldom, so that a life
/// does not take minutes; it may be late, but it may not be needed more often.
const SOON: Duration = Duration::from_secs(3 * 3_600);

/// More requests than any life needs: one that goes on for ever has failed.
const MOST_REQUESTS: usize = 100_000;

/// How late statuses may be, if they are: minutes, hours, days.
const LATE_CALLBACKS: [std::ops::Range<u64>; 3] = [
    60_000..600_000,
    600_000..21_600_000,
    21_600_000..259_200_000,
];

/// Crier, those who use it, and what it runs on.
pub struct World {
    pub(crate) aws: Aws,
    pub(crate) meta: Meta,
    pub(crate) lambda: Lambda,
    pub(crate) record: Record,
    pub(crate) started: Instant,
    pub(crate) random: Random,
    pub(crate) sources: Rc<Sources>,
    callbacks: Rc<CallbackPosts>,
}

/// Meta's posts of statuses.
#[derive(Default)]
struct CallbackPosts {
    /// How many were not acknowledged yet.
    waiting: Cell<usize>,
    /// The share of those that are late.
    late: Cell<f64>,
}

impl World {
    /// Deploys Crier.
    pub fn deploy(random: &Random, profile: &Profile, resources: &Resources) -> Self {
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
            started: Instant::now(),
            callbacks: Rc::default(),
        }
    }

    /// The operators, one for each campaign.
    pub fn operators(&self, profile: &Profile) -> Vec<Operator> {
        let operator = |index: u64| Operator {
            name: format!("operator {}", index + 1),
            lambda: self.lambda.clone(),
            aws: self.aws.clone(),
            meta: self.meta.clone(),
            random: self.random.fork(&format!("operator {index}")),
            record: self.record.clone(),
        };
        (0..profile.campaigns.max(1)).map(operator).collect()
    }

    /// Everybody does what they do, and whatever can goes wrong, until the storm is over; false if a promise was broken.
    pub async fn storm(&self, profile: &Profile, operators: &[Operator]) -> bool {
        self.start_recipients(profile, &operators[0]);
        let mut campaigns = JoinSet::new();
        for (index, operator) in operators.iter().cloned().enumerate() {
            // Two campaigns of a world may have recipients in common.
            let first =
                100 * (index as u64 / if self.random.chance(0.3) { 2 } else { 1 }) as u32 + 1;
            let steps = profile.steps;
            if self.random.parts().has(format!("campaign {}", index + 1)) {
                campaigns.spawn_local(async move { operator.run_campaign(first, steps).await });
            }
        }
        if !self.watch(profile).await {
            return false;
        }
        self.be_quiet();
        // An operator whose requests failed for long may still be at work.
        while campaigns.join_next().await.is_some() {}
        true
    }

    /// Meta posts what becomes of messages, and recipients answer.
    pub(crate) fn start_recipients(&self, profile: &Profile, operator: &Operator) {
        self.callbacks.late.set(profile.late_callbacks);
        spawn_local(post_statuses(operator.clone(), Rc::clone(&self.callbacks)));
        if self.random.fork("replies").chance(0.4)
            && self.random.parts().has("automatic replies".to_owned())
        {
            let operator = operator.clone();
            spawn_local(async move { operator.set_replies().await });
        }
        if profile.stops > 0.0 {
            let (recipient, share) = (operator.clone(), profile.stops);
            spawn_local(async move { recipient.stop_soon(share).await });
        }
    }

    /// Lets the storm pass; false as soon as a promise was broken that nothing can repair.
    async fn watch(&self, profile: &Profile) -> bool {
        let end = Instant::now() + profile.storm;
        while Instant::now() < end {
            let rest = end.saturating_duration_since(Instant::now());
            sleep(rest.min(LOOK_INTERVAL)).await;
            if self.is_broken(profile) {
                return false;
            }
        }
        true
    }

    /// Whether a promise was broken that nothing can repair, apart from known faults.
    fn is_broken(&self, profile: &Profile) -> bool {
        let (violations, notes) = (self.broken_promises(profile), self.record.read());
        let mut violations = violations.iter();
        violations.any(|violation| known_fault(violation, &notes).is_none())
    }

    /// What was broken so far, at any time: messages that should not have been sent, answers that no operator should get,
    /// and work without end.
    pub(crate) fn broken_promises(&self, profile: &Profile) -> Vec<Violation> {
        let (notes, requests) = (self.record.read(), self.aws.history().len());
        let mut violations = calls::check(&self.sends(profile, &notes));
        violations.extend(notes.violations.iter().cloned());
        if requests > MOST_REQUESTS {
            violations.push(Violation {
                promise: "everything ends",
                what: format!("{requests} requests, and no end in sight"),
            });
        }
        violations
    }

    /// What was sent so far.
    pub(crate) fn sends<'n>(&self, profile: &Profile, notes: &'n Notes) -> Sends<'n> {
        let changes = self.aws.history().find(|entry| {
            entry.operation == "dynamodb.UpdateItem"
                && entry.host.starts_with("sender")
                && entry.key.starts_with("CampaignsTable/")
                && !entry.key.starts_with("CampaignsTable/number")
        });
        let changes = changes.into_iter().map(|entry| (entry.at_ms, entry.host));
        Sends {
            calls: self.meta.calls(),
            notes,
            budgets: self.budgets(profile),
            skew_ms: 2 * profile.processes.skew_ms,
            lost: self.lambda.lost_invocations(),
            changes: changes.collect(),
        }
    }

    /// How many messages may leave in a second: a new rate holds from two seconds after its record (the documentation).
    fn budgets(&self, profile: &Profile) -> Budgets {
        let deployed = profile.rate.budget();
        let next = profile.next_rate.map(|rate| rate.budget());
        let records = self.aws.history().find(|entry| {
            entry.operation == "dynamodb.UpdateItem"
                && entry.key == format!("CampaignsTable/number/{PHONE_NUMBER_ID}/SET slots")
                && entry.outcome == "200"
        });
        let known_ms = records.last().map(|entry| entry.at_ms);
        let skew_ms = 2 * profile.processes.skew_ms;
        Budgets {
            largest: deployed.max(next.unwrap_or_default()) as usize,
            // The first record is that of the first deployment.
            next: next
                .zip(known_ms)
                .filter(|_| records.len() > 1)
                .map(|(budget, at)| (at + 2_000 + skew_ms, budget as usize)),
        }
    }

    /// Campaigns are paused for so long, and what expires is deleted: nothing of a campaign that is not over, or was not over a
    /// week ago.
    pub async fn pass(&self, operator: &Operator, absence: Duration) {
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
        let mut over_for = BTreeMap::<String, u64>::new();
        for _ in 0..days {
            for id in self.campaigns_to_end() {
                if operator.is_over(&id).await {
                    let over_for = over_for.entry(id.clone()).or_default();
                    *over_for += 1;
                    let may_be_deleted = *over_for >= DAYS_AFTER_THE_END;
                    self.record
                        .update(&id, |campaign| campaign.may_be_deleted = may_be_deleted);
                }
            }
            sleep(Duration::from_secs(86_400)).await;
            self.aws.dynamodb().sweep_ttl();
        }
        self.sources.reconcile_interval.set(RECONCILE_INTERVAL);
    }

    /// Nothing goes wrong any more.
    pub fn be_quiet(&self) {
        self.callbacks.late.set(0.0);
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

    /// Operators bring every campaign to its end, for so long; false if a promise was broken.
    pub async fn bring_to_end(&self, profile: &Profile, operator: &Operator) -> bool {
        let calm = Instant::now();
        let ids = self.campaigns_to_end();
        while calm.elapsed() < LONGEST_WAIT {
            let mut over = operator.resume_numbers().await;
            for id in &ids {
                over &= operator.bring_to_end(id).await;
            }
            let retries: Vec<String> = {
                let notes = self.record.read();
                notes.retries.iter().map(|retry| retry.id.clone()).collect()
            };
            for id in &retries {
                over &= operator.bring_retry_to_end(id).await;
            }
            let is_posting = self.callbacks.waiting.get() > 0;
            if over && !is_posting && self.meta.state().has_no_statuses() {
                break;
            }
            if self.is_broken(profile) {
                return false;
            }
            if calm.elapsed() > SOON {
                self.sources.reconcile_interval.set(LATER_LOOK_INTERVAL);
                sleep(LATER_LOOK_INTERVAL).await;
            } else {
                sleep(LOOK_INTERVAL).await;
            }
        }
        // Nobody resumes a reply that was paused: it ends within a day.
        let calm = Instant::now();
        while self.has_waiting_reply() && calm.elapsed() < REPLIES_END {
            self.sources.reconcile_interval.set(LATER_LOOK_INTERVAL);
            sleep(LATER_LOOK_INTERVAL).await;
        }
        self.sources.reconcile_interval.set(RECONCILE_INTERVAL);
        // Counters follow the ledger within seconds, and the reconciler closes what is over.
        sleep(Duration::from_secs(900)).await;
        !self.is_broken(profile)
    }

    /// Whether a reply or a test still has its recipient.
    fn has_waiting_reply(&self) -> bool {
        let items = self.aws.dynamodb().all_items("CampaignsTable");
        items.iter().any(|item| item["single_row"].is_object())
    }

    /// The campaigns that must be there at the end.
    pub(crate) fn campaigns_to_end(&self) -> Vec<String> {
        let notes = self.record.read();
        let campaigns = notes.campaigns.iter();
        let kept = campaigns.filter(|(_, campaign)| !campaign.may_be_deleted);
        kept.map(|(id, _)| id.clone()).collect()
    }
}

/// Meta posts what became of messages, a POST at a time or several at once.
async fn post_statuses(meta: Operator, posts: Rc<CallbackPosts>) {
    loop {
        if meta.meta.state().has_no_statuses() {
            meta.meta.state().callbacks_scheduled.notified().await;
        }
        sleep(Duration::from_millis(500)).await;
        for post in meta.meta.state().take_due_posts() {
            let (poster, posts) = (meta.clone(), Rc::clone(&posts));
            let delay = match meta.random.fault("late callback", posts.late.get()) {
                true => meta
                    .random
                    .millis(meta.random.pick(&LATE_CALLBACKS).clone()),
                false => Duration::ZERO,
            };
            posts.waiting.set(posts.waiting.get() + 1);
            spawn_local(async move {
                sleep(delay).await;
                poster.post_statuses(&post.number, post.statuses).await;
                posts.waiting.set(posts.waiting.get() - 1);
            });
        }
    }
}
