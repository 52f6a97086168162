//! `EventBridge` Scheduler: one-time schedules that send a message to a queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::faults::Service;
use super::message::{Request, Response};
use super::resources::queue_name;
use super::sqs::Sqs;
use crate::clock;
use crate::random::Random;

/// How late a schedule may fire (AWS, "Schedule types in `EventBridge` Scheduler": 60 seconds).
const MAX_LATENESS_MS: u64 = 60_000;

/// `EventBridge` Scheduler. Clones are the same.
#[derive(Clone, Debug)]
pub struct Scheduler {
    sqs: Sqs,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: Random,
    schedules: BTreeMap<String, Schedule>,
}

/// A schedule that has not fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When it fires, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The ARN of the queue.
    pub target: String,
    /// The message.
    pub input: String,
}

impl Scheduler {
    pub(super) fn new(sqs: Sqs, random: Random) -> Self {
        let schedules = BTreeMap::new();
        Self {
            sqs,
            state: Arc::new(Mutex::new(State { random, schedules })),
        }
    }

    /// The schedules that have not fired, by group and name.
    pub fn pending(&self) -> BTreeMap<String, Schedule> {
        self.lock().schedules.clone()
    }

    pub(super) fn call(&self, request: &Request) -> Response {
        match operation(request) {
            "CreateSchedule" => self.create(request),
            other => panic!("the simulation's Scheduler has no {other}"),
        }
    }

    fn create(&self, request: &Request) -> Response {
        let schedule = parse(&request.json());
        let name = describe(request);
        let lateness = {
            let mut state = self.lock();
            if state.schedules.contains_key(&name) {
                let message = format!("Schedule {name} already exists.");
                return Response::error(Service::Scheduler, 409, "ConflictException", &message);
            }
            state.schedules.insert(name.clone(), schedule.clone());
            state.random.range(0..MAX_LATENESS_MS)
        };
        let fires_at = schedule.at_ms.max(clock::now_ms()) + lateness;
        let scheduler = self.clone();
        let arn = format!("arn:aws:scheduler:::schedule/{name}");
        tokio::spawn(async move {
            let wait = fires_at.saturating_sub(clock::now_ms());
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let queue = queue_name(&schedule.target);
            scheduler.sqs.send(queue, &schedule.input, Duration::ZERO);
            // The product's schedules delete themselves afterwards.
            scheduler.lock().schedules.remove(&name);
        });
        Response::json(&json!({"ScheduleArn": arn}))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operation that a request asks for.
pub(super) fn operation(request: &Request) -> &'static str {
    match &*request.method {
        "POST" => "CreateSchedule",
        "GET" => "GetSchedule",
        "PUT" => "UpdateSchedule",
        "DELETE" => "DeleteSchedule",
        other => panic!("the simulation's Scheduler has no {other}"),
    }
}

/// The group and the name of the schedule.
pub(super) fn describe(request: &Request) -> String {
    let name = request.path.rsplit('/').next().unwrap_or_default();
    let group = if request.method == "POST" {
        request.json()["GroupName"].as_str().map(str::to_owned)
    } else {
        request.parameter("groupName").map(str::to_owned)
    };
    format!("{}/{name}", group.as_deref().unwrap_or("default"))
}

fn parse(request: &Value) -> Schedule {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let expression = text(&request["ScheduleExpression"]);
    assert_eq!(request["ScheduleExpressionTimezone"], "UTC", "{expression}");
    assert_eq!(request["ActionAfterCompletion"], "DELETE", "{expression}");
    let time = expression.strip_prefix("at(");
    let time = time.and_then(|time| time.strip_suffix(')'));
    let time = time.and_then(|time| time.parse::<DateTime>().ok());
    let time = time.and_then(|time| time.to_zoned(TimeZone::UTC).ok());
    let time = time.unwrap_or_else(|| panic!("not a one-time schedule: {expression}"));
    Schedule {
        at_ms: time.timestamp().as_millisecond() as u64,
        target: text(&request["Target"]["Arn"]),
        input: text(&request["Target"]["Input"]),
    }
}
