//! How fast lives are: campaigns of 20 rows, one after the other, in which nothing goes wrong.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use campaign::delivery::pacing::Rate;
use serde_json::{Value, json};
use simulator::settings::Settings;

use crate::aws::Resources;
use crate::calendar::BASE_MS;
use crate::clock;
use crate::fork::{Fork, cpu_time_of_children};
use crate::lambda::ProcessFaults;
use crate::lambda::sources::EventFaults;
use crate::life::judge;
use crate::meta::MetaFaults;
use crate::operator::Operator;
use crate::operator::creation::message;
use crate::profile::Profile;
use crate::random::Random;
use crate::record::{CampaignNotes, UploadNotes};
use crate::world::World;

/// Rows of a campaign.
const ROWS: u32 = 20;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Campaigns that were run.
    pub campaigns: u64,
    /// Those in which a promise was broken, or which panicked: none, or the figures mean nothing.
    pub failed: u64,
    /// The time that they took.
    pub elapsed: Duration,
    /// The time that they had a core. Another program on the machine does not change it much.
    pub cpu_time: Duration,
    /// All requests to AWS.
    pub requests: u64,
    /// All messages that left.
    pub calls: u64,
}

impl std::fmt::Display for Speed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = |number: u64| number as f64 / self.campaigns.max(1) as f64;
        write!(
            formatter,
            "{} campaigns of {ROWS} rows: {:.1} a second and core, {:.1} a second here; \
             each had {:.0} requests to AWS and {:.1} messages; {} failed",
            self.campaigns,
            self.campaigns as f64 / self.cpu_time.as_secs_f64(),
            self.campaigns as f64 / self.elapsed.as_secs_f64(),
            each(self.requests),
            each(self.calls),
            self.failed,
        )
    }
}

/// Runs so many lives of one campaign, each in a process of its own, one after the other.
pub fn measure(campaigns: u64, resources: &Resources) -> Speed {
    let (started, cpu_time) = (Instant::now(), cpu_time_of_children());
    let mut speed = Speed {
        campaigns,
        failed: 0,
        elapsed: Duration::ZERO,
        cpu_time: Duration::ZERO,
        requests: 0,
        calls: 0,
    };
    for seed in 1..=campaigns {
        let result = Fork::run(|| live(seed, resources).to_string()).wait();
        let result: Value = serde_json::from_str(&result).unwrap_or_default();
        speed.failed += u64::from(result["violations"] != 0);
        speed.requests += result["requests"].as_u64().unwrap_or_default();
        speed.calls += result["calls"].as_u64().unwrap_or_default();
    }
    speed.elapsed = started.elapsed();
    speed.cpu_time = cpu_time_of_children() - cpu_time;
    speed
}

/// One life: a campaign is created, uploaded, sent, and all its callbacks arrive.
fn live(seed: u64, resources: &Resources) -> Value {
    clock::run(seed, BASE_MS, move || async move {
        let random = Random::new(seed);
        let profile = quiet(&random);
        let world = World::deploy(&random, &profile, resources);
        let operator = world.operators(&profile)[0].clone();
        world.start_recipients(&profile, &operator);
        create_and_upload(&operator).await;
        let calm_ms = clock::now_ms();
        world.bring_to_end(&profile, &operator).await;
        let violations = judge(&world, &profile, &operator, calm_ms).await;
        let requests = operator.aws.history().find(|entry| entry.request > 0);
        let calls = world.meta.calls().len();
        json!({"violations": violations.len(), "requests": requests.len(), "calls": calls})
    })
}

/// A profile without faults.
fn quiet(random: &Random) -> Profile {
    let profile = Profile::draw(random);
    Profile {
        kind: "speed",
        rate: Rate {
            slots: 4,
            per_slot: 1,
        },
        next_rate: None,
        campaigns: 1,
        services: Vec::new(),
        processes: ProcessFaults::default(),
        events: EventFaults::default(),
        meta: MetaFaults::default(),
        account_error: None,
        absence: None,
        outage: None,
        replaces_token: false,
        stops: 0.0,
        late_callbacks: 0.0,
        settings: Settings {
            fault_share: 0.0,
            slow_share: 0.0,
            duplicate_share: 0.0,
            ..profile.settings
        },
        ..profile
    }
}

async fn create_and_upload(operator: &Operator) {
    let (file, recipients) = file();
    let body = json!({"name": "Speed", "message": message(), "max_failure_ratio": 1,
        "file": {"name": "people.csv", "size": file.len()}});
    let answer = operator.persist("POST", "/v1/campaigns", &body).await;
    let answer = answer.unwrap_or_else(|| panic!("no campaign")).body;
    let stored = operator.put(&answer["upload"], file.as_bytes());
    assert_eq!(stored.status, 200, "the upload");
    let uploaded = UploadNotes {
        at_ms: clock::now_ms(),
        number: 1,
        text: file,
        recipients,
        is_usable: true,
        ..UploadNotes::default()
    };
    let notes = CampaignNotes {
        uploads: vec![uploaded],
        ..CampaignNotes::default()
    };
    let id = answer["id"].as_str().unwrap_or_default();
    operator.record.update(id, |campaign| *campaign = notes);
}

/// A file, and the recipients in it.
fn file() -> (String, BTreeMap<String, String>) {
    let mut text = "Name,Phone,Amount\n".to_owned();
    let mut recipients = BTreeMap::new();
    for row in 1..=ROWS {
        let (phone, name) = (format!("+34610{row:06}"), format!("N{row}"));
        text.push_str(&format!("{name},{phone},{row} EUR\n"));
        recipients.insert(phone, name);
    }
    (text, recipients)
}
