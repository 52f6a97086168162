//! One life of Crier from a seed, and its judgement.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::aws::{History, Resources};
use crate::calendar::begins_ms;
use crate::call::Call;
use crate::checker::{self, Evidence};
use crate::clock;
use crate::disturbance;
use crate::known::known_fault;
use crate::marks;
use crate::operator::Operator;
use crate::parts::Parts;
use crate::profile::Profile;
use crate::random::Random;
use crate::violation::Violation;
use crate::world::World;

/// What became of a world.
#[derive(Clone, Debug)]
pub struct Life {
    /// What must never happen, and happened.
    pub violations: Vec<Violation>,
    /// Known faults that showed.
    pub known: Vec<&'static str>,
    /// A hash of everything that happened.
    pub trace: String,
    /// Every request, and what operators did.
    pub history: History,
    /// Every message that left.
    pub messages: Vec<Call>,
    /// What the operators did.
    pub steps: Vec<String>,
    /// The marks of the product that it reached.
    pub marks: BTreeSet<&'static str>,
    /// What it was made of that can be left out.
    pub parts: Vec<String>,
    /// The kind of its profile.
    pub kind: &'static str,
    /// Requests to AWS.
    pub requests: usize,
    /// How much virtual time passed.
    pub virtual_time: Duration,
}

/// Runs the world of a seed, on a thread of its own.
pub fn run(seed: u64, resources: &Resources) -> Life {
    run_without(seed, resources, BTreeSet::new())
}

/// Runs the world of a seed that lacks some of its parts ([`Life::parts`]).
pub fn run_without(seed: u64, resources: &Resources, omitted: BTreeSet<String>) -> Life {
    clock::run(seed, begins_ms(seed), move || {
        live(seed, resources, omitted)
    })
}

async fn live(seed: u64, resources: &Resources, omitted: BTreeSet<String>) -> Life {
    // Those of a life before this one, on the same thread.
    marks::take_reached();
    let random = Random::with_parts(seed, Parts::without(omitted));
    let profile = Profile::draw(&random);
    let world = World::deploy(&random, &profile, resources);
    let operators = world.operators(&profile);
    disturbance::start(&world, &profile);
    let mut goes_well = world.storm(&profile, &operators).await;
    world.be_quiet();
    if let Some(absence) = profile.absence.filter(|_| goes_well) {
        world.pass(&operators[0], absence).await;
    }
    let calm_ms = clock::now_ms();
    if goes_well {
        goes_well = world.bring_to_end(&profile, &operators[0]).await;
    }
    let violations = match goes_well {
        true => judge(&world, &profile, &operators[0], calm_ms).await,
        // The rest of the life was not lived.
        false => world.broken_promises(&profile),
    };
    finish(&world, &profile, random.parts(), violations)
}

/// Judges everything.
pub(crate) async fn judge(
    world: &World,
    profile: &Profile,
    operator: &Operator,
    calm_ms: u64,
) -> Vec<Violation> {
    let mut campaigns = Vec::new();
    for id in world.campaigns_to_end() {
        campaigns.extend(operator.observe(&id).await);
    }
    let shown = operator.read_everything().await;
    let items = |table: &str| -> Vec<Value> { world.aws.dynamodb().all_items(table) };
    let notes = world.record.read();
    checker::check(&Evidence {
        sends: world.sends(profile, &notes),
        ledger: &items("MessagesTable"),
        contacts: &items("ContactsTable"),
        campaign_items: &items("CampaignsTable"),
        callbacks: &items("CallbacksTable"),
        campaigns: &campaigns,
        shown: &shown,
        has_expired: profile.absence.is_some(),
        is_calm: profile.is_calm(),
        had_outage: profile.outage.is_some(),
        calm_ms,
    })
}

fn finish(world: &World, profile: &Profile, parts: &Parts, violations: Vec<Violation>) -> Life {
    let notes = world.record.read();
    let is_new = |violation: &Violation| known_fault(violation, &notes).is_none();
    let (violations, known): (Vec<_>, Vec<_>) = violations.into_iter().partition(is_new);
    let mut known: Vec<_> = known
        .iter()
        .filter_map(|violation| known_fault(violation, &notes))
        .collect();
    known.dedup();
    let (history, messages) = (world.aws.history().clone(), world.meta.calls());
    Life {
        violations,
        known,
        trace: trace(&history, &messages),
        steps: notes.steps.clone(),
        marks: marks::take_reached(),
        parts: parts.taken(),
        kind: profile.kind,
        requests: history.len(),
        history,
        messages,
        virtual_time: world.started.elapsed(),
    }
}

/// A hash of everything that happened: equal for lives that were the same.
fn trace(history: &History, messages: &[Call]) -> String {
    let mut hash = Sha256::new();
    hash.update(history.hash());
    for message in messages {
        hash.update(message.to_string());
    }
    hex::encode(&hash.finalize()[..8])
}

impl Life {
    /// Requests, invocations, steps and messages, one in a line, in the order in which they happened.
    pub fn render(&self) -> String {
        let requests = self.history.render();
        let time_of = |line: &str| line.split(' ').next().and_then(|time| time.parse().ok());
        let mut lines: Vec<(u64, String)> = requests
            .lines()
            .map(|line| (time_of(line).unwrap_or_default(), line.to_owned()))
            .collect();
        let messages = self.messages.iter();
        lines.extend(messages.map(|message| (message.at_ms, message.to_string())));
        lines.sort_by_key(|(at_ms, _)| *at_ms);
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        lines.join("\n")
    }
}
