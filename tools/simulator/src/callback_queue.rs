//! Statuses of accepted messages that are due later.

use std::time::Duration;

use rand::seq::SliceRandom;
use serde_json::{Value, json};

use crate::magic_numbers::Behavior;
use crate::settings::Settings;

/// How long after a status its duplicate follows.
const DUPLICATE_DELAY: Duration = Duration::from_millis(700);

/// A message that was accepted, as far as its statuses need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptedMessage<'a> {
    pub(crate) wamid: &'a str,
    pub(crate) wa_id: &'a str,
    pub(crate) callback_data: &'a str,
    pub(crate) behavior: Option<Behavior>,
    /// When the send is answered, since the simulator's start. Statuses come later.
    pub(crate) answered_at: Duration,
}

/// Statuses that are due later, and the number of those that are being posted.
#[derive(Debug, Default)]
pub struct CallbackQueue {
    due: Vec<(Duration, Value)>,
    in_flight: usize,
}

impl CallbackQueue {
    /// Schedules the statuses of an accepted message. `started_at_ms` is the simulator's start since the Unix epoch.
    pub(crate) fn schedule(
        &mut self,
        settings: &Settings,
        message: AcceptedMessage<'_>,
        started_at_ms: u64,
    ) {
        if settings.webhook_url.is_empty() {
            return;
        }
        let mut at = message.answered_at;
        for (status, error_code) in status_sequence(message.behavior, settings.read_share) {
            let spread = 0.25 + 1.5 * rand::random::<f64>();
            at += Duration::from_secs_f64(settings.status_delay_ms / 1000.0 * spread);
            let seconds = (started_at_ms + at.as_millis() as u64) / 1000;
            let status = status_object(message, status, seconds, error_code);
            if rand::random::<f64>() < settings.duplicate_share {
                self.due.push((at + DUPLICATE_DELAY, status.clone()));
            }
            self.due.push((at, status));
        }
    }

    /// Takes the statuses that are due at `now`, one list for each POST.
    pub(crate) fn take_due(&mut self, now: Duration, settings: &Settings) -> Vec<Vec<Value>> {
        let (mut due, later): (Vec<_>, Vec<_>) = self.due.drain(..).partition(|(at, _)| *at <= now);
        self.due = later;
        if settings.shuffle {
            due.shuffle(&mut rand::rng());
        } else {
            due.sort_by_key(|(at, _)| *at);
        }
        self.in_flight += due.len();
        let statuses: Vec<Value> = due.into_iter().map(|(_, status)| status).collect();
        statuses
            .chunks(settings.batch_size.max(1))
            .map(<[Value]>::to_vec)
            .collect()
    }

    /// Notes that the webhook took this many statuses.
    pub(crate) fn mark_delivered(&mut self, statuses: usize) {
        self.in_flight = self.in_flight.saturating_sub(statuses);
    }

    /// Whether no status is waiting.
    pub(crate) fn is_idle(&self) -> bool {
        self.due.is_empty()
    }

    /// Statuses that are waiting or being posted.
    pub fn pending(&self) -> usize {
        self.due.len() + self.in_flight
    }
}

/// The statuses of a message in order, with the error code of a failure.
fn status_sequence(
    behavior: Option<Behavior>,
    read_share: f64,
) -> Vec<(&'static str, Option<i64>)> {
    match behavior {
        Some(Behavior::FailInCallback(code)) => {
            return vec![("sent", None), ("failed", Some(code))];
        }
        Some(Behavior::HeldThenDropped) => return vec![("failed", Some(132015))],
        _ => {}
    }
    let mut sequence = vec![("sent", None), ("delivered", None)];
    if behavior != Some(Behavior::NeverRead) && rand::random::<f64>() < read_share {
        sequence.push(("read", None));
    }
    sequence
}

/// An item of `statuses`, as Meta writes it.
fn status_object(
    message: AcceptedMessage<'_>,
    status: &str,
    seconds: u64,
    error_code: Option<i64>,
) -> Value {
    let mut object = json!({
        "id": message.wamid, "status": status, "timestamp": seconds.to_string(), "recipient_id": message.wa_id,
        "biz_opaque_callback_data": message.callback_data,
        "pricing": {"billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility"},
    });
    if let Some(code) = error_code {
        let text = format!("simulated error {code}");
        object["errors"] = json!([{"code": code, "title": text, "message": text,
            "error_data": {"details": "a magic number"}}]);
    }
    object
}
