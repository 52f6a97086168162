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
    /// The phone number id that it was sent from.
    pub(crate) number: &'a str,
    pub(crate) wamid: &'a str,
    pub(crate) wa_id: &'a str,
    pub(crate) callback_data: &'a str,
    pub(crate) behavior: Option<Behavior>,
    /// When the send is answered, since the simulator's start. Statuses come later.
    pub(crate) answered_at: Duration,
}

/// The statuses of one POST. Its metadata names one number, so all its messages were sent from that number.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusPost {
    /// The phone number id that the messages were sent from.
    pub number: String,
    /// Items of `statuses`, as Meta writes them.
    pub statuses: Vec<Value>,
}

/// A status that is due later.
#[derive(Clone, Debug)]
struct ScheduledStatus {
    /// Since the simulator's start.
    at: Duration,
    /// The phone number id that the message was sent from.
    number: String,
    status: Value,
}

/// Statuses that are due later, and the number of those that are being posted.
#[derive(Debug, Default)]
pub struct CallbackQueue {
    due: Vec<ScheduledStatus>,
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
            let scheduled = ScheduledStatus {
                at,
                number: message.number.to_owned(),
                status,
            };
            if rand::random::<f64>() < settings.duplicate_share {
                self.due.push(ScheduledStatus {
                    at: at + DUPLICATE_DELAY,
                    ..scheduled.clone()
                });
            }
            self.due.push(scheduled);
        }
    }

    /// Takes the statuses that are due at `now`, in POSTs of at most `batch_size`.
    pub(crate) fn take_due(&mut self, now: Duration, settings: &Settings) -> Vec<StatusPost> {
        let (mut due, later): (Vec<_>, Vec<_>) =
            self.due.drain(..).partition(|status| status.at <= now);
        self.due = later;
        if settings.shuffle {
            due.shuffle(&mut rand::rng());
        } else {
            due.sort_by_key(|status| status.at);
        }
        self.in_flight += due.len();
        group_into_posts(due, settings.batch_size.max(1))
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

/// A POST for each number, and another one where it would be too long. Statuses of a number keep their order.
fn group_into_posts(due: Vec<ScheduledStatus>, batch_size: usize) -> Vec<StatusPost> {
    let mut posts: Vec<StatusPost> = Vec::new();
    for ScheduledStatus { number, status, .. } in due {
        let latest = posts.iter_mut().rfind(|post| post.number == number);
        match latest.filter(|post| post.statuses.len() < batch_size) {
            Some(post) => post.statuses.push(status),
            None => posts.push(StatusPost {
                number,
                statuses: vec![status],
            }),
        }
    }
    posts
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_post_holds_statuses_of_one_number_in_their_order() {
        let due = |(at, number): (usize, &str)| ScheduledStatus {
            at: Duration::from_secs(at as u64),
            number: number.into(),
            status: at.into(),
        };
        let numbers = ["1", "2", "1", "1", "2", "1"];
        let mut queue = CallbackQueue {
            // The latest first, so that the queue has to sort them.
            due: numbers.into_iter().enumerate().rev().map(due).collect(),
            in_flight: 0,
        };
        let settings = Settings {
            batch_size: 3,
            ..Settings::default()
        };
        let post = |number: &str, statuses: &[usize]| StatusPost {
            number: number.into(),
            statuses: statuses.iter().map(|&status| status.into()).collect(),
        };
        let posts = queue.take_due(Duration::from_secs(4), &settings);
        assert_eq!(posts, [post("1", &[0, 2, 3]), post("2", &[1, 4])]);
        assert_eq!(queue.pending(), 6);
        let posts = queue.take_due(Duration::from_secs(5), &settings);
        assert_eq!(posts, [post("1", &[5])]);
    }

    #[test]
    fn full_post_is_followed_by_another_of_its_number() {
        let due = |number: &str, status: u64| ScheduledStatus {
            at: Duration::ZERO,
            number: number.into(),
            status: status.into(),
        };
        let due = vec![due("1", 0), due("1", 1), due("2", 2), due("1", 3)];
        let sizes = group_into_posts(due, 2)
            .into_iter()
            .map(|post| (post.number, post.statuses.len()));
        let expected = [("1", 2), ("2", 1), ("1", 1)].map(|(number, size)| (number.into(), size));
        assert_eq!(sizes.collect::<Vec<_>>(), expected);
    }
}
